use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, BufWriter};

use vnet_packet::pcap;

use super::Counters;
use crate::cause::Cause;
use crate::frame::{Got, Landing, Meta};

/// A capture file read as if its frames arrived, and one written with those that leave again.
pub(crate) struct Replay {
    reader: pcap::Reader<BufReader<File>>,
    writer: Option<pcap::Writer<BufWriter<File>>>,
    record: Vec<u8>,
    next: u64,
    /// What was read and not yet compared, when changes are to be told.
    originals: Option<VecDeque<(u64, Vec<u8>)>>,
    /// How many of those at most.
    remembered: usize,
    /// Whether each frame is a batch of its own.
    is_alone: bool,
    /// What was read ahead; its bytes lie in `record`.
    ahead: Option<Result<Option<pcap::Record>, pcap::CaptureError>>,
    pub(crate) outcome: Outcome,
}

/// What became of the frames of a capture.
#[derive(Default)]
pub(crate) struct Outcome {
    pub changed: Vec<Change>,
    /// For each frame read, whether it was written; only kept when changes are told.
    pub kept: Vec<bool>,
    pub error: Option<String>,
    pub first_linktype: Option<pcap::Linktype>,
}

/// A frame that left otherwise than it arrived.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// The frame's number in the input, from 1.
    pub number: u64,
    /// Length before, in bytes.
    pub len_before: usize,
    /// Length after, in bytes.
    pub len_after: usize,
    /// Offset of the first byte that differs.
    pub first_difference: usize,
    /// How many bytes differ, counting those beyond the shorter of the two.
    pub bytes_changed: usize,
}

/// How many of the frames last read are kept for comparison: more than can be on their way at once, where no line holds them.
pub(crate) const REMEMBERED: usize = 4096;

impl Replay {
    /// Reads a capture, and remembers so many frames to tell how they were changed.
    pub(crate) fn new(
        reader: pcap::Reader<BufReader<File>>,
        writer: Option<pcap::Writer<BufWriter<File>>>,
        remembered: usize,
    ) -> Self {
        Self {
            reader,
            writer,
            record: Vec::with_capacity(1 << 16),
            next: 1,
            originals: (remembered > 0).then(VecDeque::new),
            remembered,
            is_alone: false,
            ahead: None,
            outcome: Outcome::default(),
        }
    }

    /// Has the next frame be the only one of its batch, and returns its time; `None` at the end.
    pub(crate) fn next_alone(&mut self) -> Option<u64> {
        self.is_alone = true;
        if self.ahead.is_none() {
            self.ahead = Some(self.reader.next(&mut self.record));
        }
        match &self.ahead {
            Some(Ok(Some(record))) => Some(record.ts_ns),
            _ => None,
        }
    }

    pub(crate) fn recv(&mut self, landing: &mut Landing<'_>, counters: &mut Counters) -> Got {
        let mut any = false;
        while !(landing.is_full() || any && self.is_alone) {
            let record = match self
                .ahead
                .take()
                .unwrap_or_else(|| self.reader.next(&mut self.record))
            {
                Ok(Some(record)) => record,
                Ok(None) => return if any { Got::Empty } else { Got::Gone },
                Err(error) => {
                    self.outcome.error = Some(error.to_string());
                    return if any { Got::Empty } else { Got::Gone };
                }
            };
            if self.outcome.error.is_some() {
                return Got::Gone;
            }
            let first = *self.outcome.first_linktype.get_or_insert(record.linktype);
            if first != record.linktype {
                self.outcome.error = Some(format!(
                    "frame {} has linktype {:?}, the frames before it {first:?}; split the capture by linktype",
                    self.next, record.linktype
                ));
                return if any { Got::Empty } else { Got::Gone };
            }
            any = true;
            let serial = self.next;
            self.next += 1;
            let len = self.record.len();
            counters.rx_packets += 1;
            counters.rx_bytes += len as u64;
            if let Some(originals) = &mut self.originals {
                if originals.len() == self.remembered {
                    originals.pop_front();
                }
                originals.push_back((serial, self.record.clone()));
                self.outcome.kept.push(false);
            }
            if len > landing.max_frame {
                counters.drops.add(Cause::Oversize);
                continue;
            }
            let off = landing.next();
            landing.bytes[off..off + len].copy_from_slice(&self.record);
            landing.arrival.ts_ns = record.ts_ns;
            landing.take(
                off,
                len,
                Meta {
                    serial,
                    missing: record.orig_len.saturating_sub(len as u32),
                    ..Meta::default()
                },
            );
        }
        Got::Full
    }

    pub(crate) fn send(&mut self, frame: &[u8], meta: &Meta, ts_ns: u64) -> Result<(), Cause> {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.write(
                ts_ns,
                frame,
                (frame.len() as u32).saturating_add(meta.missing),
                None,
            )
        {
            self.outcome.error.get_or_insert_with(|| error.to_string());
            return Err(Cause::TxError);
        }
        if let Some(originals) = &self.originals
            && let Some(kept) = meta
                .serial
                .checked_sub(1)
                .and_then(|i| self.outcome.kept.get_mut(i as usize))
        {
            *kept = true;
            let back = originals
                .front()
                .and_then(|(first, _)| meta.serial.checked_sub(*first));
            let original = back.and_then(|i| originals.get(i as usize));
            self.outcome
                .changed
                .extend(original.and_then(|(_, before)| compare(meta.serial, before, frame)));
        }
        Ok(())
    }

    /// Writes out what is buffered and tells what became of the frames.
    pub(crate) fn finish(mut self) -> Outcome {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.flush()
        {
            self.outcome.error.get_or_insert_with(|| error.to_string());
        }
        self.outcome
    }
}

fn compare(number: u64, before: &[u8], after: &[u8]) -> Option<Change> {
    let common = before.len().min(after.len());
    let differing = before.iter().zip(after).filter(|(a, b)| a != b).count();
    let bytes_changed = differing + before.len().max(after.len()) - common;
    (bytes_changed > 0).then(|| Change {
        number,
        len_before: before.len(),
        len_after: after.len(),
        first_difference: before
            .iter()
            .zip(after)
            .position(|(a, b)| a != b)
            .unwrap_or(common),
        bytes_changed,
    })
}
