//! Sizes, limits and fixed names of ABI version 1.
//!
//! Sizes and counts are `usize`, so that they index arrays and slices on both sides.

/// First four bytes of [`Info`](crate::Info).
pub const MAGIC: [u8; 4] = *b"VNET";
/// The ABI's major version: host and guest must have the same.
pub const MAJOR: u16 = 1;
/// The ABI's minor version: a guest may have the host's or a lower one.
pub const MINOR: u16 = 0;
/// The version as the manifest's key `abi` writes it.
pub const ABI_VERSION: &str = "1.0";

/// Bytes of a descriptor of this version; a guest's `desc_size` is this or more, a multiple of 8.
pub const DESC_SIZE: usize = 40;
/// Bytes of [`Info`](crate::Info).
pub const INFO_SIZE: usize = 32;
/// Fewest descriptors in a ring.
pub const RING_MIN: usize = 8;
/// Most descriptors in a ring.
pub const RING_MAX: usize = 1024;
/// Fewest bytes of a slot.
pub const SLOT_MIN: usize = 192;
/// A slot's size is rounded down to a multiple of this many bytes.
pub const SLOT_ALIGN: usize = 64;
/// Fewest bytes of a slot of a guest that accepts super-frames.
pub const GSO_SLOT_MIN: usize = 65_536 + 256;
/// A frame starts this many bytes into its slot.
pub const HEADROOM: usize = 128;
/// The first bytes of a slot, into which a guest may not move a frame.
pub const HOST_RESERVED: usize = 16;
/// Bytes of a simple plugin's frame buffer, unless its `vnet_frame_cap` says otherwise.
pub const SIMPLE_FRAME_CAP: usize = 2048;
/// A device's MTU plus this many bytes (Ethernet header and two VLAN tags) must fit a frame buffer.
pub const MTU_EXTRA: usize = 22;

/// First four bytes of a [`MapHeader`](crate::MapHeader).
pub const MAP_MAGIC: [u8; 4] = *b"VMAP";
/// Bytes of a [`MapHeader`](crate::MapHeader).
pub const MAP_HEADER_SIZE: usize = 36;
/// Bytes of a [`SlotHeader`](crate::SlotHeader), which stands before each slot's key.
pub const MAP_SLOT_HEADER_SIZE: usize = 8;

/// Most counters of one plugin.
pub const COUNTERS_MAX: usize = 256;
/// Most bytes of a counter's name.
pub const COUNTER_NAME_MAX: usize = 64;
/// Most bytes of one log line.
pub const LOG_MAX: usize = 1024;
/// Most bytes of the state that `vnet_save` writes.
pub const STATE_MAX: usize = 16 << 20;
/// Longest delay a plugin may ask for, in microseconds.
pub const DELAY_MAX_US: u32 = 60_000_000;

/// The out port that means every port but the arrival one.
pub const FLOOD: u16 = 0xffff;
/// What `config_str` returns when the key is absent.
pub const CONFIG_VALUE_ABSENT: i32 = -1;
/// Module name of every import of major version 1.
pub const IMPORT_MODULE: &str = "vnet";
/// Name of the custom section that holds the manifest as JSON.
pub const MANIFEST_SECTION: &str = "vnet.manifest";
