//! Interfaces: which each node has, and their numbers, names and Ethernet addresses.

use std::collections::{HashMap, HashSet};

use vnet_netlink::Mac;

use crate::error::{Place, TopologyError};
use crate::names::{interface_name, link_names};
use crate::places::{Places, Subject};
use crate::resolved::{Resolved, ResolvedInterface, ResolvedLink, ResolvedNode, Slot};
use crate::spec::{End, EndSpec, NodeKind, NodeSpec, Spec};

/// First bytes of automatic Ethernet addresses: locally administered, one space for interfaces of nodes and one for
/// ports of switches.
const NODE_MAC: [u8; 2] = [0x02, 0x00];
const PORT_MAC: [u8; 2] = [0x02, 0x01];

/// Makes a plan that has nodes, links and interfaces, without addresses and routes.
pub(crate) fn decide(
    spec: &Spec,
    before: Option<&Resolved>,
    places: &Places,
) -> Result<Resolved, TopologyError> {
    let mut plan = Resolved {
        nodes: spec.nodes.iter().map(bare).collect(),
        next_id: before.map_or(1, |before| before.next_id),
        ..Resolved::default()
    };
    let node_at: HashMap<&str, usize> = spec
        .nodes
        .iter()
        .enumerate()
        .map(|(at, node)| (node.name.as_str(), at))
        .collect();
    let names = link_names(spec);
    let old = Old::of(before);
    let mut room: Vec<Room> = plan.nodes.iter().map(|_| Room::default()).collect();
    let mut macs = Macs::default();
    for (at, link) in spec.links.iter().enumerate() {
        for end in End::BOTH {
            let node = node_at[link.end(end).node.as_str()];
            let declared = link.end(end);
            let found = old.find(&declared.node, &names[at], end);
            room[node].reserve(declared, found);
            if let Some(kept) = found {
                macs.used.insert(kept.mac);
            }
            macs.used.extend(declared.mac);
        }
    }
    macs.used.extend(spec.nodes.iter().filter_map(|node| node.mac));
    for (at, (link, name)) in spec.links.iter().zip(names).enumerate() {
        let mut slots = [Slot {
            node: 0,
            interface: 0,
        }; 2];
        for (slot, end) in slots.iter_mut().zip(End::BOTH) {
            let declared = link.end(end);
            let node = node_at[declared.node.as_str()];
            let found = old.find(&declared.node, &name, end);
            let interface = interface(&spec.nodes[node], declared, found, &mut room[node], &mut macs);
            *slot = Slot {
                node,
                interface: plan.nodes[node].interfaces.len(),
            };
            plan.nodes[node].interfaces.push(ResolvedInterface {
                id: found.map_or(plan.next_id, |kept| kept.id),
                link: at,
                end,
                ..interface
            });
            plan.next_id += u32::from(found.is_none());
        }
        let [a, b] = slots;
        plan.links.push(ResolvedLink {
            name,
            a,
            b,
            mtu: link.mtu,
            up: link.up,
            impair: link.impair.clone(),
            big_tcp: link.big_tcp,
            busy_poll_ns: link.busy_poll_ns.or(spec.busy_poll_ns).unwrap_or(0),
        });
    }
    check_unique(spec, places, &plan)?;
    Ok(plan)
}

fn bare(node: &NodeSpec) -> ResolvedNode {
    ResolvedNode {
        name: node.name.clone(),
        kind: node.kind,
        hostname: node.name.clone(),
        interfaces: Vec::new(),
        routes: Vec::new(),
        sysctls: std::collections::BTreeMap::new(),
        interface_sysctls: std::collections::BTreeMap::new(),
    }
}

/// Decides one interface: what is explicit, else what it was, else the next that is free.
fn interface(
    node: &NodeSpec,
    declared: &EndSpec,
    kept: Option<&ResolvedInterface>,
    room: &mut Room,
    macs: &mut Macs,
) -> ResolvedInterface {
    let number = kept.map_or_else(|| room.next_number(), |kept| kept.number);
    let explicit_mac = declared.mac.or(if number == 0 { node.mac } else { None });
    ResolvedInterface {
        id: 0,
        number,
        name: declared
            .interface
            .clone()
            .or_else(|| kept.map(|kept| kept.name.clone()))
            .unwrap_or_else(|| room.next_name(node.kind)),
        mac: explicit_mac
            .or_else(|| kept.map(|kept| kept.mac))
            .unwrap_or_else(|| macs.next(node.kind)),
        addresses: Vec::new(),
        link: 0,
        end: End::A,
    }
}

/// The numbers and names that a node's interfaces have.
#[derive(Default)]
struct Room {
    numbers: HashSet<u32>,
    names: HashSet<String>,
    next_number: u32,
    next_name: u32,
}

