//! Names that a guest exports.

use crate::signature::{Signature, ValType};

const I32: ValType = ValType::I32;
const I64: ValType = ValType::I64;

/// The guest's linear memory; both forms must have it.
pub const MEMORY: &str = "memory";
/// Optional start function, called first.
pub const INITIALIZE: &str = "_initialize";

/// Simple form: global `i32`, address of the frame buffer.
pub const FRAME: &str = "vnet_frame";
/// Simple form, optional: bytes of the frame buffer.
pub const FRAME_CAP: &str = "vnet_frame_cap";
/// Simple form: judges one frame.
pub const ON_PACKET: &str = "vnet_on_packet";

/// Batch form: returns the address of [`Info`](crate::Info).
pub const INFO: &str = "vnet_info";
/// Batch form: judges `n` frames, returns how many it appended.
pub const ON_BATCH: &str = "vnet_on_batch";

/// Optional: takes the configuration as JSON; non-zero refuses it.
pub const CONFIGURE: &str = "vnet_configure";
/// Optional: a timer went off.
pub const ON_TIMER: &str = "vnet_on_timer";
/// Optional: writes a piece of state.
pub const SAVE: &str = "vnet_save";
/// Optional: reads a piece of state.
pub const LOAD: &str = "vnet_load";
/// Optional: returns the address of the table of maps.
pub const MAPS: &str = "vnet_maps";

/// Every function a guest may export, with its type.
pub const FUNCTIONS: &[Signature] = &[
    Signature::new(INITIALIZE, &[], &[]),
    Signature::new(FRAME_CAP, &[], &[I32]),
    Signature::new(ON_PACKET, &[I32, I32], &[I32]),
    Signature::new(INFO, &[], &[I32]),
    Signature::new(ON_BATCH, &[I32, I32], &[I32]),
    Signature::new(CONFIGURE, &[I32, I32], &[I32]),
    Signature::new(ON_TIMER, &[I32, I64], &[]),
    Signature::new(SAVE, &[I32, I32, I32], &[I32]),
    Signature::new(LOAD, &[I32, I32, I32, I32], &[I32]),
    Signature::new(MAPS, &[], &[I32]),
];
