//! Frames on their way out, written many at a time.
//!
//! What a batch sends stays where it lies until the batch is done: the outbox notes the places, and whoever owns the bytes
//! posts the list before the bytes change hands. Every write is done when that returns.

use vnet_packet::gso::Offload;
use vnet_sys::uring::{DEPTH, Target, WriteRing, Written};

use super::Port;
use crate::frame::Meta;
use crate::record::Recordings;

/// Fewest frames for which a ring is asked: below that its own system call is most of the cost.
const LEAST: usize = 4;

/// Names the environment variable that decides about io_uring: `on`, `off`, or else whichever is faster here.
const CHOICE: &str = "VNET_IO_URING";

/// Places of frames in one piece of memory, with where they go.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Address of that memory; 0 while frames are written one by one.
    base: usize,
    list: Vec<Pending>,
    writer: Option<Box<Writer>>,
}

/// One frame and its port.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    pub port: usize,
    pub off: usize,
    pub len: usize,
    pub offload: Offload,
    pub ts_ns: u64,
    /// The frame's number.
    pub serial: u64,
    pub is_done: bool,
}

impl Pending {
    /// What a port wants to know of the frame.
    pub fn meta(&self) -> Meta {
        Meta {
            offload: self.offload,
            serial: self.serial,
            ..Meta::default()
        }
    }
}

/// The way of writing to many TAPs in one call, if there is one.
struct Writer {
    ring: Option<WriteRing>,
    results: [Written; DEPTH],
}

/// The memory an outbox was about before; to be given back.
#[derive(Clone, Copy)]
#[must_use]
pub(crate) struct Outer(usize);

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            list: Vec::with_capacity(DEPTH),
            ..Self::default()
        }
    }

    /// Begins to note frames that lie in `bytes`, which the caller posts before it gives them away.
    pub(crate) fn open(&mut self, bytes: &[u8]) -> Outer {
        // Frames noted for other memory can be posted by its owner alone; until then these are written one by one.
        let base = if self.list.is_empty() { address(bytes) } else { 0 };
        Outer(std::mem::replace(&mut self.base, base))
    }

    /// Goes back to noting frames of the memory before.
    pub(crate) fn close(&mut self, outer: Outer) {
        self.base = outer.0;
    }

    /// Tells whether frames in `bytes` are being noted, and one more fits.
    pub(crate) fn takes(&self, bytes: &[u8]) -> bool {
        self.base == address(bytes) && self.list.len() < self.list.capacity()
    }

    /// Notes a frame that its port takes as it is.
    pub(crate) fn note(&mut self, port: usize, off: usize, len: usize, meta: &Meta, ts_ns: u64) {
        self.list.push(Pending {
            port,
            off,
            len,
            offload: meta.offload,
            ts_ns,
            serial: meta.serial,
            is_done: false,
        });
    }

    /// Tells whether frames of `bytes` wait to be posted.
    pub(crate) fn has(&self, bytes: &[u8]) -> bool {
        !self.list.is_empty() && self.base == address(bytes)
    }

    /// Tells whether there is no room for another frame.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() == self.list.capacity()
    }

    /// Writes what was noted, in order for each port, and counts it there; the list stays for the caller to look through.
    pub(crate) fn post(&mut self, bytes: &mut [u8], ports: &mut [Port], recordings: &mut Recordings) {
        recordings.leaving();
        if let [only] = &self.list[..] {
            let meta = only.meta();
            return ports[only.port].send(bytes, only.off, only.len, &meta, only.ts_ns, recordings);
        }
        let taps = self.list.iter().filter(|p| ports[p.port].is_tap()).count();
        if taps > 0 {
            self.post_taps(taps, bytes, ports, recordings);
        }
        for i in 0..self.list.len() {
            if !self.list[i].is_done {
                let port = self.list[i].port;
                ports[port].send_noted(port, &mut self.list[i..], bytes, recordings);
            }
        }
    }

    fn post_taps(&mut self, taps: usize, bytes: &mut [u8], ports: &mut [Port], recordings: &mut Recordings) {
        let is_tap = |p: &&Pending| ports[p.port].is_tap();
        for pending in self.list.iter().filter(is_tap) {
            super::tap::head(bytes, pending.off, pending.len, &pending.offload);
        }
        let mut results = None;
        if taps >= LEAST {
            let writer = self.writer.get_or_insert_with(|| Box::new(Writer::new()));
            if let Some(ring) = &mut writer.ring {
                let writes = self.list.iter().filter_map(|p| {
                    let fd = ports[p.port].tap_fd()?;
                    Some((Target::Fd(fd), super::tap::with_head(bytes, p.off, p.len)))
                });
                if let Err(error) = ring.write(writes, &mut writer.results) {
                    tracing::warn!(target: "vnet::engine", %error, "io_uring failed; frames are written one by one");
                    writer.ring = None;
                }
                results = Some(&writer.results);
            }
        }
        let mut at = 0;
        for pending in &mut self.list {
            let port = &mut ports[pending.port];
            if port.is_tap() {
                let written = results.and_then(|results| results[at]);
                at += 1;
                pending.is_done = true;
                port.send_headed(pending, written, bytes, recordings);
            }
        }
    }

    /// The ports of the frames that were posted last.
    pub(crate) fn port(&self, i: usize) -> Option<usize> {
        self.list.get(i).map(|pending| pending.port)
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }
}

impl Writer {
    fn new() -> Self {
        let choice = std::env::var(CHOICE).unwrap_or_default();
        let ring = (choice != "off")
            .then(WriteRing::new)
            .and_then(|made| match made {
                Ok(mut ring) => (choice == "on" || ring.pays()).then_some(ring),
                Err(error) => {
                    tracing::debug!(target: "vnet::engine", %error, "frames are written one by one");
                    None
                }
            });
        let is_used = ring.is_some();
        tracing::debug!(target: "vnet::engine", is_used, "how batches are written to TAPs: by io_uring?");
        Self {
            ring,
            results: [None; DEPTH],
        }
    }
}

fn address(bytes: &[u8]) -> usize {
    bytes.as_ptr().addr()
}
