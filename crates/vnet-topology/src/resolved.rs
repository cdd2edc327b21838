//! A network of which everything is decided.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use vnet_impair::Impairment;
use vnet_netlink::{Cidr, Mac};

use crate::spec::{End, NodeKind};

/// The plan that follows from a [`Spec`](crate::Spec): nodes and links stand in the spec's order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Resolved {
    /// Nodes, one for each of the spec's, at the same position.
    pub nodes: Vec<ResolvedNode>,
    /// Links, one for each of the spec's, at the same position.
    pub links: Vec<ResolvedLink>,
    /// Broadcast domains, in the order of their first link.
    pub segments: Vec<Segment>,
    /// The text of every node's /etc/hosts.
    pub hosts: String,
    /// The number that the next interface's `id` will be.
    pub next_id: u32,
}

/// A node with its interfaces.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResolvedNode {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// What its programs see as the host's name.
    pub hostname: String,
    /// Interfaces in the order of their links; a switch's are its ports.
    pub interfaces: Vec<ResolvedInterface>,
    /// All its routes but those that the kernel makes of addresses; IPv4 before IPv6.
    pub routes: Vec<ResolvedRoute>,
    /// Kernel settings of the node as a whole, forwarding included: to be written before its interfaces are made,
    /// which take theirs over.
    pub sysctls: BTreeMap<String, String>,
    /// Kernel settings that name an interface: to be written once it exists.
    pub interface_sysctls: BTreeMap<String, String>,
}

/// An interface of a host or router, or a port of a switch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResolvedInterface {
    /// Unique in the lab, from 1 up, never given again while the lab runs.
    pub id: u32,
    /// Position among all interfaces that the node has had room for: 0 for eth0; free again when the link is gone.
    pub number: u32,
    /// Its name, unique in the node: `eth0`, ...; a switch's are `port1`, ...
    pub name: String,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its addresses, explicit and automatic, IPv4 before IPv6; a switch port has none.
    pub addresses: Vec<Cidr>,
    /// Position of its link in [`Resolved::links`].
    pub link: usize,
    /// Which end of the link it is.
    pub end: End,
}

/// A route of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ResolvedRoute {
    /// Destination; all zeros with prefix length 0 is the default route.
    pub to: Cidr,
    /// The neighbour it leads through.
    pub via: IpAddr,
    /// Position of the interface in [`ResolvedNode::interfaces`].
    pub interface: usize,
}

/// A link with its ends found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResolvedLink {
    /// Its name, unique among links and nodes.
    pub name: String,
    /// Where its first end is.
    pub a: Slot,
    /// Where its second end is.
    pub b: Slot,
    /// MTU of both ends in bytes; `None`: the kernel's 1500.
    pub mtu: Option<u32>,
    /// Whether it carries frames from the start.
    pub up: bool,
    /// What befalls its frames: from a to b, and from b to a.
    pub impair: [Impairment; 2],
    /// Whether both ends may send IPv4 super-frames of up to 180,000 bytes.
    pub big_tcp: bool,
    /// How long the engine polls for more of its frames after a wake-up, in nanoseconds.
    pub busy_poll_ns: u64,
}

impl ResolvedLink {
    /// Returns where one of its ends is.
    #[must_use]
    pub fn end(&self, end: End) -> Slot {
        match end {
            End::A => self.a,
            End::B => self.b,
        }
    }
}

/// Where an interface stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Slot {
    /// Position of its node in [`Resolved::nodes`].
    pub node: usize,
    /// Its position in [`ResolvedNode::interfaces`].
    pub interface: usize,
}

/// A broadcast domain: a link between hosts and routers, or switches joined by links with all that hangs on them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Positions of its links in [`Resolved::links`].
    pub links: Vec<usize>,
    /// Positions of its switches in [`Resolved::nodes`].
    pub switches: Vec<usize>,
    /// Interfaces of hosts and routers in it, in creation order.
    pub interfaces: Vec<Slot>,
    /// Networks in use there, host bits zero, IPv4 before IPv6; of each family automatic addresses come from the first
    /// one that has room for neighbours.
    pub subnets: Vec<Cidr>,
}

impl Resolved {
    /// Finds a node by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<(usize, &ResolvedNode)> {
        self.nodes.iter().enumerate().find(|(_, node)| node.name == name)
    }

    /// Finds a link by its name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<(usize, &ResolvedLink)> {
        self.links.iter().enumerate().find(|(_, link)| link.name == name)
    }

    /// Returns the interface at a place of this plan.
    ///
    /// # Panics
    /// When the slot is another plan's.
    #[must_use]
    pub fn interface(&self, slot: Slot) -> &ResolvedInterface {
        &self.nodes[slot.node].interfaces[slot.interface]
    }
}
