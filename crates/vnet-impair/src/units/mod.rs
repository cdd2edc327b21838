//! Numbers with units, as tc(8) writes them: read from what a user wrote and written so that they can be read again.

mod bitrate;
mod decimal;
mod percent;
mod size;
mod time;

pub(crate) use bitrate::{FASTEST, read_bitrate, write_bitrate};
pub(crate) use percent::{is_chance, read_chance, read_percent, write_percent};
pub use size::size;
pub(crate) use size::{LARGEST, read_size, write_size};
pub(crate) use time::{LONGEST_NS, read_time, write_time};
pub use time::{time, time_text};
