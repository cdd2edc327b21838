//! Where a capture's interfaces stand in the network.

use core::net::IpAddr;
use std::string::String;
use std::vec::Vec;

use crate::wire::MacAddr;

/// An interface of a node, or a port of a switch.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its name in captures: `h1-eth0`, `s1-port2`.
    pub name: String,
    /// Its node.
    pub node: String,
    /// Its name at its node.
    pub interface: String,
    /// It is a port of a switch.
    pub is_port: bool,
    /// Its Ethernet address, where it is known.
    pub lladdr: Option<MacAddr>,
}

/// What joins two places.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Names of the places at its ends in captures.
    pub ends: [String; 2],
}

/// What is known of a network when its capture is read.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// All interfaces and ports.
    pub places: Vec<Place>,
    /// All links.
    pub links: Vec<Link>,
    /// Who has which address.
    pub addresses: Vec<(IpAddr, String)>,
}

/// Where a record was made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot<'p> {
    Place(&'p Place),
    /// A stage and what it is on: a link, an interface or port, or a switch.
    Stage(&'p str, &'p str),
}

impl Plan {
    pub(super) fn spot<'p>(&'p self, interface: &'p str) -> Option<Spot<'p>> {
        if let Some(place) = self.place(interface) {
            return Some(Spot::Place(place));
        }
        // A name holds no slash before the stage's own.
        let (owner, stage) = interface.split_once('/')?;
        Some(Spot::Stage(owner, stage))
    }

    pub(super) fn place(&self, name: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.name == name)
    }

    pub(super) fn link_of(&self, place: &str) -> Option<&Link> {
        self.links
            .iter()
            .find(|link| link.ends.iter().any(|end| end == place))
    }

    pub(super) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// Says whether a link is one of a node's.
    pub(super) fn joins(&self, link: &str, node: &str) -> bool {
        let ends = self.link(link).map_or(&[][..], |link| &link.ends);
        ends.iter()
            .any(|end| self.place(end).is_some_and(|place| place.node == node))
    }

    pub(super) fn has_node(&self, name: &str) -> bool {
        self.places.iter().any(|place| place.node == name)
    }

    /// Says whether an interface's kernel takes what is for an Ethernet address: its own, or one of those that the node made itself
    /// and that no link ends at, such as a bridge or a macvlan.
    pub(super) fn takes(&self, interface: &str, to: MacAddr) -> bool {
        let Some((place, own)) = self
            .place(interface)
            .and_then(|place| Some((place, place.lladdr?)))
        else {
            return true;
        };
        let made = |other: &&Place| other.node == place.node && self.link_of(&other.name).is_none();
        own == to
            || self
                .places
                .iter()
                .filter(made)
                .any(|other| other.lladdr == Some(to))
    }

    /// Returns the place at the other end of its link.
    pub(super) fn peer(&self, place: &str) -> Option<&Place> {
        let link = self.link_of(place)?;
        let [a, b] = &link.ends;
        self.place(if a == place { b } else { a })
    }

    pub(super) fn owner_of(&self, address: IpAddr) -> Option<&str> {
        let mut found = self.addresses.iter().filter(|(own, _)| *own == address);
        found.next().map(|(_, node)| node.as_str())
    }

    pub(super) fn owns(&self, node: &str, address: IpAddr) -> bool {
        self.addresses
            .iter()
            .any(|(own, of)| *own == address && of == node)
    }
}
