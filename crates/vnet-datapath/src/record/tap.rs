//! A packet socket's ring, and which interfaces of a recording its frames belong to.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::net::netdevice::index_to_name;
use vnet_packet::Layer;
use vnet_sys::{PacketRing, Seen};

use super::hub::Hub;

/// What a ring's frames belong to.
pub(crate) enum View {
    /// One interface.
    One {
        interface: u16,
        layer: Layer,
        /// The socket is at the far side of the interface: what goes out there comes in here.
        is_far: bool,
    },
    /// All interfaces of a namespace but loopback, those that are made later, too.
    All(Finder),
}

/// Gives interfaces their names as frames come by them.
pub(crate) struct Finder {
    /// The ring's own socket, which is asked for names.
    pub socket: OwnedFd,
    /// What a name begins with, and whose interfaces they are, in words.
    pub prefix: String,
    pub whose: String,
    /// The interfaces of the recording by the kernel's number; `None` for one that the file has no room for.
    pub known: HashMap<u32, Option<(u16, Layer)>>,
}

/// A ring with what is known of it.
pub(crate) struct Tap {
    /// What whoever added it calls it by.
    pub key: u64,
    pub ring: PacketRing,
    pub view: View,
    /// Since when it is to end.
    pub ends: Option<Instant>,
    seen: u64,
    arrived: u64,
    lost: u64,
}

impl Tap {
    pub(crate) fn new(key: u64, ring: PacketRing, view: View) -> Self {
        Self {
            key,
            ring,
            view,
            ends: None,
            seen: 0,
            arrived: 0,
            lost: 0,
        }
    }

    /// Has it end: what came before stays to be taken.
    pub(crate) fn end(&mut self) {
        self.ends = Some(Instant::now());
        if let Err(error) = self.ring.quench() {
            tracing::debug!(target: "vnet::engine", %error, "a recording takes more than it was to");
        }
    }

    /// Asks the kernel how many frames came, and tells how many of them the ring had no room for.
    pub(crate) fn look(&mut self, hub: &Hub) {
        let (arrived, dropped) = self.ring.statistics().unwrap_or_default();
        self.arrived += arrived;
        self.lose(hub, dropped);
    }

    /// Frames that came and were neither seen nor lost so far.
    pub(crate) fn missing(&self) -> u64 {
        self.arrived.saturating_sub(self.seen + self.lost)
    }

    /// Counts as lost what the kernel has not handed over by now.
    pub(crate) fn settle(&mut self, hub: &Hub) {
        self.look(hub);
        self.lose(hub, self.missing());
    }

    fn lose(&mut self, hub: &Hub, frames: u64) {
        self.lost += frames;
        if let Some(interface) = self.first().filter(|_| frames > 0) {
            hub.lose(interface, frames);
        }
    }

    /// Shows what has come, with the interface, its layer, and whether the frame goes out there.
    pub(crate) fn drain(&mut self, hub: &Hub, mut show: impl FnMut(u16, Layer, bool, &Seen<'_>)) -> u64 {
        let view = &mut self.view;
        let seen = self.ring.drain(|seen| match view {
            View::One {
                interface,
                layer,
                is_far,
            } => show(*interface, *layer, seen.outgoing != *is_far, seen),
            View::All(finder) => {
                if let Some((interface, layer)) = finder.find(hub, seen) {
                    show(interface, layer, seen.outgoing, seen);
                }
            }
        });
        self.seen += seen;
        seen
    }

    /// The interface that frames count for which the ring had no room for; a ring of several does not know which.
    fn first(&self) -> Option<u16> {
        match &self.view {
            View::One { interface, .. } => Some(*interface),
            View::All(finder) => finder.known.values().flatten().map(|(number, _)| *number).min(),
        }
    }
}

impl Finder {
    pub(crate) fn name(&self, interface: &str) -> String {
        format!("{}-{interface}", self.prefix)
    }

    pub(crate) fn description(&self, interface: &str) -> String {
        format!("interface {interface} of {}, seen by its kernel", self.whose)
    }

    fn find(&mut self, hub: &Hub, seen: &Seen<'_>) -> Option<(u16, Layer)> {
        if let Some(known) = self.known.get(&seen.ifindex) {
            return *known;
        }
        let layer = if seen.is_ethernet { Layer::L2 } else { Layer::L3 };
        // One that has gone again has no name any more.
        let name =
            index_to_name(&self.socket, seen.ifindex).unwrap_or_else(|_| format!("if{}", seen.ifindex));
        let number = hub.interface(&self.name(&name), &self.description(&name), layer);
        if number.is_none() {
            tracing::warn!(target: "vnet::engine", interface = %self.name(&name), "the capture file has no room for one more interface");
        }
        let found = number.map(|number| (number, layer));
        self.known.insert(seen.ifindex, found);
        found
    }
}
