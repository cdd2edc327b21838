use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use vnet_packet::gso::Offload;

use super::Counters;
use crate::cause::Cause;
use crate::frame::{Accepts, Got, Landing, Meta};
use crate::ring::{FrameReceiver, FrameSender, Tag, ring};

const QUEUE: usize = 4 << 20;

/// A port whose frames come from and go to another thread of this process.
pub(crate) struct Memory {
    incoming: FrameReceiver,
    outgoing: FrameSender,
    ready: Arc<OwnedFd>,
    pub(crate) accepts: Accepts,
}

/// The far end of an in-memory port.
pub struct MemoryEnd {
    to_port: FrameSender,
    from_port: FrameReceiver,
    ready: Arc<OwnedFd>,
}

impl std::fmt::Debug for MemoryEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryEnd")
    }
}

pub(crate) fn pair() -> io::Result<(Memory, MemoryEnd)> {
    let ready = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
    let (to_port, incoming) = ring(QUEUE);
    let (outgoing, from_port) = ring(QUEUE);
    let memory = Memory {
        incoming,
        outgoing,
        ready: Arc::clone(&ready),
        accepts: Accepts::NONE,
    };
    Ok((
        memory,
        MemoryEnd {
            to_port,
            from_port,
            ready,
        },
    ))
}

impl MemoryEnd {
    /// Lets a frame arrive at the port; false when the port's queue (4 MiB) is full.
    #[must_use]
    pub fn push(&mut self, frame: &[u8], offload: Offload) -> bool {
        let queued = self.to_port.push(
            &Tag {
                offload,
                ..Tag::default()
            },
            frame,
        );
        // An event counter that is already set wakes the worker as well.
        let _ = rustix::io::write(&*self.ready, &1u64.to_ne_bytes());
        queued
    }

    /// Takes the oldest frame the engine sent to the port, with the work left undone on it.
    #[cfg(test)]
    pub(crate) fn pop_unfinished(&mut self) -> Option<(Vec<u8>, Offload)> {
        self.from_port.pop().map(|(tag, frame)| (frame, tag.offload))
    }

    /// Takes the oldest frame the engine sent to the port.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        self.from_port.pop().map(|(_, frame)| frame)
    }
}

impl Memory {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }

    pub(crate) fn recv(&mut self, landing: &mut Landing<'_>, counters: &mut Counters) -> Got {
        let _ = rustix::io::read(&*self.ready, &mut [0u8; 8]);
        while !landing.is_full() {
            let off = landing.next();
            let max = landing.max_frame;
            let bytes = &mut *landing.bytes;
            let popped = self.incoming.pop_with(|tag, len, read| {
                counters.rx_packets += 1;
                counters.rx_bytes += len as u64;
                if len > max {
                    counters.drops.add(Cause::Oversize);
                    return None;
                }
                read(&mut bytes[off..off + len]);
                Some((len, tag.offload))
            });
            match popped {
                None => return Got::Empty,
                Some(None) => {}
                Some(Some((len, offload))) => landing.take(
                    off,
                    len,
                    Meta {
                        offload,
                        ..Meta::default()
                    },
                ),
            }
        }
        // The event was cleared above, so frames left behind must ring again.
        if !self.incoming.is_empty() {
            let _ = rustix::io::write(&*self.ready, &1u64.to_ne_bytes());
        }
        Got::Full
    }

    pub(crate) fn send(&mut self, frame: &[u8], offload: &Offload, ts_ns: u64) -> Result<(), Cause> {
        let tag = Tag {
            ts_ns,
            port: 0,
            offload: *offload,
            ..Tag::default()
        };
        if self.outgoing.push(&tag, frame) {
            Ok(())
        } else {
            Err(Cause::TxFull)
        }
    }
}
