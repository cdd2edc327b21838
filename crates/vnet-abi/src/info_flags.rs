//! Bits of [`Info::flags`](crate::Info::flags); a guest that sets another one is refused.

/// The guest accepts super-frames; its slots are [`GSO_SLOT_MIN`](crate::GSO_SLOT_MIN) or more.
pub const GSO: u32 = 1;
/// The guest accepts partial checksums.
pub const CSUM: u32 = 2;
/// The verdict depends on the frame's bytes alone, and nothing is rewritten.
pub const PURE: u32 = 4;

/// Every bit of this version.
pub const ALL: u32 = GSO | CSUM | PURE;
