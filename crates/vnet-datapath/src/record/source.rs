//! The engine's side of a recording.

use std::sync::Arc;

use vnet_packet::gso::Offload;
use vnet_packet::pcap::Direction;

use super::hub::Hub;
use crate::ring::{FrameReceiver, FrameSender, Tag, ring};

/// Bytes before a frame in the queue: packet number, direction, length of the comment.
const HEAD: usize = 8 + 1 + 2;

/// One record as a source hands it over.
pub(crate) struct Entry<'a> {
    pub interface: u16,
    pub direction: Option<Direction>,
    pub packet: u64,
    /// By CLOCK_REALTIME.
    pub ts_ns: u64,
    pub offload: Offload,
    pub frame: &'a [u8],
    pub comment: &'a str,
}

/// Queues records for the writer without a lock or a system call.
pub(crate) struct Source {
    queue: FrameSender,
    pub hub: Arc<Hub>,
    /// Bytes of the queue.
    granted: usize,
    scratch: Vec<u8>,
}

impl Source {
    pub(crate) fn new(hub: &Arc<Hub>, is_memory: bool) -> Self {
        let granted = hub.grant_queue(is_memory);
        let (queue, receiver) = ring(granted);
        hub.inbox().queues.push(receiver);
        Self {
            queue,
            hub: Arc::clone(hub),
            granted,
            scratch: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, entry: &Entry<'_>) {
        let tag = Tag {
            ts_ns: entry.ts_ns,
            port: entry.interface,
            offload: entry.offload,
            ..Tag::default()
        };
        let direction = match entry.direction {
            None => 0,
            Some(Direction::Inbound) => 1,
            Some(Direction::Outbound) => 2,
        };
        let comment = &entry.comment.as_bytes()[..entry.comment.len().min(usize::from(u16::MAX))];
        self.scratch.clear();
        self.scratch.extend(entry.packet.to_le_bytes());
        self.scratch.push(direction);
        self.scratch.extend((comment.len() as u16).to_le_bytes());
        self.scratch.extend_from_slice(comment);
        self.scratch.extend_from_slice(entry.frame);
        // A recording that has ended has lost nothing.
        if !self.queue.push(&tag, &self.scratch) && !self.queue.is_abandoned() {
            self.hub.lose(entry.interface, 1);
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.hub.return_queue(self.granted);
        self.hub.wake();
    }
}

/// Takes the next record out of a source's queue; `bytes` is scratch memory.
pub(crate) fn pop(queue: &mut FrameReceiver, bytes: &mut Vec<u8>, take: impl FnOnce(&Entry<'_>)) -> bool {
    let tag = queue.pop_with(|tag, len, read| {
        bytes.resize(len, 0);
        read(bytes);
        tag
    });
    let Some(tag) = tag else { return false };
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return true;
    };
    let [packet @ .., direction, a, b] = *head;
    let (comment, frame) = rest.split_at(usize::from(u16::from_le_bytes([a, b])).min(rest.len()));
    take(&Entry {
        interface: tag.port,
        direction: match direction {
            1 => Some(Direction::Inbound),
            2 => Some(Direction::Outbound),
            _ => None,
        },
        packet: u64::from_le_bytes(packet),
        ts_ns: tag.ts_ns,
        offload: tag.offload,
        frame,
        comment: std::str::from_utf8(comment).unwrap_or_default(),
    });
    true
}
