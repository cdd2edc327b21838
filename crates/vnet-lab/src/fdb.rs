//! What a switch has learnt.

use vnet_netlink::Mac;
use vnet_topology::NodeKind;

use crate::cancel::never;
use crate::error::LabError;
use crate::island::Key;
use crate::network::{Live, Network, unknown_node};

/// An address a switch knows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FdbRow {
    /// The station's Ethernet address.
    pub mac: Mac,
    /// The VLAN it was heard in, where frames were tagged and the engine is the switch.
    pub vlan: Option<u16>,
    /// The link it was heard on.
    pub port: String,
    /// The interface at that link's other end, such as `h1:eth0`.
    pub neighbour: String,
    /// How long ago it was last heard, in nanoseconds, where the engine is the switch.
    pub age_ns: Option<u64>,
}

impl Network {
    /// Returns what a switch has learnt, be it a kernel bridge or the engine. Starts the network if need be.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::BadArgument`] for what is no switch, [`LabError::Sandbox`], [`LabError::Engine`].
    pub fn fdb(&self, switch: &str) -> Result<Vec<FdbRow>, LabError> {
        self.inner.live(&never, |live, _| live.fdb(switch))
    }
}

impl Live {
    fn fdb(&self, switch: &str) -> Result<Vec<FdbRow>, LabError> {
        let (_, node) = self
            .plan
            .node(switch)
            .ok_or_else(|| unknown_node(&self.plan, switch))?;
        if node.kind != NodeKind::Switch {
            return Err(LabError::bad(
                format!("{} {switch} has no forwarding table", node.kind),
                "ask a switch",
            ));
        }
        let row = |lab_end, mac, vlan, age_ns| {
            let (port, neighbour) = self.behind(switch, lab_end)?;
            Some(FdbRow {
                mac,
                vlan,
                port,
                neighbour,
                age_ns,
            })
        };
        if let Some(held) = self.islands.get(&Key::Switch(switch.to_owned())) {
            let learnt = held.inner.with_pipeline(|pipeline| pipeline.fdb())??;
            return Ok(learnt
                .into_iter()
                .filter_map(|entry| {
                    let age = u64::try_from(entry.age.as_nanos()).unwrap_or(u64::MAX);
                    row(held.lab_end(entry.port)?, Mac(entry.mac), entry.vlan, Some(age))
                })
                .collect());
        }
        let entries = self.lab.fdb(self.numbers.bridge(switch))?;
        Ok(entries
            .into_iter()
            .filter(|entry| !entry.is_local)
            .filter_map(|entry| row(entry.port, entry.mac, entry.vlan, None))
            .collect())
    }
}
