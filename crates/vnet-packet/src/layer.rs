//! Where a frame starts.

/// The layer at which a frame's first byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The frame starts with an Ethernet header (TAP, veth, bridge port).
    #[default]
    L2,
    /// The packet starts with its IPv4 or IPv6 header (TUN).
    L3,
}
