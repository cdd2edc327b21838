//! What a user declares: nodes, links, and the few things that hold for the whole lab.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde::Serialize;
use vnet_impair::Impairment;
use vnet_netlink::{Cidr, Mac};

use crate::error::TopologyError;
use crate::read;
use crate::schedule::Event;

/// A network as it was declared; the order of nodes and links is the order of their creation.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Name of the lab.
    pub name: Option<String>,
    /// Seed of everything random in the lab, at most `i64::MAX` because a lab file holds no larger number.
    pub seed: Option<u64>,
    /// Where automatic IPv4 subnets come from; `None`: no automatic IPv4 addresses.
    pub ipv4: Option<Cidr>,
    /// Where automatic IPv6 subnets come from; `None`: no automatic IPv6 addresses.
    pub ipv6: Option<Cidr>,
    /// Whether routers get routes, where they do not say it themselves.
    pub routing: Routing,
    /// Whether every node has a /tmp and a /run of its own.
    pub private_tmp: bool,
    /// How long the engine polls for more after a wake-up, in nanoseconds, where a link does not say it itself.
    pub busy_poll_ns: Option<u64>,
    /// Hosts, switches and routers.
    pub nodes: Vec<NodeSpec>,
    /// Links between them.
    pub links: Vec<LinkSpec>,
}

/// The pool of automatic IPv4 subnets where none is declared.
pub const DEFAULT_IPV4: Cidr = Cidr {
    ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)),
    prefix: 8,
};

/// The pool of automatic IPv6 subnets where none is declared (RFC 4193, with a zero global id: a lab is not connected).
pub const DEFAULT_IPV6: Cidr = Cidr {
    ip: IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0)),
    prefix: 48,
};

impl Default for Spec {
    fn default() -> Self {
        Self {
            name: None,
            seed: None,
            ipv4: Some(DEFAULT_IPV4),
            ipv6: Some(DEFAULT_IPV6),
            routing: Routing::Static,
            private_tmp: true,
            busy_poll_ns: None,
            nodes: Vec::new(),
            links: Vec::new(),
        }
    }
}

impl Spec {
    /// Finds a node by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeSpec> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// An end system.
    Host,
    /// Forwards frames by MAC address.
    Switch,
    /// Forwards packets by IP address.
    Router,
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Switch => "switch",
            Self::Router => "router",
        })
    }
}

/// Who makes the routes of routers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Routing {
    /// vnet: shortest paths, made once and again with each change of the topology.
    #[default]
    Static,
    /// The user, or a routing daemon.
    None,
}

/// Which default routes a node gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Gateway {
    /// A host's lead to the first router beside it, a router has none.
    #[default]
    Auto,
    /// None.
    None,
    /// Through these neighbours, at most one of each family.
    Via(Vec<IpAddr>),
}

/// A host, switch or router.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSpec {
    /// 1 to 63 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit; unique without regard to case.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Addresses of its first interface.
    pub ip: Vec<Cidr>,
    /// Ethernet address of its first interface.
    pub mac: Option<Mac>,
    /// Kernel settings by name, such as `net.ipv4.ip_forward`.
    pub sysctls: BTreeMap<String, String>,
    /// Directories that are empty and its own in this node, absolute.
    pub private_dirs: Vec<PathBuf>,
    /// Name servers of its resolv.conf.
    pub dns: Vec<IpAddr>,
    /// Its default routes.
    pub gateway: Gateway,
    /// Routes besides those.
    pub routes: Vec<RouteEntry>,
    /// A router's own choice; `None`: the lab's.
    pub routing: Option<Routing>,
    /// Shell commands to start in it when the lab is up.
    pub run: Vec<String>,
    /// Plugins of a switch.
    pub plugins: Vec<PluginUse>,
}

