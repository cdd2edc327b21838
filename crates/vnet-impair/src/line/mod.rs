//! One direction of a link at work, in virtual time.

mod advance;
mod bucket;
mod codel;
mod flight;
mod opportunities;
mod outcome;
mod pace;
mod queue;
mod run;
mod trace;

pub(crate) use flight::{End, Flying, MOST_BYTES};
pub use outcome::{Dropped, Outcome, Size};
pub use run::Line;
pub(crate) use trace::Trace;
