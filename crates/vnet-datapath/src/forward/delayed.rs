//! Frames that plugins asked to be held.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

use super::lines::Held;
use crate::path::End;
use crate::stage::StageId;

/// Most frames held for one stage, as ABI.md sets it.
const MOST: u32 = 1024;

/// Frames at the end of their path, until they are due.
#[derive(Default)]
pub(super) struct Delayed {
    queue: BinaryHeap<Reverse<Waiting>>,
    /// How many of them each stage asked for.
    asked: HashMap<StageId, u32>,
    pushed: u64,
}

/// One of them.
pub(super) struct Waiting {
    pub due: u64,
    /// Frames that are due at one time leave in the order they came.
    order: u64,
    stage: Option<StageId>,
    pub end: End,
    pub held: Held,
}

impl Delayed {
    /// Tells whether a stage may have one more frame held.
    pub(super) fn admits(&self, stage: Option<StageId>) -> bool {
        stage
            .and_then(|stage| self.asked.get(&stage))
            .is_none_or(|asked| *asked < MOST)
    }

    pub(super) fn push(&mut self, due: u64, end: End, stage: Option<StageId>, held: Held) {
        if let Some(stage) = stage {
            *self.asked.entry(stage).or_default() += 1;
        }
        self.pushed += 1;
        self.queue.push(Reverse(Waiting {
            due,
            order: self.pushed,
            stage,
            end,
            held,
        }));
    }

    pub(super) fn first_due(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse(first)| first.due)
    }

    /// Takes the frame that is due first.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let Reverse(first) = self.queue.pop()?;
        if let Some(stage) = first.stage
            && let Some(asked) = self.asked.get_mut(&stage)
        {
            *asked -= 1;
            if *asked == 0 {
                self.asked.remove(&stage);
            }
        }
        Some(first)
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}
