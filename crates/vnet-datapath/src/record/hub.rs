//! Where the sources of a recording meet its writer.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vnet_packet::Layer;
use vnet_sys::PacketRing;

use crate::ring::FrameReceiver;

/// Most interfaces of one file.
const MOST: usize = 1 << 15;

/// What the sources and the writer of a recording share; no lock of it is taken for a frame that is not lost.
pub(crate) struct Hub {
    pub ready: OwnedFd,
    pub stop: AtomicBool,
    /// The writer has ended, whoever asked for it.
    pub ended: AtomicBool,
    interfaces: Mutex<Interfaces>,
    inbox: Mutex<Inbox>,
    /// The file has room for one interface alone.
    pub is_single: bool,
}

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
    pub rings: Vec<(u16, bool, PacketRing)>,
    /// No source comes any more.
    pub is_sealed: bool,
}

impl Hub {
    pub(crate) fn new(ready: OwnedFd, is_single: bool) -> Self {
        Self {
            ready,
            stop: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            interfaces: Mutex::default(),
            inbox: Mutex::default(),
            is_single,
        }
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