impl Room {
    /// Keeps what is decided from being given to another interface.
    fn reserve(&mut self, declared: &EndSpec, kept: Option<&ResolvedInterface>) {
        self.numbers.extend(kept.map(|kept| kept.number));
        self.names.extend(
            declared
                .interface
                .clone()
                .or_else(|| kept.map(|kept| kept.name.clone())),
        );
    }

    fn next_number(&mut self) -> u32 {
        while !self.numbers.insert(self.next_number) {
            self.next_number += 1;
        }
        self.next_number
    }

    fn next_name(&mut self, kind: NodeKind) -> String {
        loop {
            let name = interface_name(kind, self.next_name);
            self.next_name += 1;
            if self.names.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// The Ethernet addresses of the lab.
#[derive(Default)]
struct Macs {
    used: HashSet<Mac>,
    next: HashMap<[u8; 2], u32>,
}

impl Macs {
    fn next(&mut self, kind: NodeKind) -> Mac {
        let space = if kind == NodeKind::Switch {
            PORT_MAC
        } else {
            NODE_MAC
        };
        let next = self.next.entry(space).or_insert(0);
        loop {
            *next += 1;
            let [a, b, c, d] = next.to_be_bytes();
            let mac = Mac([space[0], space[1], a, b, c, d]);
            if self.used.insert(mac) {
                return mac;
            }
        }
    }
}

/// The interfaces of an earlier plan by node, link and end.
struct Old<'a> {
    interfaces: HashMap<(&'a str, &'a str, End), &'a ResolvedInterface>,
}

impl<'a> Old<'a> {
    fn of(before: Option<&'a Resolved>) -> Self {
        let mut interfaces = HashMap::new();
        if let Some(before) = before {
            for node in &before.nodes {
                for interface in &node.interfaces {
                    let link = before.links[interface.link].name.as_str();
                    interfaces.insert((node.name.as_str(), link, interface.end), interface);
                }
            }
        }
        Self { interfaces }
    }

    fn find(&self, node: &str, link: &str, end: End) -> Option<&'a ResolvedInterface> {
        self.interfaces.get(&(node, link, end)).copied()
    }
}

/// What an earlier plan has decided about the interfaces of a plan.
pub(crate) struct Kept<'a> {
    interfaces: HashMap<Slot, &'a ResolvedInterface>,
}

impl<'a> Kept<'a> {
    pub fn of(plan: &Resolved, before: Option<&'a Resolved>) -> Self {
        let old = Old::of(before);
        let mut interfaces = HashMap::new();
        for (at, node) in plan.nodes.iter().enumerate() {
            for (number, interface) in node.interfaces.iter().enumerate() {
                if let Some(kept) = old.find(&node.name, &plan.links[interface.link].name, interface.end) {
                    interfaces.insert(
                        Slot {
                            node: at,
                            interface: number,
                        },
                        kept,
                    );
                }
            }
        }
        Self { interfaces }
    }

    /// Returns what an interface was, if it was.
    pub fn find(&self, slot: Slot) -> Option<&'a ResolvedInterface> {
        self.interfaces.get(&slot).copied()
    }
}

/// Returns where a key of an interface was declared: at its link's end, or, for a first interface, at the node.
pub(crate) fn place(spec: &Spec, places: &Places, plan: &Resolved, slot: Slot, key: &'static str) -> Place {
    let interface = plan.interface(slot);
    let (node, end) = (
        &spec.nodes[slot.node],
        spec.links[interface.link].end(interface.end),
    );
    let at_node = match key {
        "ip" => end.ip.is_empty() && !node.ip.is_empty(),
        "mac" => end.mac.is_none() && node.mac.is_some(),
        _ => false,
    };
    if at_node && interface.number == 0 {
        return places.of(spec, Subject::NodeKey(slot.node, key));
    }
    places.of(spec, Subject::EndKey(interface.link, interface.end, key))
}

/// Refuses two interfaces of one Ethernet address, and two of one name in a node.
fn check_unique(spec: &Spec, places: &Places, plan: &Resolved) -> Result<(), TopologyError> {
    let mut macs: HashMap<Mac, Slot> = HashMap::new();
    for (at, node) in plan.nodes.iter().enumerate() {
        let mut names: HashMap<&str, Slot> = HashMap::new();
        for (number, interface) in node.interfaces.iter().enumerate() {
            let slot = Slot {
                node: at,
                interface: number,
            };
            let duplicate = |key, what: String, first| TopologyError::Duplicate {
                at: place(spec, places, plan, slot, key),
                what,
                first: Box::new(place(spec, places, plan, first, key)),
                fix: "take another, or leave it out".into(),
            };
            if let Some(first) = names.insert(&interface.name, slot) {
                let what = format!("the interface name {}", interface.name);
                return Err(duplicate("interface", what, first));
            }
            if let Some(first) = macs.insert(interface.mac, slot) {
                return Err(duplicate(
                    "mac",
                    format!("the Ethernet address {}", interface.mac),
                    first,
                ));
            }
        }
    }
    Ok(())
}
