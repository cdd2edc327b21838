//! What has passed, by value.

use serde::Serialize;
use vnet_datapath::PipelineStats;
use vnet_impair::LineStats;
use vnet_netlink::{Interface, InterfaceStats};
use vnet_sandbox::Space;
use vnet_topology::{NodeKind, Slot};

use crate::cancel::never;
use crate::error::LabError;
use crate::network::{Live, Network};
use crate::numbers::{in_node, lab_end};

/// The counters of a whole network.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NetworkStats {
    /// Interfaces of hosts and routers, those made in them by others too; loopback is left out.
    pub interfaces: Vec<InterfaceRow>,
    /// Links.
    pub links: Vec<LinkRow>,
    /// What the engine carries.
    pub islands: Vec<IslandRow>,
}

/// An interface of a node.
#[derive(Clone, Debug, Serialize)]
pub struct InterfaceRow {
    /// The node.
    pub node: String,
    /// The interface.
    pub interface: String,
    /// Its link; none for one that was made in the node.
    pub link: Option<String>,
    /// `up`, `down` or `no-carrier`.
    pub state: String,
    /// What the node's kernel has counted.
    pub kernel: InterfaceStats,
}

/// A link.
#[derive(Clone, Debug, Serialize)]
pub struct LinkRow {
    /// Its name.
    pub name: String,
    /// Its first end, such as `h1:eth0`.
    pub a: String,
    /// Its second end.
    pub b: String,
    /// Whether it is declared up.
    pub up: bool,
    /// Whether the engine carries its frames.
    pub engine: bool,
    /// What its first end has sent.
    pub from_a: Count,
    /// What its second end has sent.
    pub from_b: Count,
    /// What its first end has received.
    pub to_a: Count,
    /// What its second end has received.
    pub to_b: Count,
    /// How its frames from a to b have fared, where they were impaired.
    pub a_to_b: Option<LineStats>,
    /// How those from b to a have.
    pub b_to_a: Option<LineStats>,
}

/// Frames, and their bytes; a segmentation-offload frame is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Frames.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A part of the network that the engine carries.
#[derive(Clone, Debug, Serialize)]
pub struct IslandRow {
    /// What it is, such as `link h1-h2` or `switch s1`.
    pub name: String,
    /// The engine's numbers since it took over.
    pub stats: PipelineStats,
}

impl Network {
    /// Returns the counters of everything, starting the network if need be.
    ///
    /// # Errors
    /// [`LabError::Sandbox`], and as [`Network::start`].
    pub fn stats(&self) -> Result<NetworkStats, LabError> {
        self.inner.live(&never, |live, _| live.stats(true))
    }

    /// Returns the counters of links and of what the engine carries: nodes are not asked, so that a tick costs one request.
    ///
    /// # Errors
    /// As [`Network::stats`].
    pub fn link_stats(&self) -> Result<NetworkStats, LabError> {
        self.inner.live(&never, |live, _| live.stats(false))
    }
}

impl Live {
    fn stats(&self, nodes: bool) -> Result<NetworkStats, LabError> {
        let mut stats = NetworkStats::default();
        for node in self
            .plan
            .nodes
            .iter()
            .filter(|node| nodes && node.kind != NodeKind::Switch)
        {
            let found = self.lab.links(self.numbers.space(&node.name))?;
            for link in found.into_iter().filter(|link| link.name != "lo") {
                let planned = node
                    .interfaces
                    .iter()
                    .find(|interface| in_node(interface) == link.index);
                stats.interfaces.push(InterfaceRow {
                    node: node.name.clone(),
                    state: link.state().to_owned(),
                    link: planned.map(|interface| self.plan.links[interface.link].name.clone()),
                    kernel: link.stats,
                    interface: link.name,
                });
            }
        }
        let ends = self.lab.links(Space::LAB)?;
        for link in &self.plan.links {
            let (a, b) = (self.seen(link.a, link.b, &ends), self.seen(link.b, link.a, &ends));
            let name = |slot: Slot| {
                let node = &self.plan.nodes[slot.node];
                format!("{}:{}", node.name, node.interfaces[slot.interface].name)
            };
            let [a_to_b, b_to_a] = self.line_stats(link)?;
            stats.links.push(LinkRow {
                name: link.name.clone(),
                a: name(link.a),
                b: name(link.b),
                up: link.up,
                engine: self.is_in_engine(&link.name),
                from_a: a.0,
                to_a: a.1,
                from_b: b.0,
                to_b: b.1,
                a_to_b,
                b_to_a,
            });
        }
        for held in self.islands.values() {
            stats.islands.push(IslandRow {
                name: held.inner.key.to_string(),
                stats: held.inner.with_pipeline(|pipeline| pipeline.stats())??,
            });
        }
        stats.islands.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(stats)
    }

    /// What an end of a link has sent and received, as its lab end counts it; a switch's end is seen from the other one.
    fn seen(&self, end: Slot, other: Slot, ends: &[Interface]) -> (Count, Count) {
        let plan = &self.plan;
        let is_switch = |slot: Slot| plan.nodes[slot.node].kind == NodeKind::Switch;
        let counted = |slot| {
            let index = lab_end(plan.interface(slot));
            let found = ends.iter().find(|found| found.index == index);
            let stats = found.map(|found| found.stats).unwrap_or_default();
            let count = |packets, bytes| Count { packets, bytes };
            (
                count(stats.rx_packets, stats.rx_bytes),
                count(stats.tx_packets, stats.tx_bytes),
            )
        };
        if !is_switch(end) {
            return counted(end);
        }
        // Of a link between switches the port itself is the lab end: it counts from the lab's side.
        let (from_other, to_other) = counted(if is_switch(other) { end } else { other });
        (to_other, from_other)
    }
}
