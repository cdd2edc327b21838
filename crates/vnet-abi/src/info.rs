//! The block that a batch-form guest describes itself with.

use crate::bytes::{get_u16, get_u32, put};
use crate::limits::{DESC_SIZE, INFO_SIZE, MAGIC, MAJOR, MINOR};

/// What `vnet_info` points at: the guest's version, ring and arena (`vn_info` in C).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Info {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// Major version the guest was built for.
    pub major: u16,
    /// Minor version the guest was built for.
    pub minor: u16,
    /// Stride of the ring in bytes: [`DESC_SIZE`] or more, a multiple of 8.
    pub desc_size: u32,
    /// Number of descriptors, and of slots.
    pub ring_len: u32,
    /// Address of descriptor 0, a multiple of 8.
    pub ring: u32,
    /// Address of slot 0, a multiple of 8.
    pub arena: u32,
    /// Bytes of all slots together.
    pub arena_len: u32,
    /// [`info_flags`](crate::info_flags).
    pub flags: u32,
}

impl Info {
    /// Returns the block of a guest of this version whose descriptors have this version's size.
    #[must_use]
    pub const fn new(ring: u32, ring_len: u32, arena: u32, arena_len: u32, flags: u32) -> Info {
        Info {
            magic: MAGIC,
            major: MAJOR,
            minor: MINOR,
            desc_size: DESC_SIZE as u32,
            ring_len,
            ring,
            arena,
            arena_len,
            flags,
        }
    }

    /// Reads the block as it lies in guest memory; nothing is checked.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; INFO_SIZE]) -> Info {
        Info {
            magic: [bytes[0], bytes[1], bytes[2], bytes[3]],
            major: get_u16(bytes, 4),
            minor: get_u16(bytes, 6),
            desc_size: get_u32(bytes, 8),
            ring_len: get_u32(bytes, 12),
            ring: get_u32(bytes, 16),
            arena: get_u32(bytes, 20),
            arena_len: get_u32(bytes, 24),
            flags: get_u32(bytes, 28),
        }
    }

    /// Returns the block as it lies in guest memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; INFO_SIZE] {
        let mut bytes = [0; INFO_SIZE];
        put(&mut bytes, 0, &self.magic);
        put(&mut bytes, 4, &self.major.to_le_bytes());
        put(&mut bytes, 6, &self.minor.to_le_bytes());
        put(&mut bytes, 8, &self.desc_size.to_le_bytes());
        put(&mut bytes, 12, &self.ring_len.to_le_bytes());
        put(&mut bytes, 16, &self.ring.to_le_bytes());
        put(&mut bytes, 20, &self.arena.to_le_bytes());
        put(&mut bytes, 24, &self.arena_len.to_le_bytes());
        put(&mut bytes, 28, &self.flags.to_le_bytes());
        bytes
    }
}
