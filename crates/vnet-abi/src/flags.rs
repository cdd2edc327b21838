//! Bits of [`Desc::flags`](crate::Desc::flags).

/// Host to guest: the L4 checksum field holds only the pseudo-header sum. The guest clears the
/// bit to say that it finished the sum; no other bit of the host's may be changed.
pub const CSUM_PARTIAL: u16 = 1;
/// Host to guest: a super-frame, of which `gso_size` is set.
pub const GSO: u16 = 2;
/// Host to guest: the frame is about to leave the engine through `port`.
pub const EGRESS: u16 = 4;
/// Host to guest: the frame was injected by a plugin.
pub const INJECTED: u16 = 8;
/// Host to guest: there is no Ethernet header.
pub const L3: u16 = 16;
/// Guest to host: recompute the checksums.
pub const CSUM_DIRTY: u16 = 256;
/// Guest to host: hold the frame for `delay_us`.
pub const DELAY: u16 = 512;

/// Every bit the host sets.
pub const HOST: u16 = CSUM_PARTIAL | GSO | EGRESS | INJECTED | L3;
/// Every bit the guest may set.
pub const GUEST: u16 = CSUM_DIRTY | DELAY;
