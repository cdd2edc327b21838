//! Where the sources of a recording meet its writer.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vnet_packet::Layer;

use super::tap::Tap;
use crate::ring::FrameReceiver;

/// Most interfaces of one file.
const MOST: usize = 1 << 15;

/// What the sources and the writer of a recording share; no lock of it is taken for a frame that is not lost,
/// and none is held while anything is written.
pub(crate) struct Hub {
    pub ready: OwnedFd,
    pub stop: AtomicBool,
    /// The writer has ended, whoever asked for it.
    pub ended: AtomicBool,
    interfaces: Mutex<Interfaces>,
    inbox: Mutex<Inbox>,
    /// The file has room for one interface alone.
    pub is_single: bool,
    /// Somebody reads along, and would rather have a frame soon than in order with those of a source that is late.
    pub is_live: bool,
    window_ms: AtomicU64,
    /// Bytes of the queues of all sources.
    queued: AtomicUsize,
}

/// Bytes that may wait for the writer in the queues of all sources, where there are few; and the least of one, which has room for
/// any frame.
const QUEUES: usize = 64 << 20;
const QUEUE_LEAST: usize = 256 << 10;

/// The first of these where the last frames are kept in memory.
const SMALL_QUEUES: usize = 8 << 20;

/// How long frames of a file wait for older ones of other sources; whoever reads along does not wait as long.
const WINDOW_MS: u64 = 40;

/// How late the engine may be with what it tells.
const LIVE_WINDOW_MS: u64 = 4;

#[derive(Default)]
pub(crate) struct Interfaces {
    pub list: Vec<Interface>,
    names: HashMap<String, u16>,
}

/// One of the interfaces of a recording.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub name: String,
    pub description: String,
    pub layer: Layer,
    /// Frames its source had no room for.
    pub lost: u64,
    /// What is to be said of it at the end, and when that was known.
    pub note: Option<(u64, String)>,
}

/// Sources that the writer has not seen yet.
#[derive(Default)]
pub(crate) struct Inbox {
    pub queues: Vec<FrameReceiver>,
    pub taps: Vec<Tap>,
    /// The keys of taps that are to end.
    pub ended_taps: Vec<u64>,
    /// No source comes any more.
    pub is_sealed: bool,
}

impl Hub {
    pub(crate) fn new(ready: OwnedFd, is_single: bool, is_live: bool) -> Self {
        Self {
            ready,
            stop: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            interfaces: Mutex::default(),
            inbox: Mutex::default(),
            is_single,
            is_live,
            window_ms: AtomicU64::new(if is_live { LIVE_WINDOW_MS } else { WINDOW_MS }),
            queued: AtomicUsize::new(0),
        }
    }

    /// Grants the queue of a source: of what is left a quarter, so that the first have the most.
    pub(crate) fn grant_queue(&self, is_memory: bool) -> usize {
        let all = if is_memory { SMALL_QUEUES } else { QUEUES };
        let left = all.saturating_sub(self.queued.load(Ordering::Relaxed));
        let bytes = (left / 4).max(QUEUE_LEAST);
        self.queued.fetch_add(bytes, Ordering::Relaxed);
        bytes
    }

    /// Takes a queue back.
    pub(crate) fn return_queue(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How long frames wait for older ones of other sources.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms.load(Ordering::Relaxed))
    }

    /// Takes note that the kernel hands the frames of a source over within `retire_ms` and as much again: a block that frames
    /// come to is looked at twice before it is handed over.
    pub(crate) fn widen(&self, retire_ms: u32) {
        let late = 2 * u64::from(retire_ms) + LIVE_WINDOW_MS;
        self.window_ms.fetch_max(late, Ordering::Relaxed);
    }

    /// Returns the number of an interface, the same for the same name; `None` where the file has no room for it.
    pub(crate) fn interface(&self, name: &str, description: &str, layer: Layer) -> Option<u16> {
        let mut interfaces = self.interfaces();
        if let Some(known) = interfaces.names.get(name) {
            return Some(*known);
        }
        let most = if self.is_single { 1 } else { MOST };
        let number = interfaces.list.len();
        if number >= most {
            return None;
        }
        interfaces.list.push(Interface {
            name: name.to_owned(),
            description: description.to_owned(),
            layer,
            lost: 0,
            note: None,
        });
        interfaces.names.insert(name.to_owned(), number as u16);
        Some(number as u16)
    }

    pub(crate) fn interfaces(&self) -> MutexGuard<'_, Interfaces> {
        self.interfaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lose(&self, interface: u16, frames: u64) {
        if let Some(interface) = self.interfaces().list.get_mut(usize::from(interface)) {
            interface.lost += frames;
        }
    }

    pub(crate) fn note(&self, interface: u16, ts_ns: u64, text: String) {
        if let Some(interface) = self.interfaces().list.get_mut(usize::from(interface)) {
            interface.note = Some((ts_ns, text));
        }
    }

    pub(crate) fn wake(&self) {
        let _ = rustix::io::write(&self.ready, &1_u64.to_ne_bytes());
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}
