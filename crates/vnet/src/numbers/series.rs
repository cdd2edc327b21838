//! Samples over time, taken by a thread, in bounded memory.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::row::Row;
use crate::error::Error;
use crate::fork::Generation;
use crate::network::{Network, NetworkInner};

/// The most rows of a series, whatever is asked for: about 100 MB.
const MOST_ROWS: usize = 250_000;

/// What a series keeps; the oldest samples go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Samples not older than this.
    pub time: Duration,
    /// Rows, at most 250,000; whole samples go.
    pub rows: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            rows: MOST_ROWS,
        }
    }
}

/// Samples of a network that go on until this is stopped or dropped, or the network closed; what was taken can be had after
/// that, too.
pub struct Series {
    shared: Arc<Shared>,
    every: Duration,
    born: Generation,
}

struct Shared {
    kept: Mutex<Kept>,
    stopped: Condvar,
}

#[derive(Default)]
struct Kept {
    samples: VecDeque<(Instant, Vec<Row>)>,
    rows: usize,
    taken: u64,
    missed: u64,
    is_over: bool,
    failure: Option<String>,
}

impl Series {
    pub(crate) fn of(network: &Network, every: Duration, keep: Keep) -> Result<Self, Error> {
        if every < Duration::from_millis(1) {
            return Err(Error::Invalid {
                what: format!("a sample every {every:?} is asked for"),
                hint: Some("every is 1 ms or more".into()),
            });
        }
        let shared = Arc::new(Shared {
            kept: Mutex::default(),
            stopped: Condvar::new(),
        });
        let (weak, mine) = (Arc::downgrade(&network.inner), Arc::clone(&shared));
        std::thread::Builder::new()
            .name("vnet-stats".into())
            .spawn(move || mine.sample(&weak, every, keep))
            .map_err(|error| Error::io("cannot start the thread that takes samples", &error))?;
        Ok(Self {
            shared,
            every,
            born: network.inner.born,
        })
    }

    /// Returns the rows kept so far, oldest first.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child.
    pub fn rows(&self) -> Result<Vec<Row>, Error> {
        self.born.check("a series of samples")?;
        let kept = self.shared.kept();
        Ok(kept.samples.iter().flat_map(|(_, rows)| rows).cloned().collect())
    }

    /// Returns how many samples are kept, were taken, and were left out because the one before took that long.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child.
    pub fn counts(&self) -> Result<(usize, u64, u64), Error> {
        self.born.check("a series of samples")?;
        let kept = self.shared.kept();
        Ok((kept.samples.len(), kept.taken, kept.missed))
    }

    /// Returns whether it takes no more samples, and why when nobody asked it to stop.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child.
    pub fn is_over(&self) -> Result<(bool, Option<String>), Error> {
        self.born.check("a series of samples")?;
        let kept = self.shared.kept();
        Ok((kept.is_over, kept.failure.clone()))
    }

    /// Returns how often a sample is taken.
    #[must_use]
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Takes no more samples. Doing it again does nothing.
    pub fn stop(&self) {
        if self.born.is_ours() {
            self.shared.kept().is_over = true;
            self.shared.stopped.notify_all();
        }
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sample(&self, network: &Weak<NetworkInner>, every: Duration, keep: Keep) {
        let mut due = Instant::now();
        loop {
            // A handle is held for the time of one sample only: the network ends with its owner's last one.
            let rows = match network.upgrade() {
                Some(inner) => Network { inner }.rows(true),
                None => Err(Error::Closed {
                    what: "the network".into(),
                }),
            };
            let at = Instant::now();
            let mut kept = self.kept();
            match rows {
                // One that was under way when it was stopped is not wanted any more.
                Ok(rows) if !kept.is_over => kept.add(at, rows, keep),
                Ok(_) => {}
                Err(error) => {
                    kept.is_over = true;
                    kept.failure = (!matches!(error, Error::Closed { .. })).then(|| error.to_string());
                }
            }
            due += every;
            while due <= at {
                due += every;
                kept.missed += 1;
            }
            while !kept.is_over {
                let Some(rest) = due
                    .checked_duration_since(Instant::now())
                    .filter(|rest| !rest.is_zero())
                else {
                    break;
                };
                let waited = self.stopped.wait_timeout(kept, rest);
                kept = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if kept.is_over {
                return;
            }
        }
    }
}

impl Kept {
    fn add(&mut self, at: Instant, rows: Vec<Row>, keep: Keep) {
        self.taken += 1;
        self.rows += rows.len();
        self.samples.push_back((at, rows));
        let most = keep.rows.min(MOST_ROWS);
        while self.samples.len() > 1
            && let Some((first, rows)) = self.samples.front()
            && (self.rows > most || at.duration_since(*first) > keep.time)
        {
            self.rows -= rows.len();
            self.samples.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(keep: Keep, samples: usize, rows: usize) -> Kept {
        let mut kept = Kept::default();
        let start = Instant::now();
        for number in 0..samples {
            let at = start + Duration::from_secs(number as u64);
            kept.add(at, vec![Row::default(); rows], keep);
        }
        kept
    }

    #[test]
    fn what_is_older_than_asked_for_goes() {
        let keep = Keep {
            time: Duration::from_secs(10),
            rows: MOST_ROWS,
        };
        let kept = taken(keep, 100, 3);
        assert_eq!((kept.samples.len(), kept.rows, kept.taken), (11, 33, 100));
    }

    #[test]
    fn rows_are_bounded_by_whole_samples() {
        let keep = Keep {
            time: Duration::from_secs(1000),
            rows: 100,
        };
        let kept = taken(keep, 100, 30);
        assert_eq!((kept.samples.len(), kept.rows), (3, 90));
        // One sample is always there, however large.
        assert_eq!(taken(keep, 5, 300).samples.len(), 1);
    }
}
