//! Which sockets a capture needs.

use vnet_datapath::{Shown, Tapped};
use vnet_packet::Layer;
use vnet_sandbox::Space;
use vnet_topology::{NodeKind, ResolvedLink, Slot};

use super::Captured;
use super::shape::{Shape, far, name_of, slot};
use crate::error::LabError;
use crate::island::{At, Spot};
use crate::network::{Live, unknown_link, unknown_node};
use crate::numbers::{in_node, lab_end};
use crate::plan::node_ends;

/// A socket of a capture.
pub(super) struct Tap {
    pub space: Space,
    pub of: Of,
}

/// What it records.
pub(super) enum Of {
    /// An interface, by the kernel's number.
    One { index: u32, tapped: Named },
    /// All of a node but loopback, those that it gets later, too.
    All {
        prefix: String,
        whose: String,
        /// Those that there are.
        there: Vec<(u32, String, Layer)>,
    },
}

/// How an interface is called in the file, and what of it is recorded.
pub(super) struct Named {
    name: String,
    description: String,
    layer: Layer,
    shown: Shown,
    /// It is the far side of the interface that is meant.
    is_far: bool,
}

/// A namespace and the kernel's number of an interface there, 0 for all.
pub(super) type Key = u64;

impl Tap {
    /// What it records.
    pub(super) fn key(&self) -> Key {
        let index = match &self.of {
            Of::One { index, .. } => *index,
            Of::All { .. } => 0,
        };
        u64::from(self.space.0) << 32 | u64::from(index)
    }
}

impl Named {
    pub(super) fn borrowed(&self) -> Tapped<'_> {
        Tapped {
            name: &self.name,
            description: &self.description,
            layer: self.layer,
            shown: self.shown,
            is_far: self.is_far,
        }
    }
}

impl Live {
    pub(super) fn plan_capture(&self, what: &Captured, stages: bool) -> Result<(Vec<Tap>, Shape), LabError> {
        let plan = &*self.plan;
        let (mut taps, mut shape) = (Vec::new(), Shape::default());
        match what {
            Captured::At(At::Link(name)) => {
                let (_, link) = plan.link(name).ok_or_else(|| unknown_link(plan, name))?;
                self.plan_link(link, stages, &mut taps, &mut shape)?;
            }
            Captured::At(at @ At::Switch(name)) => {
                Spot::find(plan, at)?;
                self.plan_switch(name, &mut taps, &mut shape);
            }
            Captured::At(At::Interface { node, interface }) => {
                self.plan_node(node, Some(std::slice::from_ref(interface)), &mut taps, &mut shape)?;
            }
            Captured::Node { node, interfaces } => {
                self.plan_node(node, interfaces.as_deref(), &mut taps, &mut shape)?;
            }
            Captured::Network => {
                for node in &plan.nodes {
                    if node.kind == NodeKind::Switch {
                        self.plan_switch(&node.name, &mut taps, &mut shape);
                        continue;
                    }
                    for at in 0..node.interfaces.len() {
                        let slot = slot(plan, &node.name, at);
                        taps.push(self.seen_by_node(slot)?);
                    }
                }
                shape.links = plan.links.iter().map(|link| link.name.clone()).collect();
            }
        }
        Ok((taps, shape))
    }

    fn plan_node(
        &self,
        name: &str,
        interfaces: Option<&[String]>,
        taps: &mut Vec<Tap>,
        shape: &mut Shape,
    ) -> Result<(), LabError> {
        let plan = &*self.plan;
        let (_, node) = plan.node(name).ok_or_else(|| unknown_node(plan, name))?;
        if node.kind == NodeKind::Switch {
            let Some(wanted) = interfaces else {
                self.plan_switch(name, taps, shape);
                return Ok(());
            };
            for wanted in wanted {
                let at = At::Interface {
                    node: name.to_owned(),
                    interface: wanted.clone(),
                };
                Spot::find(plan, &at)?;
                if let Some(at) = node.interfaces.iter().position(|known| known.name == *wanted) {
                    self.plan_port(slot(plan, name, at), taps, shape);
                }
            }
            return Ok(());
        }
        let space = self.space(name)?;
        let there = self.lab.links(space)?;
        let layer = |link: &vnet_netlink::Interface| {
            let is_bare = link.mac.is_none() && link.name != "lo";
            if is_bare { Layer::L3 } else { Layer::L2 }
        };
        let Some(wanted) = interfaces else {
            let links = node
                .interfaces
                .iter()
                .map(|interface| &plan.links[interface.link]);
            shape.links.extend(links.map(|link| link.name.clone()));
            let there = there.iter().filter(|link| link.kind.is_some());
            taps.push(Tap {
                space,
                of: Of::All {
                    prefix: name.to_owned(),
                    whose: format!("{} {name}", node.kind),
                    there: there
                        .map(|link| (link.index, link.name.clone(), layer(link)))
                        .collect(),
                },
            });
            return Ok(());
        };
        for wanted in wanted {
            if let Some(at) = node.interfaces.iter().position(|known| known.name == *wanted) {
                taps.push(self.seen_by_node(slot(plan, name, at))?);
                shape
                    .links
                    .push(plan.links[node.interfaces[at].link].name.clone());
                continue;
            }
            let index = self.interface(name, space, wanted)?;
            let found = there.iter().find(|link| link.index == index);
            let tapped = Named {
                description: format!("interface {wanted} of {} {name}, seen by its kernel", node.kind),
                name: format!("{name}-{wanted}"),
                layer: found.map_or(Layer::L2, layer),
                shown: Shown::Both,
                is_far: false,
            };
            taps.push(Tap {
                space,
                of: Of::One { index, tapped },
            });
        }
        Ok(())
    }

