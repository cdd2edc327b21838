use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Cidr, Mac};

/// A route of the main table, as it was when it was asked for.
///
/// A route with several next hops is given once for each of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The network; 0.0.0.0/0 or ::/0 for the default.
    pub to: Cidr,
    /// The gateway, where there is one.
    pub via: Option<IpAddr>,
    /// The interface frames leave by, where there is one.
    pub index: Option<u32>,
    /// Of two routes to one network the smaller metric is taken.
    pub metric: u32,
    /// The address that frames of this node carry on it, where it is fixed.
    pub source: Option<IpAddr>,
    /// Who made it, as `ip route` writes it: `kernel`, `boot`, `static`, `ra`,
    /// `ospf`, `zebra`, or a number.
    pub protocol: String,
    /// What it does: `unicast`, or `blackhole`, `unreachable`, `prohibit`, `throw`.
    pub kind: String,
}

/// A neighbour an interface has resolved, or tries to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The interface it is behind.
    pub index: u32,
    /// Its IP address.
    pub ip: IpAddr,
    /// Its Ethernet address, once that is known.
    pub mac: Option<Mac>,
    /// The kernel's state of the entry, in lower case: `permanent`, `reachable`,
    /// `stale`, `delay`, `probe`, `incomplete`, `failed`.
    pub state: String,
}

/// An address a bridge knows, and the port behind which it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbEntry {
    /// The Ethernet address.
    pub mac: Mac,
    /// The port by its interface number; the bridge's own for its own address.
    pub port: u32,
    /// The VLAN it was seen in, where the bridge tells VLANs apart.
    pub vlan: Option<u16>,
    /// Whether it is an address of the bridge or a port itself, not learnt.
    pub is_local: bool,
}
