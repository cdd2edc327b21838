//! Numbers of what runs, as rows of one table: sampled over time, and for `vnet top` of another process.

mod door;
mod row;
mod series;

pub use door::{NumbersDoor, NumbersEntry, numbers_entries};
pub(crate) use row::rows;
pub use row::{Row, rows_of_devices};
pub use series::{Keep, Series};
