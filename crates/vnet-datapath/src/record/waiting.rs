//! Frames on their way into a recording, in the form they are written in.

use std::ops::Range;

use vnet_packet::pcap::{Crossing, Direction};
use vnet_packet::{Layer, checksum, gso};
use vnet_sys::Seen;

use super::options::Filter;
use super::source::Entry;
use crate::offload;

/// Frames that wait to be written.
#[derive(Default)]
pub(super) struct Waiting {
    pub bytes: Vec<u8>,
    pub list: Vec<Place>,
}

/// One of them; the ranges are of the bytes.
pub(super) struct Place {
    pub at: Crossing,
    pub ts_ns: u64,
    pub frame: Range<usize>,
    pub wire_len: u32,
    pub comment: Range<usize>,
}

impl Waiting {
    pub(super) fn add_seen(
        &mut self,
        interface: u16,
        layer: Layer,
        is_outbound: bool,
        seen: &Seen<'_>,
        filter: Option<&Filter>,
    ) {
        let mut todo = offload::from_header(&seen.hdr);
        let from = self.bytes.len();
        let mut wire_len = seen.wire_len;
        match seen.vlan.zip(seen.bytes.split_at_checked(12)) {
            Some(((tpid, tci), (addresses, rest))) => {
                self.bytes.extend_from_slice(addresses);
                self.bytes.extend(tpid.to_be_bytes());
                self.bytes.extend(tci.to_be_bytes());
                self.bytes.extend_from_slice(rest);
                offload::shift(&mut todo, 4);
                wire_len += 4;
            }
            None => self.bytes.extend_from_slice(seen.bytes),
        }
        let at = Crossing {
            interface: interface.into(),
            direction: Some(if is_outbound {
                Direction::Outbound
            } else {
                Direction::Inbound
            }),
            packet: 0,
        };
        self.settle(from, at, layer, seen.stamp_ns, wire_len, &todo, "", filter);
    }

    pub(super) fn add_entry(&mut self, layer: Layer, entry: &Entry<'_>, filter: Option<&Filter>) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(entry.frame);
        let at = Crossing {
            interface: entry.interface.into(),
            direction: entry.direction,
            packet: entry.packet,
        };
        let wire_len = entry.frame.len() as u32;
        self.settle(
            from,
            at,
            layer,
            entry.ts_ns,
            wire_len,
            &entry.offload,
            entry.comment,
            filter,
        );
    }

    /// Brings the frame that lies at the end into the form it is written in.
    #[expect(clippy::too_many_arguments, reason = "the fields of one record")]
    fn settle(
        &mut self,
        from: usize,
        at: Crossing,
        layer: Layer,
        ts_ns: u64,
        wire_len: u32,
        todo: &gso::Offload,
        comment: &str,
        filter: Option<&Filter>,
    ) {
        let to = self.bytes.len();
        let frame = &mut self.bytes[from..to];
        // As on the wire: a super-frame stays one frame, whose sum no receiver would see either.
        if todo.gso_type == 0 && todo.needs_csum && frame.len() as u32 == wire_len {
            checksum::complete(frame, todo.csum_start.into(), todo.csum_offset.into());
        }
        if filter.is_some_and(|filter| !filter(layer, frame, wire_len)) {
            self.bytes.truncate(from);
            return;
        }
        let parts = (todo.gso_type != 0).then(|| parts(&self.bytes[from..to], layer, todo));
        self.bytes.extend_from_slice(comment.as_bytes());
        if let Some(parts) = parts {
            if !comment.is_empty() {
                self.bytes.push(b'\n');
            }
            self.bytes.extend_from_slice(parts.as_bytes());
        }
        self.list.push(Place {
            at,
            ts_ns,
            frame: from..to,
            wire_len,
            comment: to..self.bytes.len(),
        });
    }

    /// Forgets the first so many frames.
    pub(super) fn keep_from(&mut self, due: usize, spare: &mut Self) {
        spare.bytes.clear();
        spare.list.clear();
        for place in &self.list[due..] {
            let from = spare.bytes.len();
            spare.bytes.extend_from_slice(&self.bytes[place.frame.clone()]);
            let to = spare.bytes.len();
            spare.bytes.extend_from_slice(&self.bytes[place.comment.clone()]);
            spare.list.push(Place {
                at: place.at,
                ts_ns: place.ts_ns,
                frame: from..to,
                wire_len: place.wire_len,
                comment: to..spare.bytes.len(),
            });
        }
        std::mem::swap(self, spare);
    }
}

/// Says what a super-frame is.
fn parts(frame: &[u8], layer: Layer, todo: &gso::Offload) -> String {
    let state = if todo.needs_csum { "unfinished" } else { "finished" };
    match gso::segments(frame, layer, todo) {
        Ok(segments) => format!(
            "offload: {} segments of {} bytes, checksum {state}",
            segments.count(),
            todo.gso_size
        ),
        Err(_) => format!("offload: segments of {} bytes, checksum {state}", todo.gso_size),
    }
}
