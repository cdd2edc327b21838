//! What the engine knows of the device behind a port.

use vnet_packet::Layer;

use crate::error::EngineError;
use crate::frame::L2_OVERHEAD;

/// What the engine must know of a device to carry its frames.
#[derive(Clone, Debug)]
pub struct PortInfo {
    /// The interface's name, for messages and counters.
    pub name: String,
    /// Whether frames begin with an Ethernet header.
    pub layer: Layer,
    /// Largest layer-3 payload in bytes.
    pub mtu: u32,
}

impl PortInfo {
    /// Refuses a frame that the device's link layer or MTU does not allow.
    pub(crate) fn check(&self, frame: &[u8]) -> Result<(), EngineError> {
        let mtu = self.mtu;
        let (least, overhead, kind) = match self.layer {
            Layer::L2 => (14, L2_OVERHEAD as usize, "an Ethernet frame has at least 14"),
            Layer::L3 => (20, 0, "an IP packet has at least 20"),
        };
        let most = mtu as usize + overhead;
        let why = if frame.len() < least {
            kind.to_owned()
        } else if frame.len() > most {
            format!("with an MTU of {mtu} at most {most} fit")
        } else {
            return Ok(());
        };
        Err(EngineError::BadFrame {
            port: self.name.clone(),
            len: frame.len(),
            why,
        })
    }
}
