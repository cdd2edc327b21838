//! Recordings: what passes, and what becomes of it, in capture files.

mod hub;
mod memory;
mod options;
mod output;
mod recorder;
mod recording;
mod rotate;
mod scope;
mod sheet;
mod source;
mod tap;
mod waiting;
mod witness;
mod words;
mod writer;

pub use memory::{Memory, Remembered};
pub use options::{Filter, Output, RecordOptions, Recorded};
pub use recorder::{Recorder, Records, Tapped, Whole};
pub(crate) use recording::{Recording, Seat};
pub use rotate::{Rotate, numbered};
pub use scope::{RecordId, Scope, ScopePort};
pub(crate) use witness::{Recordings, Stay};
pub(crate) use words::Dropper;
