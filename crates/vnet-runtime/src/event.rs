//! What happens to a stage in its life: a bounded queue from the packet path to whoever wants to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crossbeam_queue::ArrayQueue;

use crate::stats::FaultReport;

/// Events that wait for a reader; what comes after them is counted and lost.
const QUEUE: usize = 256;

/// A step in the life of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageEventKind {
    /// The plugin trapped, ran out of time or answered negatively.
    Fault,
    /// A fresh instance took the place of the failed one.
    Restarted,
    /// It failed too often and is out of service.
    Tripped,
    /// One fresh instance is tried after a trip.
    HalfOpen,
    /// It is in service again: that instance has worked for long enough, or somebody put it to work by hand.
    Revived,
}

impl StageEventKind {
    /// Returns `fault`, `restarted`, `tripped`, `half-open` or `revived`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StageEventKind::Fault => "fault",
            StageEventKind::Restarted => "restarted",
            StageEventKind::Tripped => "tripped",
            StageEventKind::HalfOpen => "half-open",
            StageEventKind::Revived => "revived",
        }
    }
}

/// Something that happened to a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageEvent {
    /// What it was.
    pub kind: StageEventKind,
    /// The same in words.
    pub message: String,
    /// When it happened.
    pub ts: SystemTime,
    /// How the plugin failed, where it did.
    pub fault: Option<FaultReport>,
    /// How long the start of a fresh instance took, in nanoseconds; else 0.
    pub took_ns: u64,
}

impl StageEvent {
    pub(crate) fn new(kind: StageEventKind, message: String) -> StageEvent {
        StageEvent {
            kind,
            message,
            ts: SystemTime::now(),
            fault: None,
            took_ns: 0,
        }
    }
}

/// Takes a stage's events, from any thread and while the stage runs.
#[derive(Clone, Debug)]
pub struct EventReader(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<StageEvent>,
    lost: AtomicU64,
}

impl EventReader {
    /// Returns the oldest event that nobody took.
    #[must_use]
    pub fn pop(&self) -> Option<StageEvent> {
        self.0.queue.pop()
    }

    /// Returns how many events were lost because nobody took them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

/// The writing end; it takes no lock.
#[derive(Clone, Debug)]
pub(crate) struct EventWriter(Arc<Shared>);

impl EventWriter {
    pub(crate) fn new() -> EventWriter {
        EventWriter(Arc::new(Shared {
            queue: ArrayQueue::new(QUEUE),
            lost: AtomicU64::new(0),
        }))
    }

    pub(crate) fn reader(&self) -> EventReader {
        EventReader(Arc::clone(&self.0))
    }

    pub(crate) fn push(&self, event: StageEvent) {
        if self.0.queue.push(event).is_err() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
