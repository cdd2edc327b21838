//! The plugin ABI: constants and memory layout shared by host and guest.
//!
//! A plugin is a core WebAssembly module. This crate holds every number and name on which the
//! host (`vnet-runtime`) and a guest (`vnet-plugin`, the C header) must agree, and nothing else:
//! no I/O, no allocation, no dependency, no unsafe code. All integers are little endian.
//!
//! - [`Info`] is what a batch-form guest returns once from `vnet_info`.
//! - [`Desc`] is one frame in the guest's ring.
//! - [`MapHeader`] and [`SlotHeader`] describe a map that lives in guest memory.
//! - [`record`] reads how a manifest describes the keys and values of a map.
//! - [`answer`] packs and unpacks the single integer a simple-form plugin returns.
//! - [`export`] and [`import`] name every function with its type.
//!
//! ```
//! use vnet_abi::{Desc, verdict};
//!
//! let mut desc = Desc { off: 65_664, len: 60, cap: 1_920, ..Desc::default() };
//! desc.verdict = verdict::DROP;
//! assert_eq!(Desc::from_bytes(&desc.to_bytes()), desc);
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod bytes;
mod desc;
mod info;
mod limits;
mod map;

pub mod answer;
pub mod export;
pub mod flags;
pub mod import;
pub mod info_flags;
pub mod log_level;
pub mod record;
pub mod signature;
pub mod verdict;

pub use desc::Desc;
pub use info::Info;
pub use limits::{
    ABI_VERSION, CONFIG_VALUE_ABSENT, COUNTER_NAME_MAX, COUNTERS_MAX, DELAY_MAX_US, DESC_SIZE, FLOOD,
    GSO_SLOT_MIN, HEADROOM, HOST_RESERVED, IMPORT_MODULE, INFO_SIZE, LOG_MAX, MAGIC, MAJOR, MANIFEST_SECTION,
    MAP_HEADER_SIZE, MAP_MAGIC, MAP_SLOT_HEADER_SIZE, MINOR, MTU_EXTRA, RING_MAX, RING_MIN, SIMPLE_FRAME_CAP,
    SLOT_ALIGN, SLOT_MIN, STATE_MAX,
};
pub use map::{MapHeader, SlotHeader, fnv1a, slot_state};
