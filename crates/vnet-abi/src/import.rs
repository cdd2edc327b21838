//! Names that a guest may import from module [`IMPORT_MODULE`](crate::IMPORT_MODULE).

use crate::signature::{Signature, ValType};

const I32: ValType = ValType::I32;
const I64: ValType = ValType::I64;

/// Logs a line at a [`log_level`](crate::log_level).
pub const LOG: &str = "log";
/// Returns the id of a named counter.
pub const COUNTER: &str = "counter";
/// Adds to a counter.
pub const COUNT: &str = "count";
/// Simple form: asks the host to recompute the checksums after this call.
pub const CSUM: &str = "csum";
/// Simple form: sets the frame's length.
pub const SET_LEN: &str = "set_len";
/// Returns an integer of the configuration, or the default.
pub const CONFIG_INT: &str = "config_int";
/// Writes a string of the configuration, returns its full length or
/// [`CONFIG_VALUE_ABSENT`](crate::CONFIG_VALUE_ABSENT).
pub const CONFIG_STR: &str = "config_str";

/// Granted only: returns a random number.
pub const RANDOM: &str = "random";
/// Granted only: sends a frame out of a port.
pub const INJECT: &str = "inject";
/// Granted only: asks for a call of `vnet_on_timer`.
pub const TIMER: &str = "timer";

/// Every function that needs no grant, with its type.
pub const FUNCTIONS: &[Signature] = &[
    Signature::new(LOG, &[I32, I32, I32], &[]),
    Signature::new(COUNTER, &[I32, I32], &[I32]),
    Signature::new(COUNT, &[I32, I64], &[]),
    Signature::new(CSUM, &[], &[]),
    Signature::new(SET_LEN, &[I32], &[]),
    Signature::new(CONFIG_INT, &[I32, I32, I64], &[I64]),
    Signature::new(CONFIG_STR, &[I32, I32, I32, I32], &[I32]),
];

/// Every function that the manifest must ask for and the operator grant, with its type; the
/// capability has the function's name.
pub const GRANTED: &[Signature] = &[
    Signature::new(RANDOM, &[], &[I64]),
    Signature::new(INJECT, &[I32, I32, I32], &[I32]),
    Signature::new(TIMER, &[I32, I64], &[]),
];
