use std::fmt;

use vnet_datapath::{Direction, LinkSide, Place};
use vnet_topology::{NodeKind, Resolved, ResolvedLink, Slot};

use crate::error::LabError;
use crate::network::{one_of, unknown_link, unknown_node};
use crate::numbers::lab_end;
use crate::plan::{SwitchPort, mtu, switch_ports};

/// Where in a network a plugin or recording is put.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// On a link, by its name: every frame that passes it, `ingress` from its first end.
    Link(String),
    /// At an interface of a node; `ingress` is what the node sends.
    Interface {
        /// The node.
        node: String,
        /// Its interface, such as `eth0`; a switch's are its ports, `port1` and so on.
        interface: String,
    },
    /// At the entrance of a switch: every frame that reaches it, by whichever port.
    Switch(String),
}

/// Names an island.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// A link without a switch.
    Link(String),
    /// A switch with all its ports.
    Switch(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => write!(f, "link {name}"),
            Self::Switch(name) => write!(f, "switch {name}"),
        }
    }
}

/// A place in an island.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub key: Key,
    pub ports: Vec<SwitchPort>,
    pub site: Site,
}

/// Which place of the island it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// A link between two nodes.
    Wire,
    /// An end of such a link, or a switch's port, by its lab end.
    Port(u32),
    /// The link behind a switch's port.
    Link(u32, LinkSide),
    Switch,
}

impl Site {
    /// The lab end the place is at; `None` for one that needs no particular port.
    pub(crate) fn lab_end(self) -> Option<u32> {
        match self {
            Site::Port(lab_end) | Site::Link(lab_end, _) => Some(lab_end),
            Site::Wire | Site::Switch => None,
        }
    }

    /// The place in the island's pipeline, where the port of its lab end is `port`.
    pub(crate) fn place(self, port: usize, direction: Direction) -> Place {
        match self {
            Site::Wire => Place::Wire(direction),
            Site::Port(_) => Place::Port(port, direction),
            Site::Link(_, side) => Place::Link(port, direction, side),
            Site::Switch => Place::Switch(direction),
        }
    }
}

impl Spot {
    pub(crate) fn find(plan: &Resolved, at: &At) -> Result<Self, LabError> {
        match at {
            At::Link(name) => {
                let (_, link) = plan.link(name).ok_or_else(|| unknown_link(plan, name))?;
                Ok(Self::on_link(plan, link))
            }
            At::Interface { node, interface } => {
                let (_, found) = plan.node(node).ok_or_else(|| unknown_node(plan, node))?;
                let found = found
                    .interfaces
                    .iter()
                    .find(|known| known.name == *interface)
                    .ok_or_else(|| LabError::Unknown {
                        what: format!("interface {interface} of {node}"),
                        hint: one_of(
                            "interfaces",
                            found.interfaces.iter().map(|known| known.name.as_str()),
                        ),
                    })?;
                let link = &plan.links[found.link];
                let whole = Self::on_link(plan, link);
                Ok(match whole.key {
                    Key::Link(_) => Self {
                        site: Site::Port(lab_end(found)),
                        ..whole
                    },
                    Key::Switch(_) => Self::at_port(plan, link, node),
                })
            }
            At::Switch(name) => {
                let (_, found) = plan.node(name).ok_or_else(|| unknown_node(plan, name))?;
                if found.kind != NodeKind::Switch {
                    return Err(LabError::bad(
                        format!("{} {name} is no switch", found.kind),
                        "attach to one of its interfaces",
                    ));
                }
                Ok(Self {
                    key: Key::Switch(name.clone()),
                    ports: ports_of(plan, name),
                    site: Site::Switch,
                })
            }
        }
    }

    /// A link without a switch is an island; else it belongs to the switch, to the first one where it has two.
    fn on_link(plan: &Resolved, link: &ResolvedLink) -> Self {
        let Some(port) = switch_ports(plan, link).into_iter().next() else {
            let end = |slot: Slot| SwitchPort {
                switch: String::new(),
                link: link.name.clone(),
                lab_end: lab_end(plan.interface(slot)),
                mtu: mtu(link),
                big_tcp: link.big_tcp,
                neighbour: format!("{}:{}", plan.nodes[slot.node].name, plan.interface(slot).name),
            };
            return Self {
                key: Key::Link(link.name.clone()),
                ports: vec![end(link.a), end(link.b)],
                site: Site::Wire,
            };
        };
        let near_a = plan.nodes[link.a.node].name == port.switch;
        let side = if near_a { LinkSide::B } else { LinkSide::A };
        Self {
            ports: ports_of(plan, &port.switch),
            key: Key::Switch(port.switch),
            site: Site::Link(port.lab_end, side),
        }
    }

    /// The port a node's link ends at: of the node itself if it is a switch, else of its neighbour.
    fn at_port(plan: &Resolved, link: &ResolvedLink, node: &str) -> Self {
        let mut ports = switch_ports(plan, link);
        let own = ports.iter().position(|port| port.switch == node).unwrap_or(0);
        let port = ports.swap_remove(own);
        Self {
            ports: ports_of(plan, &port.switch),
            key: Key::Switch(port.switch),
            site: Site::Port(port.lab_end),
        }
    }
}

/// The ports of a switch, in the order its links were made.
pub(crate) fn ports_of(plan: &Resolved, switch: &str) -> Vec<SwitchPort> {
    let Some((_, node)) = plan.node(switch) else {
        return Vec::new();
    };
    node.interfaces
        .iter()
        .flat_map(|port| switch_ports(plan, &plan.links[port.link]))
        .filter(|port| port.switch == switch)
        .collect()
}
