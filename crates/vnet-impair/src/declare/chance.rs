//! The chance of something that may happen to each frame.

use crate::Given;
use crate::units::{read_chance, read_percent, write_percent};

pub(super) const CHANCE: &str =
    "a chance such as \"1%\", \"1% 25%\" (with correlation) or a number from 0 to 1";
pub(super) const CORRELATION: &str = "a correlation such as \"25%\" or a number from 0, below 1";

/// The chance of an event, and how much an event depends on the one before.
///
/// Correlation never changes how often the event happens: the underlying normal variables of two
/// successive frames have this correlation (a Gaussian copula). netem blends random numbers
/// instead, which bends the chance itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chance {
    /// Probability from 0 to 1.
    pub p: f64,
    /// Correlation with the frame before, from 0, below 1.
    pub correlation: f64,
}

impl Chance {
    /// Says whether the event never happens.
    pub fn is_none(&self) -> bool {
        self.p == 0.0
    }

    /// Reads `"1%"`, `"1% 25%"` or a number.
    pub(super) fn read(given: Given<'_>) -> Result<Self, &'static str> {
        let chance = match given {
            Given::Text(text) => Chance::words(&text.split_whitespace().collect::<Vec<_>>()),
            number => read_chance(number).map(|p| Chance { p, correlation: 0.0 }),
        };
        chance.ok_or(CHANCE)
    }

    pub(super) fn words(words: &[&str]) -> Option<Self> {
        let (p, correlation) = match words {
            [p] => (read_percent(p)?, 0.0),
            [p, correlation] => (read_percent(p)?, read_percent(correlation).filter(|c| *c < 1.0)?),
            _ => return None,
        };
        // What never happens depends on nothing.
        Some(if p == 0.0 {
            Chance::default()
        } else {
            Chance { p, correlation }
        })
    }

    pub(super) fn write(&self) -> String {
        let p = write_percent(self.p);
        if self.correlation == 0.0 {
            p
        } else {
            format!("{p} {}", write_percent(self.correlation))
        }
    }
}

/// Reads the correlation of one frame's delay with the next.
pub(super) fn read_correlation(given: Given<'_>) -> Result<f64, &'static str> {
    read_chance(given).filter(|c| *c < 1.0).ok_or(CORRELATION)
}
