//! Plans: the steps that lead from one state of a network to the next, and back.

mod link;
mod node;
mod route;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use vnet_sandbox::{Space, Step};
use vnet_topology::{Resolved, Spec};

use crate::ground::Ground;
use crate::numbers::Numbers;
pub(crate) use link::{lab_ends, mtu, node_ends, switch_ports};

/// Steps in order, each with the declaration it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    pub steps: Vec<Step>,
    pub of: Vec<Arc<str>>,
}

impl Steps {
    pub(crate) fn push(&mut self, of: &Arc<str>, step: Step) {
        self.steps.push(step);
        self.of.push(Arc::clone(of));
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The declaration that a step belongs to.
    pub(crate) fn owner(&self, at: usize) -> &str {
        self.of.get(at).map_or("the network", |of| of)
    }
}

/// What takes one step back.
#[derive(Debug)]
pub(crate) struct Undo {
    /// Position of the step it takes back, in [`Plan::make`].
    pub of: usize,
    pub step: Step,
    /// The interface in the lab's own namespace that the step made, by number and name.
    pub made: Option<(u32, String)>,
}

/// A link's end at a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SwitchPort {
    pub switch: String,
    pub link: String,
    pub lab_end: u32,
    pub mtu: u32,
    /// Whether the link carries BIG TCP.
    pub big_tcp: bool,
    /// The node at the link's other end, and its interface.
    pub neighbour: String,
}

/// The way from one state of a network to the next.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Makes and configures everything; no frame passes between nodes by it.
    pub make: Steps,
    /// How to take it back, in the order it was made.
    pub undo: Vec<Undo>,
    /// Lab ends to wait for after that.
    pub ready: Vec<u32>,
    /// Ends of links at switches, whose frames an engine may have to take over before they are joined.
    pub ports: Vec<SwitchPort>,
    /// Patches the links, with switches and among each other.
    pub join: Steps,
    /// Routes to delete; one that has gone by itself is no failure.
    pub stale: Vec<Step>,
    /// Interfaces of the lab's own namespace to delete, with their names.
    pub leave: Vec<(u32, String)>,
    /// Namespaces to drop.
    pub drop: Vec<(Space, Arc<str>)>,
    /// Names of nodes that are gone.
    pub gone: Vec<String>,
    /// The text of /etc/hosts, where it has changed.
    pub hosts: Option<String>,
}

impl Plan {
    /// Adds a step that is taken back by another.
    fn make(&mut self, of: &Arc<str>, step: Step, undo: Step, made: Option<(u32, String)>) {
        self.undo.push(Undo {
            of: self.make.len(),
            step: undo,
            made,
        });
        self.make.push(of, step);
    }

    /// Finds the way from `before` to `after`, whose declaration is `spec`.
    ///
    /// Nodes and links are the same when their names are; the order within the plan keeps steps of one namespace together.
    pub(crate) fn between(
        before: &Resolved,
        after: &Resolved,
        spec: &Spec,
        numbers: &mut Numbers,
        ground: &Ground,
    ) -> Self {
        let mut plan = Self::default();
        let old_nodes: HashMap<&str, usize> = names(before.nodes.iter().map(|node| node.name.as_str()));
        let new_nodes: HashMap<&str, usize> = names(after.nodes.iter().map(|node| node.name.as_str()));
        let old_links: HashSet<&str> = before.links.iter().map(|link| link.name.as_str()).collect();
        let new_links: HashSet<&str> = after.links.iter().map(|link| link.name.as_str()).collect();

        let fresh: Vec<bool> = after
            .nodes
            .iter()
            .map(|node| !old_nodes.contains_key(node.name.as_str()))
            .collect();
        for (node, declared) in after.nodes.iter().zip(&spec.nodes) {
            if !old_nodes.contains_key(node.name.as_str()) {
                numbers.add(&node.name);
                plan.node(node, declared, spec.private_tmp, numbers);
                plan.settings(node, numbers, ground);
            }
        }
        let links: Vec<usize> = (0..after.links.len())
            .filter(|at| !old_links.contains(after.links[*at].name.as_str()))
            .collect();
        for at in &links {
            plan.pairs(after, *at, numbers);
        }
        for at in &links {
            plan.lab_ends(after, *at);
        }
        // What is done inside a node stands together, so that it goes to the kernel in one piece.
        let mut ends: Vec<Vec<usize>> = vec![Vec::new(); after.nodes.len()];
        for at in &links {
            let link = &after.links[*at];
            for slot in [link.a, link.b] {
                ends[slot.node].push(slot.interface);
            }
        }
        for (position, node) in after.nodes.iter().enumerate() {
            plan.inside(node, &ends[position], fresh[position], numbers, ground);
            let old = old_nodes.get(node.name.as_str()).map(|at| &before.nodes[*at]);
            plan.routes(old, node, numbers, ground);
        }
        for at in &links {
            plan.patch(after, *at, numbers);
        }

        for link in before
            .links
            .iter()
            .filter(|link| !new_links.contains(link.name.as_str()))
        {
            plan.unlink(before, link);
        }
        for node in &before.nodes {
            if !new_nodes.contains_key(node.name.as_str()) {
                plan.without(node, numbers);
            }
        }
        plan.hosts = (before.hosts != after.hosts).then(|| after.hosts.clone());
        plan
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    names.enumerate().map(|(at, name)| (name, at)).collect()
}
