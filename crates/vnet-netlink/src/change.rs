use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Cidr, Mac};

/// One change to one network namespace, in the kernel's terms.
///
/// Interfaces are named by their number, which who makes them chooses; so nothing is
/// looked up between two changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Change {
    /// Makes a veth pair, both ends down. Each end has one queue per direction,
    /// whatever the number of processors.
    ///
    /// The numbers of ends in two namespaces should differ: where they are equal, the
    /// kernel takes neither for a device on top of another (`linkwatch_urgent_event`,
    /// net/core/link_watch.c) and may let up to a second pass before frames can.
    Veth {
        /// The number of the end in this namespace.
        index: u32,
        /// Its name.
        name: String,
        /// Its Ethernet address, or one the kernel chooses.
        mac: Option<Mac>,
        /// Bytes of payload both ends take, or 1500.
        mtu: Option<u32>,
        /// The other end.
        peer: PeerEnd,
    },
    /// Makes a bridge, down and without ports, that forwards at once and floods
    /// multicast: no spanning tree, no snooping, no VLANs.
    Bridge {
        /// Its number.
        index: u32,
        /// Its name.
        name: String,
        /// Its Ethernet address, or the lowest of its ports'.
        mac: Option<Mac>,
        /// Bytes of payload, or the smallest of its ports'.
        mtu: Option<u32>,
    },
    /// Makes an intermediate functional block device, down.
    Ifb {
        /// Its number.
        index: u32,
        /// Its name.
        name: String,
    },
    /// Deletes an interface; the other end of a veth goes with it.
    Delete {
        /// Its number.
        index: u32,
    },
    /// Sets properties of an interface.
    Link {
        /// Its number.
        index: u32,
        /// The properties; those that are `None` stay as they are.
        set: LinkSet,
    },
    /// Gives an interface an address. An IPv6 address is usable at once, without
    /// duplicate address detection.
    AddAddress {
        /// The interface.
        index: u32,
        /// The address.
        address: Cidr,
    },
    /// Takes an address from an interface.
    DelAddress {
        /// The interface.
        index: u32,
        /// The address, as it was given.
        address: Cidr,
    },
    /// Adds a route to the main table, or replaces the one to the same network
    /// with the same metric.
    AddRoute(RouteSpec),
    /// Deletes a route of the main table: the first to that network which has what is given of gateway, interface and
    /// metric.
    DelRoute(RouteSpec),
    /// Fixes the Ethernet address of a neighbour.
    AddNeighbour {
        /// The interface the neighbour is behind.
        index: u32,
        /// Its IP address.
        ip: IpAddr,
        /// Its Ethernet address.
        mac: Mac,
    },
    /// Forgets a neighbour.
    DelNeighbour {
        /// The interface the neighbour is behind.
        index: u32,
        /// Its IP address.
        ip: IpAddr,
    },
    /// Gives an interface the place where a redirect can hang (`tc qdisc add dev ... ingress`).
    IngressQdisc {
        /// The interface.
        index: u32,
    },
    /// Sends every frame that arrives at an interface, of whatever length, to
    /// another instead of up the stack.
    Redirect {
        /// The interface the frames arrive at; it has a [`Change::IngressQdisc`].
        index: u32,
        /// The smallest number present decides; 1 to 65535.
        prio: u16,
        /// The interface they go to.
        to: u32,
        /// By which of its doors.
        into: Into,
    },
    /// Takes the redirect of that number away.
    DelRedirect {
        /// The interface it hangs at.
        index: u32,
        /// Its number.
        prio: u16,
    },
    /// Makes a bridge forget the addresses it has learnt.
    FlushFdb {
        /// The bridge.
        bridge: u32,
    },
}

/// The other end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerEnd {
    /// The namespace it is made in, which may be that of the first end.
    pub space: u32,
    /// Its number there.
    pub index: u32,
    /// Its name there.
    pub name: String,
    /// Its Ethernet address, or one the kernel chooses.
    pub mac: Option<Mac>,
}

/// Properties of an interface to set; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkSet {
    /// Whether it is up. It is set last, after all the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<bool>,
    /// Bytes of payload it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Bytes of the longest super-frame over IPv4 it sends, and lets received segments grow to, with 65,536 the usual: more
    /// is BIG TCP (`gso_ipv4_max_size` and `gro_ipv4_max_size` of ip-link(8); kernels before 6.3 take no notice).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gso_ipv4_max: Option<u32>,
    /// Its Ethernet address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// The bridge it is a port of; 0 takes it out of its bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<u32>,
    /// Whether it does without address resolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noarp: Option<bool>,
    /// Whether the kernel gives it an IPv6 link-local address by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addrgen: Option<bool>,
    /// Has IPv4 packets that come in by it forwarded, whichever way their sender would be reached: `forwarding` and a loose
    /// `rp_filter` of its kernel settings, for where /proc/sys cannot be written. IPv6 has no such request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forward_ipv4: bool,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its alias, up to 255 bytes; an empty one clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// A route, through a gateway, an interface, or both; one that is to be deleted may have neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// The network; 0.0.0.0/0 or ::/0 for the default.
    pub to: Cidr,
    /// The gateway.
    pub via: Option<IpAddr>,
    /// The interface.
    pub index: Option<u32>,
    /// Of two routes to one network the smaller metric is taken; the kernel's
    /// choice is 0 for IPv4 and 1024 for IPv6.
    pub metric: Option<u32>,
}

/// The door of an interface a redirected frame enters by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Into {
    /// It is sent by that interface.
    Egress,
    /// It arrives at that interface.
    Ingress,
}
