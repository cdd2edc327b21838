//! One key of an impairment, set from what a user wrote.

use std::path::PathBuf;

use super::chance::read_correlation;
use super::rate::{read_burst, read_overhead};
use super::{Chance, Discipline, Distribution, Given, Impairment, Limit, Loss, Rate, ReadError};
use crate::units::{read_bitrate, read_time};

const GAP: &str = "a number of frames from 1, such as 5";
const TRACE: &str = "the path of a trace in mahimahi's format";

impl Impairment {
    /// Sets one key and leaves the others as they are; `None` takes it back to nothing.
    ///
    /// What only means something beside another key goes with it: without `jitter` there is no
    /// distribution and no correlation, without `reorder` no gap, without `rate` no burst and no
    /// overhead. So keys that change together are set in the order of [`Impairment::KEYS`], and
    /// [`Impairment::check`] comes after the last of them.
    ///
    /// # Errors
    ///
    /// There is no such key, or the value has another unit than the key: the error shows the right form.
    pub fn set(&mut self, key: &str, value: Option<Given<'_>>) -> Result<(), ReadError> {
        let set = match value {
            Some(given) => self.put(key, given),
            None => self.take(key),
        };
        set.map_err(|expected| {
            let value = value.map_or_else(|| "not given".to_owned(), |given| given.to_string());
            ReadError::new(format!("{key} is {value}"), expected)
        })
    }

    fn put(&mut self, key: &str, given: Given<'_>) -> Result<(), String> {
        match key {
            "delay" => self.delay_ns = read_time(given)?,
            "jitter" => self.jitter_ns = read_time(given)?,
            "distribution" => self.distribution = Distribution::read(given)?,
            "correlation" => self.correlation = read_correlation(given)?,
            "loss" => self.loss = Loss::read(given)?,
            "duplicate" => self.duplicate = Chance::read(given)?,
            "reorder" => self.reorder = Chance::read(given)?,
            "gap" => self.gap = read_gap(given)?,
            "corrupt" => self.corrupt = Chance::read(given)?,
            "rate" => self.rate_mut().bits_per_s = read_bitrate(given)?,
            "burst" => self.rate_mut().burst = read_burst(given)?,
            "overhead" => self.rate_mut().overhead = read_overhead(given)?,
            "queue" | "limit" => self.queue = Some(Limit::read(given)?),
            "discipline" => self.discipline = Discipline::read(given)?,
            "trace" => self.trace = Some(read_trace(given)?),
            _ => return Err(no_such_key()),
        }
        self.forget_empty_rate();
        Ok(())
    }

    fn take(&mut self, key: &str) -> Result<(), String> {
        let none = Impairment::default();
        match key {
            "delay" => self.delay_ns = none.delay_ns,
            "jitter" => {
                self.jitter_ns = none.jitter_ns;
                self.distribution = none.distribution;
                self.correlation = none.correlation;
            }
            "distribution" => self.distribution = none.distribution,
            "correlation" => self.correlation = none.correlation,
            "loss" => self.loss = none.loss,
            "duplicate" => self.duplicate = none.duplicate,
            "reorder" => {
                self.reorder = none.reorder;
                self.gap = none.gap;
            }
            "gap" => self.gap = none.gap,
            "corrupt" => self.corrupt = none.corrupt,
            "rate" => self.rate = none.rate,
            "burst" => self.rate_mut().burst = 0,
            "overhead" => self.rate_mut().overhead = 0,
            "queue" | "limit" => self.queue = none.queue,
            "discipline" => self.discipline = none.discipline,
            "trace" => self.trace = none.trace,
            _ => return Err(no_such_key()),
        }
        self.forget_empty_rate();
        Ok(())
    }

    fn rate_mut(&mut self) -> &mut Rate {
        self.rate.get_or_insert_default()
    }

    /// A burst may be set before its rate, so a rate that says nothing is no rate.
    fn forget_empty_rate(&mut self) {
        self.rate = self.rate.filter(|rate| *rate != Rate::default());
    }
}

fn read_gap(given: Given<'_>) -> Result<u32, &'static str> {
    let gap = match given {
        Given::Integer(frames) => u32::try_from(frames).ok(),
        Given::Float(_) => None,
        Given::Text(text) => text.trim().parse().ok(),
    };
    gap.filter(|gap| *gap > 0).ok_or(GAP)
}

fn read_trace(given: Given<'_>) -> Result<PathBuf, &'static str> {
    match given {
        Given::Text(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(TRACE),
    }
}

fn no_such_key() -> String {
    format!("one of the keys {}", Impairment::KEYS.join(", "))
}