impl NodeSpec {
    /// Describes a node of which everything is automatic.
    pub fn new(name: impl Into<String>, kind: NodeKind) -> Self {
        Self {
            name: name.into(),
            kind,
            ip: Vec::new(),
            mac: None,
            sysctls: BTreeMap::new(),
            private_dirs: Vec::new(),
            dns: Vec::new(),
            gateway: Gateway::Auto,
            routes: Vec::new(),
            routing: None,
            run: Vec::new(),
            plugins: Vec::new(),
        }
    }
}

/// A route through a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RouteEntry {
    /// Destination; all zeros with prefix length 0 is the default route.
    pub to: Cidr,
    /// The neighbour.
    pub via: IpAddr,
}

/// A link between two nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkSpec {
    /// Its name; `None`: made of its ends' names (`h1-s1`, a second one `h1-s1-2`).
    pub name: Option<String>,
    /// One end.
    pub a: EndSpec,
    /// The other end.
    pub b: EndSpec,
    /// MTU of both ends in bytes; `None`: the kernel's 1500.
    pub mtu: Option<u32>,
    /// Whether it carries frames from the start.
    pub up: bool,
    /// What befalls its frames: from a to b, and from b to a.
    pub impair: [Impairment; 2],
    /// What happens to it at its time.
    pub schedule: Vec<Event>,
    /// Whether both ends may send IPv4 super-frames of up to 180,000 bytes (BIG TCP).
    pub big_tcp: bool,
    /// How long the engine polls for more after a wake-up, in nanoseconds; `None`: as the network says.
    pub busy_poll_ns: Option<u64>,
    /// Plugins on it, in order.
    pub plugins: Vec<PluginUse>,
}

impl LinkSpec {
    /// Describes a link of which everything is automatic.
    pub fn new(a: impl Into<String>, b: impl Into<String>) -> Self {
        Self {
            name: None,
            a: EndSpec::new(a),
            b: EndSpec::new(b),
            mtu: None,
            up: true,
            impair: Default::default(),
            schedule: Vec::new(),
            big_tcp: false,
            busy_poll_ns: None,
            plugins: Vec::new(),
        }
    }

    /// Returns one of its ends.
    #[must_use]
    pub fn end(&self, end: End) -> &EndSpec {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }
}

/// Which end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// The first one.
    A,
    /// The second one.
    B,
}

impl End {
    /// Both, in order.
    pub const BOTH: [End; 2] = [End::A, End::B];

    /// Returns the opposite end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// One end of a link: an interface of a host or router, or a port of a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndSpec {
    /// Name of the node.
    pub node: String,
    /// Name of the interface, at most 15 bytes; `None`: the next `eth0`, `eth1`, ...
    pub interface: Option<String>,
    /// Its addresses.
    pub ip: Vec<Cidr>,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
}

impl EndSpec {
    /// Describes an end of which everything is automatic.
    pub fn new(node: impl Into<String>) -> Self {
        Self {
            node: node.into(),
            interface: None,
            ip: Vec::new(),
            mac: None,
        }
    }
}

/// A plugin on a link or switch.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginUse {
    /// Path of a .wasm file, or the name of one that ships with vnet.
    pub plugin: String,
    /// Its options.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// `closed` or `open`.
    pub on_fault: Option<String>,
    /// `ingress`, `egress` or `both`.
    pub direction: Option<String>,
    /// Capabilities it gets: `random`, `inject`, `timer`.
    pub grants: Vec<String>,
    /// Largest module accepted in bytes; 1 MiB when `None`.
    pub module_cap: Option<u64>,
}

impl PluginUse {
    /// Reads a JSON list of plugins, in the form a lab file has them.
    ///
    /// # Errors
    /// [`TopologyError`] with the key, and what was expected there.
    pub fn list_from_json(text: &str) -> Result<Vec<Self>, TopologyError> {
        read::plugins(text)
    }

    /// Describes a plugin without options.
    pub fn new(plugin: impl Into<String>) -> Self {
        Self {
            plugin: plugin.into(),
            config: serde_json::Map::new(),
            on_fault: None,
            direction: None,
            grants: Vec::new(),
            module_cap: None,
        }
    }
}
