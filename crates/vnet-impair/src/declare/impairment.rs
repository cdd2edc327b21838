//! One direction of a link, as a user declares it.

use std::path::PathBuf;

use super::{Chance, Discipline, Distribution, Limit, Loss, Rate};

/// What happens to the frames of one direction of a link, as a user declares it.
///
/// The default is nothing: every frame passes at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Impairment {
    /// Time each frame takes on the wire, in nanoseconds.
    pub delay_ns: u64,
    /// How far delays spread, in nanoseconds: half the width if uniform, else the standard deviation.
    pub jitter_ns: u64,
    /// How delays spread.
    pub distribution: Distribution,
    /// How much a frame's delay depends on the delay of the one before, from 0, below 1.
    pub correlation: f64,
    /// Which frames are lost.
    pub loss: Loss,
    /// Which frames arrive twice.
    pub duplicate: Chance,
    /// Which frames take no delay, and so overtake those that do.
    pub reorder: Chance,
    /// How far apart frames are that take no delay: at least this many arrivals; 0 and 1 let any.
    pub gap: u32,
    /// Which frames have one bit flipped.
    pub corrupt: Chance,
    /// How fast frames go on the wire.
    pub rate: Option<Rate>,
    /// How much may wait in front of the rate or trace; 1,000 packets where not given.
    pub queue: Option<Limit>,
    /// What the queue does with frames that wait.
    pub discipline: Discipline,
    /// Times at which frames may go on the wire, in mahimahi's format, in place of a rate.
    pub trace: Option<PathBuf>,
}

impl Impairment {
    /// The keys that [`Impairment::set`] takes, in the order in which to set them and in which [`Impairment::entries`] returns them.
    ///
    /// `limit` is read as another word for `queue`.
    pub const KEYS: &[&str] = &[
        "delay",
        "jitter",
        "distribution",
        "correlation",
        "loss",
        "duplicate",
        "reorder",
        "gap",
        "corrupt",
        "rate",
        "burst",
        "overhead",
        "queue",
        "discipline",
        "trace",
    ];

    /// Says whether nothing is set.
    pub fn is_none(&self) -> bool {
        *self == Impairment::default()
    }
}
