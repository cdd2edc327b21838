use std::collections::HashMap;

use vnet_sandbox::Space;
use vnet_topology::ResolvedInterface;

/// First number of a lab end. A veth whose ends have the same number in two namespaces gets its carrier up to a second
/// late (net/core/link_watch.c), and nodes count from 16.
const LAB_ENDS: u32 = 4_096;
const BRIDGES: u32 = 500_000;
const SHADOWS: u32 = 1_000_000;
const INTERFACES: u32 = 16;

/// Chooses the numbers of namespaces and interfaces, so that nothing must be looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    nodes: HashMap<String, u32>,
    last_node: u32,
    last_shadow: u32,
}

impl Numbers {
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

    /// A number for a shadow device, which none of the last million had.
    pub(crate) fn next_shadow(&mut self) -> u32 {
        // They end where the numbers of devices begin that users make; the first is long gone by then.
        self.last_shadow = (self.last_shadow + 1) % SHADOWS;
        SHADOWS + self.last_shadow
    }

    /// Keeps numbers that were used in vain from being used again.
    pub(crate) fn pass(&mut self, tried: &Self) {
        self.last_node = self.last_node.max(tried.last_node);
        self.last_shadow = self.last_shadow.max(tried.last_shadow);
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
