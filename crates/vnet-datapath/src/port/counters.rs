//! What a port counts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Io, Port};
use crate::cause::Causes;

/// Numbers of one port, owned by the worker.
#[derive(Clone, Default, Debug)]
pub(crate) struct Counters {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    pub drops: Causes,
    pub kernel_drops: u64,
}

/// What one port has carried since its pipeline began, by value.
///
/// Counted in frames as they cross the port: a segmentation-offload frame is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PortStats {
    /// The port's name.
    pub name: String,
    /// Frames read from the device.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames written to the device.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames the engine itself dropped here, by cause.
    pub drops: BTreeMap<String, u64>,
    /// Frames the kernel dropped before the engine could read them (packet sockets; 0 where only the device counts).
    pub kernel_drops: u64,
}

impl Port {
    pub(crate) fn stats(&mut self) -> PortStats {
        if let Io::Packet(packet) = &mut self.io {
            self.counters.kernel_drops += packet.take_kernel_drops();
        }
        let c = &self.counters;
        PortStats {
            name: self.info.name.clone(),
            rx_packets: c.rx_packets,
            rx_bytes: c.rx_bytes,
            tx_packets: c.tx_packets,
            tx_bytes: c.tx_bytes,
            drops: c.drops.named(),
            kernel_drops: c.kernel_drops,
        }
    }
}
