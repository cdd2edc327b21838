//! What a line did, measured in bounded memory.

mod bursts;
mod histogram;
mod meter;
mod note;
mod series;
mod stats;
mod throughput;

pub(crate) use meter::Meter;
pub use stats::{DelayStats, LineStats, LossBursts, QueueSample, QueueStats, Spread};
pub(crate) use throughput::Run;
