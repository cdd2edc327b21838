//! Maps that live in guest memory: open addressing with linear probing.
//!
//! `vnet_maps()` points at a `u32` count followed by that many `u32` addresses of [`MapHeader`]s.
//! A slot is a [`SlotHeader`], the key and the value, key and value each padded to 8 bytes.

use crate::bytes::{get_u32, put};
use crate::limits::{MAP_HEADER_SIZE, MAP_SLOT_HEADER_SIZE};

/// Values of [`SlotHeader::state`].
pub mod slot_state {
    /// The slot was never used: a probe ends here.
    pub const EMPTY: u32 = 0;
    /// The slot holds a key and its value.
    pub const USED: u32 = 1;
    /// The slot's key was deleted: a probe goes on.
    pub const DELETED: u32 = 2;
}

/// The head of one map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MapHeader {
    /// [`MAP_MAGIC`](crate::MAP_MAGIC).
    pub magic: [u8; 4],
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Number of slots, a power of two.
    pub capacity: u32,
    /// Number of slots in use.
    pub count: u32,
    /// Address of the map's name, which is UTF-8 without a terminator.
    pub name_ptr: u32,
    /// Bytes of the map's name.
    pub name_len: u32,
    /// Zero.
    pub flags: u32,
    /// Address of slot 0.
    pub slots_ptr: u32,
}

impl MapHeader {
    /// Reads a header as it lies in guest memory; nothing is checked.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; MAP_HEADER_SIZE]) -> MapHeader {
        MapHeader {
            magic: [bytes[0], bytes[1], bytes[2], bytes[3]],
            key_size: get_u32(bytes, 4),
            value_size: get_u32(bytes, 8),
            capacity: get_u32(bytes, 12),
            count: get_u32(bytes, 16),
            name_ptr: get_u32(bytes, 20),
            name_len: get_u32(bytes, 24),
            flags: get_u32(bytes, 28),
            slots_ptr: get_u32(bytes, 32),
        }
    }

    /// Returns the header as it lies in guest memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; MAP_HEADER_SIZE] {
        let mut bytes = [0; MAP_HEADER_SIZE];
        put(&mut bytes, 0, &self.magic);
        put(&mut bytes, 4, &self.key_size.to_le_bytes());
        put(&mut bytes, 8, &self.value_size.to_le_bytes());
        put(&mut bytes, 12, &self.capacity.to_le_bytes());
        put(&mut bytes, 16, &self.count.to_le_bytes());
        put(&mut bytes, 20, &self.name_ptr.to_le_bytes());
        put(&mut bytes, 24, &self.name_len.to_le_bytes());
        put(&mut bytes, 28, &self.flags.to_le_bytes());
        put(&mut bytes, 32, &self.slots_ptr.to_le_bytes());
        bytes
    }

    /// Returns the bytes from one slot to the next; 64 bits, because the sizes are untrusted.
    #[must_use]
    pub const fn slot_size(&self) -> u64 {
        MAP_SLOT_HEADER_SIZE as u64 + padded(self.key_size) + padded(self.value_size)
    }

    /// Returns where a slot's value starts, counted from the slot's start.
    #[must_use]
    pub const fn value_offset(&self) -> u64 {
        MAP_SLOT_HEADER_SIZE as u64 + padded(self.key_size)
    }
}

/// The head of one slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SlotHeader {
    /// One of [`slot_state`].
    pub state: u32,
    /// [`fnv1a`] of the key.
    pub hash: u32,
}

impl SlotHeader {
    /// Reads a slot's head as it lies in guest memory; nothing is checked.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; MAP_SLOT_HEADER_SIZE]) -> SlotHeader {
        SlotHeader {
            state: get_u32(bytes, 0),
            hash: get_u32(bytes, 4),
        }
    }

    /// Returns the slot's head as it lies in guest memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; MAP_SLOT_HEADER_SIZE] {
        let mut bytes = [0; MAP_SLOT_HEADER_SIZE];
        put(&mut bytes, 0, &self.state.to_le_bytes());
        put(&mut bytes, 4, &self.hash.to_le_bytes());
        bytes
    }
}

/// Returns the 32-bit FNV-1a hash of a key (<http://www.isthe.com/chongo/tech/comp/fnv/>).
#[must_use]
pub const fn fnv1a(key: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    let mut i = 0;
    while i < key.len() {
        hash = (hash ^ key[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
}

const fn padded(size: u32) -> u64 {
    (size as u64 + 7) & !7
}
