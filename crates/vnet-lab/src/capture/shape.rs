//! What of the engine's parts a capture is about.

use vnet_datapath::{Scope, ScopePort};
use vnet_packet::pcap;
use vnet_topology::{NodeKind, Resolved, ResolvedLink, Slot};

use crate::island::{Held, Key};
use crate::numbers::lab_end;

/// Which links and switch ports are captured.
#[derive(Default)]
pub(super) struct Shape {
    /// Links whose own impairments and plugins are of interest.
    pub links: Vec<String>,
    /// Links whose deliveries the engine records, where it carries them.
    pub delivered: Vec<String>,
    /// Switch ports, by switch and link.
    pub ports: Vec<(String, String)>,
}

impl Shape {
    /// What is of interest of an engine's part.
    pub(super) fn scope(&self, plan: &Resolved, held: &Held) -> Option<Scope> {
        let (whole, ends) = match &held.inner.key {
            Key::Link(name) => {
                let (_, link) = plan.link(name)?;
                (name.clone(), vec![(link, link.a), (link, link.b)])
            }
            Key::Switch(name) => {
                let (_, node) = plan.node(name)?;
                let ends = node.interfaces.iter().map(|interface| {
                    let link = &plan.links[interface.link];
                    (link, near(plan, link, name))
                });
                (name.clone(), ends.collect())
            }
        };
        let mut scope = Scope {
            whole,
            ..Scope::default()
        };
        for (link, near) in ends {
            let is_switch = plan.nodes[near.node].kind == NodeKind::Switch;
            let far = far(link, near);
            let behind = if is_switch { far } else { near };
            let between = is_switch && plan.nodes[far.node].kind == NodeKind::Switch;
            let own = if is_switch && !between { far } else { near };
            let Some(number) = held.port(lab_end(plan.interface(own))) else {
                continue;
            };
            if scope.names.len() <= number {
                scope.names.resize(number + 1, String::new());
            }
            scope.names[number] = name_of(plan, near);
            let is_port = is_switch
                && self
                    .ports
                    .iter()
                    .any(|(switch, of)| *switch == plan.nodes[near.node].name && *of == link.name);
            let is_delivered = !is_switch && self.delivered.contains(&link.name);
            if !is_port && !self.links.contains(&link.name) {
                continue;
            }
            let leaving = match (is_port, is_delivered) {
                (true, _) => Some(pcap::Direction::Outbound),
                (_, true) => Some(pcap::Direction::Inbound),
                _ => None,
            };
            let seen = if is_port { near } else { behind };
            scope.ports.push(ScopePort {
                number,
                name: name_of(plan, seen),
                description: format!("{} and link {}", name_of(plan, seen), link.name),
                device: name_of(plan, behind),
                link: link.name.clone(),
                is_first: behind == link.a,
                arriving: false,
                leaving,
            });
        }
        (!scope.ports.is_empty()).then_some(scope)
    }
}

pub(super) fn slot(plan: &Resolved, node: &str, interface: usize) -> Slot {
    let node = plan.node(node).map_or(0, |(at, _)| at);
    Slot { node, interface }
}

/// The name of an interface in a file.
pub(super) fn name_of(plan: &Resolved, at: Slot) -> String {
    format!("{}-{}", plan.nodes[at.node].name, plan.interface(at).name)
}

pub(super) fn far(link: &ResolvedLink, near: Slot) -> Slot {
    if near == link.a { link.b } else { link.a }
}

fn near(plan: &Resolved, link: &ResolvedLink, node: &str) -> Slot {
    if plan.nodes[link.a.node].name == node {
        link.a
    } else {
        link.b
    }
}
