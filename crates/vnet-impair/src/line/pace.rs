//! What lets frames go on the wire: nothing, a rate or a trace.

use std::sync::Arc;

use super::bucket::{Bucket, Served};
use super::opportunities::Opportunities;
use crate::Ready;

/// What lets frames go on the wire.
#[derive(Clone, Debug)]
pub(super) enum Pace {
    /// Frames go at once, but not before `since`, when the last of a rate that was taken away is through.
    Open {
        since: u64,
    },
    Bucket(Bucket),
    Trace(Opportunities),
}

impl Pace {
    pub(super) fn new(ready: &Ready, now: u64) -> Self {
        match (ready.impairment().rate, ready.trace()) {
            (Some(rate), _) => Pace::Bucket(Bucket::new(rate, 0)),
            (None, Some(trace)) => Pace::Trace(Opportunities::new(Arc::clone(trace), now, 0)),
            (None, None) => Pace::Open { since: 0 },
        }
    }

    /// Changes to another pace; frames on the wire keep their time, so the next one waits for them.
    pub(super) fn set(&mut self, before: &Ready, ready: &Ready, now: u64) {
        if before.impairment().rate == ready.impairment().rate && before.trace() == ready.trace() {
            return;
        }
        let free = self.free().max(now);
        *self = match (ready.impairment().rate, ready.trace()) {
            (Some(rate), _) => Pace::Bucket(Bucket::new(rate, free)),
            (None, Some(trace)) => Pace::Trace(Opportunities::new(Arc::clone(trace), now, free)),
            (None, None) => Pace::Open { since: free },
        };
    }

    /// Says whether frames go at once.
    pub(super) fn is_open(&self, now: u64) -> bool {
        matches!(self, Pace::Open { since } if *since <= now)
    }

    /// Returns when the line is free for the next frame.
    fn free(&self) -> u64 {
        match self {
            Pace::Open { since } => *since,
            Pace::Bucket(bucket) => bucket.free(),
            Pace::Trace(opportunities) => opportunities.free(),
        }
    }

    /// Returns when a frame that arrived at `arrived` goes on the line.
    pub(super) fn start(&self, arrived: u64) -> u64 {
        match self {
            Pace::Open { .. } | Pace::Bucket(_) => self.free().max(arrived),
            Pace::Trace(opportunities) => opportunities.start(arrived),
        }
    }

    /// Returns the least time that a frame which waits takes on the line.
    pub(super) fn takes_ns(&self, bytes: u32) -> u64 {
        match self {
            Pace::Bucket(bucket) => bucket.takes_ns(bytes),
            Pace::Open { .. } | Pace::Trace(_) => 0,
        }
    }

    /// Returns how many bytes a frame takes on the line.
    pub(super) fn length(&self, bytes: u32) -> u32 {
        match self {
            Pace::Bucket(bucket) => bucket.length(bytes),
            Pace::Open { .. } | Pace::Trace(_) => bytes,
        }
    }

    /// Puts a frame on the line at its start.
    pub(super) fn serve(&mut self, start: u64, arrived: u64, bytes: u32) -> Served {
        match self {
            Pace::Open { .. } => Served {
                left: start,
                busy: false,
            },
            Pace::Bucket(bucket) => bucket.serve(start, bytes),
            Pace::Trace(opportunities) => opportunities.serve(arrived, bytes),
        }
    }
}
