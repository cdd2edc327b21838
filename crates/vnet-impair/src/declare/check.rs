//! What does not go together in an impairment.

use super::chance::{CHANCE, CORRELATION};
use super::discipline::DISCIPLINE;
use super::limit::QUEUE;
use super::rate::{BURST, MOST_OVERHEAD, OVERHEAD};
use super::{Chance, Discipline, Distribution, Impairment, Loss, Rate, ReadError};
use crate::units::{FASTEST, LARGEST, LONGEST_NS, is_chance, write_percent, write_size, write_time};

impl Impairment {
    /// Checks every value and what stands beside what.
    ///
    /// # Errors
    ///
    /// A value is outside its bounds, or means nothing without a key that is missing, or contradicts another.
    pub fn check(&self) -> Result<(), ReadError> {
        self.check_values()?;
        self.check_delay()?;
        self.check_rate()
    }

    fn check_values(&self) -> Result<(), ReadError> {
        for (key, ns) in [("delay", self.delay_ns), ("jitter", self.jitter_ns)] {
            require(
                ns <= LONGEST_NS,
                || format!("{key} is {}", write_time(ns)),
                "an hour at most",
            )?;
        }
        for (key, chance) in [
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("corrupt", self.corrupt),
        ] {
            check_chance(key, chance)?;
        }
        match self.loss {
            Loss::None => {}
            Loss::Random(chance) => check_chance("loss", chance)?,
            Loss::GilbertElliott {
                p,
                r,
                one_minus_h,
                one_minus_k,
            } => {
                for (word, value) in [("p", p), ("r", r), ("1-h", one_minus_h), ("1-k", one_minus_k)] {
                    require(
                        is_chance(value),
                        || format!("{word} of gemodel is {value}"),
                        "a chance from 0 to 1",
                    )?;
                }
            }
        }
        require(
            is_correlation(self.correlation),
            || format!("correlation is {}", self.correlation),
            CORRELATION,
        )
    }

    fn check_delay(&self) -> Result<(), ReadError> {
        let spread = self.jitter_ns > 0;
        require(
            spread || self.distribution == Distribution::Uniform,
            || {
                format!(
                    "distribution is {} without jitter",
                    self.distribution.write().unwrap_or_default()
                )
            },
            "jitter=\"1ms\" beside it, or no distribution",
        )?;
        require(
            spread || self.correlation == 0.0,
            || {
                format!(
                    "correlation is {} without jitter",
                    write_percent(self.correlation)
                )
            },
            "jitter=\"1ms\" beside it, or no correlation",
        )?;
        require(
            self.reorder.is_none() || spread || self.delay_ns > 0,
            || format!("reorder is {} without delay", self.reorder.write()),
            "delay=\"10ms\" beside it: a frame overtakes only those that are delayed",
        )?;
        require(
            self.gap == 0 || !self.reorder.is_none(),
            || format!("gap is {} without reorder", self.gap),
            "reorder=\"25%\" beside it, or no gap",
        )
    }

    fn check_rate(&self) -> Result<(), ReadError> {
        if let Some(Rate {
            bits_per_s,
            burst,
            overhead,
        }) = self.rate
        {
            let rated = bits_per_s > 0;
            require(
                rated || burst == 0,
                || format!("burst is {} without rate", write_size(burst)),
                "rate=\"10mbit\" beside it, or no burst",
            )?;
            require(
                rated || overhead == 0,
                || format!("overhead is {overhead} without rate"),
                "rate=\"10mbit\" beside it, or no overhead",
            )?;
            require(
                rated,
                || "rate is 0 bit/s".to_owned(),
                "1 bit/s at least, or no rate",
            )?;
            require(
                bits_per_s <= FASTEST,
                || format!("rate is {bits_per_s} bit/s"),
                "100 Tbit/s at most",
            )?;
            require(burst <= LARGEST, || format!("burst is {burst} bytes"), BURST)?;
            require(
                overhead.unsigned_abs() <= MOST_OVERHEAD.unsigned_abs(),
                || format!("overhead is {overhead}"),
                OVERHEAD,
            )?;
            require(
                self.trace.is_none(),
                || "rate stands beside trace".to_owned(),
                "one of them",
            )?;
        }
        let paced = self.rate.is_some() || self.trace.is_some();
        if let Some(limit) = self.queue {
            require(limit.is_valid(), || format!("queue is {}", limit.write()), QUEUE)?;
            require(
                paced,
                || format!("queue is {} without rate or trace", limit.write()),
                "rate=\"10mbit\" beside it, for a queue grows only in front of a rate, or no queue",
            )?;
        }
        if let Discipline::CoDel {
            target_ns,
            interval_ns,
            ..
        } = self.discipline
        {
            let found = || format!("discipline is {}", self.discipline.write().unwrap_or_default());
            let valid = |ns| (1..=LONGEST_NS).contains(&ns);
            require(valid(target_ns) && valid(interval_ns), found, DISCIPLINE)?;
            require(
                paced,
                || found() + " without rate or trace",
                "rate=\"10mbit\" beside it, or no discipline",
            )?;
        }
        Ok(())
    }
}

fn check_chance(key: &str, chance: Chance) -> Result<(), ReadError> {
    require(is_chance(chance.p), || format!("{key} is {}", chance.p), CHANCE)?;
    require(
        is_correlation(chance.correlation),
        || format!("{key}'s correlation is {}", chance.correlation),
        CORRELATION,
    )
}

fn is_correlation(correlation: f64) -> bool {
    (0.0..1.0).contains(&correlation)
}

fn require(holds: bool, found: impl FnOnce() -> String, expected: &str) -> Result<(), ReadError> {
    if holds {
        Ok(())
    } else {
        Err(ReadError::new(found(), expected))
    }
}
