//! What becomes of the n-th frame: drawn from its number and the line's key alone.

mod chain;
mod draws;
mod event;
mod fates;
mod gap;
mod gilbert;
mod jitter;
mod normal;
mod table;

pub(crate) use fates::{Fate, Fates};
pub(crate) use table::Table;
