//! Numbers of a running process over time, as a table.

mod rates;
mod source;
mod table;

pub(crate) use rates::Tick;
pub(crate) use source::Source;
pub(crate) use table::{Sort, table};
