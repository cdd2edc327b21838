//! Link impairments in virtual time: delay, loss, rate, queues, with the fate of every frame seeded.
//!
//! An [`Impairment`] is one direction of a link as a user declares it, in the words and units of
//! netem. Made [`Ready`], it is run by a [`Line`], which takes frames, holds them, and hands them
//! over when their time has come. A line does no I/O, has no clock and no thread.
#![forbid(unsafe_code)]

mod declare;
mod error;
mod fate;
mod key;
mod line;
mod measure;
mod ready;
mod units;

pub use declare::{Chance, Discipline, Distribution, Given, Impairment, Limit, Loss, Rate, ReadError};
pub use error::ImpairError;
pub use key::key;
pub use line::{Dropped, Line, Outcome, Size};
pub use measure::{DelayStats, LineStats, LossBursts, QueueSample, QueueStats, Spread};
pub use ready::Ready;
pub use units::{time, time_text};