    fn plan_switch(&self, name: &str, taps: &mut Vec<Tap>, shape: &mut Shape) {
        let Some((_, node)) = self.plan.node(name) else {
            return;
        };
        for at in 0..node.interfaces.len() {
            self.plan_port(slot(&self.plan, name, at), taps, shape);
        }
    }

    /// A port of a switch, by the interface of the lab that is the bridge's port: it shows what comes whoever carries it, and
    /// what the bridge sends; what the engine sends there the engine itself records, past every socket.
    fn plan_port(&self, at: Slot, taps: &mut Vec<Tap>, shape: &mut Shape) {
        let plan = &*self.plan;
        let interface = plan.interface(at);
        let link = &plan.links[interface.link];
        let switch = &plan.nodes[at.node].name;
        let far = far(link, at);
        // Between two switches each has an interface of its own in the lab.
        let own = if plan.nodes[far.node].kind == NodeKind::Switch {
            at
        } else {
            far
        };
        taps.push(Tap {
            space: Space::LAB,
            of: Of::One {
                index: lab_end(plan.interface(own)),
                tapped: Named {
                    name: name_of(plan, at),
                    description: format!(
                        "port {} of switch {switch}, towards {}",
                        interface.name,
                        name_of(plan, far)
                    ),
                    layer: Layer::L2,
                    shown: Shown::Both,
                    is_far: false,
                },
            },
        });
        shape.links.push(link.name.clone());
        shape.ports.push((switch.clone(), link.name.clone()));
    }

    fn plan_link(
        &self,
        link: &ResolvedLink,
        stages: bool,
        taps: &mut Vec<Tap>,
        shape: &mut Shape,
    ) -> Result<(), LabError> {
        let plan = &*self.plan;
        let ports: Vec<Slot> = [link.a, link.b]
            .into_iter()
            .filter(|slot| plan.nodes[slot.node].kind == NodeKind::Switch)
            .collect();
        shape.links.push(link.name.clone());
        if stages {
            for end in node_ends(plan, link) {
                taps.push(self.seen_by_node(end)?);
            }
        }
        // Either port of a link between switches has each frame once.
        if let Some(port) = ports.first() {
            self.plan_port(*port, taps, shape);
        } else if !stages {
            shape.delivered.push(link.name.clone());
            for end in [link.a, link.b] {
                // What the kernel takes to the node; what the engine takes there passes every socket.
                let interface = plan.interface(end);
                taps.push(Tap {
                    space: Space::LAB,
                    of: Of::One {
                        index: lab_end(interface),
                        tapped: Named {
                            name: name_of(plan, end),
                            description: format!(
                                "interface {} of {}, what link {} takes there",
                                interface.name, plan.nodes[end.node].name, link.name
                            ),
                            layer: Layer::L2,
                            shown: Shown::Outgoing,
                            is_far: true,
                        },
                    },
                });
            }
        }
        Ok(())
    }

    fn seen_by_node(&self, at: Slot) -> Result<Tap, LabError> {
        let node = &self.plan.nodes[at.node];
        let interface = self.plan.interface(at);
        Ok(Tap {
            space: self.space(&node.name)?,
            of: Of::One {
                index: in_node(interface),
                tapped: Named {
                    name: name_of(&self.plan, at),
                    description: format!(
                        "interface {} of {} {}, seen by its kernel",
                        interface.name, node.kind, node.name
                    ),
                    layer: Layer::L2,
                    shown: Shown::Both,
                    is_far: false,
                },
            },
        })
    }
}
