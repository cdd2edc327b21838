use std::sync::Arc;

use vnet_datapath::BIG_TCP_MAX;
use vnet_netlink::{Change, Into, LinkSet, PeerEnd};
use vnet_sandbox::Step;
use vnet_topology::{NodeKind, Resolved, ResolvedLink, Slot};

use super::node::in_lab;
use super::{Plan, SwitchPort};
use crate::numbers::{Numbers, in_node, lab_end, lab_end_name};

/// Priority of the redirect that joins the two ends of a link.
const PATCH: u16 = 2;

/// The MTU of a link that does not say.
const MTU: u32 = 1_500;

impl Plan {
    /// Makes the veth pairs of a link: one for each end at a host or router, or one between two switches.
    pub(super) fn pairs(&mut self, plan: &Resolved, at: usize, numbers: &Numbers) {
        let link = &plan.links[at];
        let of = subject(link);
        let mut pair = |from: Slot, peer: PeerEnd| {
            let index = lab_end(plan.interface(from));
            let name = lab_end_name(index);
            let veth = Change::Veth {
                index,
                name: name.clone(),
                mac: None,
                mtu: link.mtu,
                peer,
            };
            self.make(
                &of,
                in_lab(veth),
                in_lab(Change::Delete { index }),
                Some((index, name)),
            );
        };
        if between_switches(plan, link) {
            let index = lab_end(plan.interface(link.b));
            let peer = PeerEnd {
                space: 0,
                index,
                name: lab_end_name(index),
                mac: None,
            };
            return pair(link.a, peer);
        }
        for slot in node_ends(plan, link) {
            let interface = plan.interface(slot);
            let peer = PeerEnd {
                space: numbers.space(&plan.nodes[slot.node].name).0,
                index: in_node(interface),
                name: interface.name.clone(),
                mac: Some(interface.mac),
            };
            pair(slot, peer);
        }
        if link.big_tcp {
            for slot in node_ends(plan, link) {
                let sized = Step::Net {
                    space: numbers.space(&plan.nodes[slot.node].name).0,
                    change: sized(in_node(plan.interface(slot))),
                };
                self.make.push(&of, sized);
            }
        }
    }

    /// Prepares a link's lab ends for patching and sets them up, if the link is up.
    pub(super) fn lab_ends(&mut self, plan: &Resolved, at: usize) {
        let link = &plan.links[at];
        let of = subject(link);
        for index in lab_ends(plan, link) {
            self.make.push(&of, in_lab(Change::IngressQdisc { index }));
            let set = LinkSet {
                up: Some(link.up),
                noarp: Some(true),
                addrgen: Some(false),
                ..LinkSet::default()
            };
            if link.big_tcp {
                self.make.push(&of, in_lab(sized(index)));
            }
            self.make.push(&of, in_lab(Change::Link { index, set }));
            if link.up {
                self.ready.push(index);
            }
        }
    }

    /// Lets frames pass a link.
    pub(super) fn patch(&mut self, plan: &Resolved, at: usize, numbers: &Numbers) {
        let link = &plan.links[at];
        let of = subject(link);
        let ports = switch_ports(plan, link);
        if ports.is_empty() {
            let (a, b) = (lab_end(plan.interface(link.a)), lab_end(plan.interface(link.b)));
            for (index, to) in [(a, b), (b, a)] {
                let redirect = Change::Redirect {
                    index,
                    prio: PATCH,
                    to,
                    into: Into::Egress,
                };
                self.join.push(&of, in_lab(redirect));
            }
        }
        for port in ports {
            let set = LinkSet {
                bridge: Some(numbers.bridge(&port.switch)),
                ..LinkSet::default()
            };
            let index = port.lab_end;
            self.join.push(&of, in_lab(Change::Link { index, set }));
            self.ports.push(port);
        }
    }

    /// Takes a link away; what was made for it goes with its lab ends.
    pub(super) fn unlink(&mut self, plan: &Resolved, link: &ResolvedLink) {
        let ends = lab_ends(plan, link);
        // The second end of a pair between switches goes with the first.
        let most = if between_switches(plan, link) { 1 } else { 2 };
        for index in ends.into_iter().take(most) {
            self.leave.push((index, lab_end_name(index)));
        }
    }
}

/// Lets an interface send and be handed super-frames as long as a link with BIG TCP carries. Both ends of each veth need
/// it: the kernel cuts up what is longer than the interface it leaves by takes.
fn sized(index: u32) -> Change {
    Change::Link {
        index,
        set: LinkSet {
            gso_ipv4_max: Some(BIG_TCP_MAX),
            ..LinkSet::default()
        },
    }
}

fn subject(link: &ResolvedLink) -> Arc<str> {
    format!("link {}", link.name).into()
}

fn is_switch(plan: &Resolved, slot: Slot) -> bool {
    plan.nodes[slot.node].kind == NodeKind::Switch
}

fn between_switches(plan: &Resolved, link: &ResolvedLink) -> bool {
    is_switch(plan, link.a) && is_switch(plan, link.b)
}

/// The ends of a link that are interfaces of hosts and routers.
pub(crate) fn node_ends(plan: &Resolved, link: &ResolvedLink) -> Vec<Slot> {
    [link.a, link.b]
        .into_iter()
        .filter(|slot| !is_switch(plan, *slot))
        .collect()
}

/// The interfaces of the lab's own namespace that a link has: one, or two.
pub(crate) fn lab_ends(plan: &Resolved, link: &ResolvedLink) -> Vec<u32> {
    let ends = if between_switches(plan, link) {
        vec![link.a, link.b]
    } else {
        node_ends(plan, link)
    };
    ends.into_iter()
        .map(|slot| lab_end(plan.interface(slot)))
        .collect()
}

/// The MTU of a link in bytes.
pub(crate) fn mtu(link: &ResolvedLink) -> u32 {
    link.mtu.unwrap_or(MTU)
}

/// The ends of a link at switches, with the lab ends that are their ports.
pub(crate) fn switch_ports(plan: &Resolved, link: &ResolvedLink) -> Vec<SwitchPort> {
    let port = |here: Slot, there: Slot| {
        let own = if is_switch(plan, there) { here } else { there };
        let far = plan.interface(there);
        SwitchPort {
            switch: plan.nodes[here.node].name.clone(),
            link: link.name.clone(),
            lab_end: lab_end(plan.interface(own)),
            mtu: mtu(link),
            big_tcp: link.big_tcp,
            neighbour: format!("{}:{}", plan.nodes[there.node].name, far.name),
        }
    };
    [(link.a, link.b), (link.b, link.a)]
        .into_iter()
        .filter(|(here, _)| is_switch(plan, *here))
        .map(|(here, there)| port(here, there))
        .collect()
}
