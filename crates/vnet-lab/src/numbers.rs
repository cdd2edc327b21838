use std::collections::{HashMap, VecDeque};

use vnet_sandbox::Space;
use vnet_topology::{Resolved, ResolvedInterface};

use crate::error::LabError;

/// First number of a lab end. A veth whose ends have the same number in two namespaces gets its carrier up to a second
/// late (net/core/link_watch.c), so no range has numbers of another.
const LAB_ENDS: u32 = 4_096;
const BRIDGES: u32 = 500_000;
const SHADOWS: u32 = 1_000_000;
/// First number in a node: far above those that its own kernel gives to what is made there (it counts from 1), and above
/// those of TAP and TUN devices (from 2 000 000).
const INTERFACES: u32 = 3_000_000;

/// Chooses the numbers of namespaces and interfaces, so that nothing must be looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    nodes: HashMap<String, u32>,
    last_node: u32,
    last_shadow: u32,
    spare: VecDeque<u32>,
}

impl Numbers {
    /// Tells whether there are numbers left for all that is in a plan, nodes that are to be added among it: those of what has
    /// gone are not used again.
    pub(crate) fn check(&self, plan: &Resolved) -> Result<(), LabError> {
        let added = plan
            .nodes
            .iter()
            .filter(|node| !self.nodes.contains_key(&node.name));
        let last_node = self.last_node as usize + added.count();
        let full = [
            (
                plan.next_id > BRIDGES - LAB_ENDS,
                "interfaces",
                BRIDGES - LAB_ENDS,
            ),
            (
                last_node >= (SHADOWS - BRIDGES) as usize,
                "nodes",
                SHADOWS - BRIDGES,
            ),
        ];
        match full.into_iter().find(|(is_full, ..)| *is_full) {
            None => Ok(()),
            Some((_, what, most)) => Err(LabError::bad(
                format!("one network gives numbers to {most} {what} in all its life, and it has used them"),
                "close it and start it anew",
            )),
        }
    }

    /// Gives a node its number, which none had before.
    pub(crate) fn add(&mut self, node: &str) {
        self.last_node += 1;
        self.nodes.insert(node.to_owned(), self.last_node);
    }

    pub(crate) fn remove(&mut self, node: &str) {
        self.nodes.remove(node);
    }

    /// The namespace of a host or router. Zero, the lab's own, for a node that was never added.
    pub(crate) fn space(&self, node: &str) -> Space {
        Space(self.number(node))
    }

    /// The bridge of a switch.
    pub(crate) fn bridge(&self, switch: &str) -> u32 {
        BRIDGES + self.number(switch)
    }

    fn number(&self, node: &str) -> u32 {
        self.nodes.get(node).copied().unwrap_or_default()
    }

    /// The shadow device that is unused for the longest time, or a number for another.
    pub(crate) fn next_shadow(&mut self) -> u32 {
        self.spare.pop_front().unwrap_or_else(|| {
            self.last_shadow += 1;
            SHADOWS + self.last_shadow
        })
    }

    /// Keeps a shadow device for another port: the kernel takes some 20 ms to delete one (rcu_barrier in
    /// netdev_run_todo, net/core/dev.c).
    pub(crate) fn spare_shadow(&mut self, shadow: u32) {
        self.spare.push_back(shadow);
    }

    /// Keeps numbers that were used in vain from being used again, and what was left over.
    pub(crate) fn pass(&mut self, tried: &Self) {
        self.last_node = self.last_node.max(tried.last_node);
        self.last_shadow = self.last_shadow.max(tried.last_shadow);
        self.spare.clone_from(&tried.spare);
    }
}

/// The lab end of an interface, or the veth end that is a switch's port of a link between switches.
pub(crate) fn lab_end(interface: &ResolvedInterface) -> u32 {
    LAB_ENDS + interface.id
}

/// The interface's number in its node.
pub(crate) fn in_node(interface: &ResolvedInterface) -> u32 {
    INTERFACES + interface.number
}

/// The name of a lab end.
pub(crate) fn lab_end_name(index: u32) -> String {
    format!("v{index}")
}

/// The name of a switch's bridge.
pub(crate) fn bridge_name(index: u32) -> String {
    format!("br{index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_run_out_are_told() {
        let mut plan = Resolved {
            next_id: BRIDGES - LAB_ENDS,
            ..Resolved::default()
        };
        let numbers = Numbers::default();
        assert!(numbers.check(&plan).is_ok());
        plan.next_id += 1;
        let error = numbers.check(&plan).unwrap_err().to_string();
        assert!(error.contains("495904 interfaces"), "{error}");
    }
}
