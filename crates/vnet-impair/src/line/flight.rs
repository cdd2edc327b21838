//! The frames on the wire, in the order in which they leave.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use super::Dropped;

/// A frame on the wire.
pub(crate) struct Flying<T> {
    /// When it leaves.
    pub(crate) due: u64,
    /// Its place among those that leave at the same time.
    pub(crate) order: u64,
    pub(crate) arrived: u64,
    pub(crate) bytes: u32,
    /// Bytes the line carried without a break since the frame before; 0 where there was one.
    pub(crate) carried: u32,
    pub(crate) end: End,
    pub(crate) frame: T,
}

/// How a frame's way ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Out {
        duplicated: bool,
        overtook: bool,
        corrupt: Option<u32>,
        mark_ce: bool,
    },
    Dropped(Dropped),
}

/// The frames on the wire.
///
/// Most leave in the order in which they come, and a plain queue holds those; jitter and
/// reordering send the rest through a heap.
pub(super) struct Flight<T> {
    in_order: VecDeque<Flying<T>>,
    overtaking: BinaryHeap<Earliest<T>>,
    bytes: u64,
    pushed: u64,
}

impl<T> Flight<T> {
    /// The most bytes on the wire of one direction.
    pub(super) const MOST_BYTES: u64 = 64 << 20;

    pub(super) fn new() -> Self {
        Flight {
            in_order: VecDeque::new(),
            overtaking: BinaryHeap::new(),
            bytes: 0,
            pushed: 0,
        }
    }

    /// Says whether a frame of so many bytes may join.
    pub(super) fn admits(&self, bytes: u32) -> bool {
        self.bytes + u64::from(bytes) <= Flight::<T>::MOST_BYTES
    }

    /// Adds a frame after all those that leave when it does.
    pub(super) fn push(&mut self, mut flying: Flying<T>) {
        self.bytes += u64::from(flying.bytes);
        flying.order = self.pushed;
        self.pushed += 1;
        if self.in_order.back().is_some_and(|last| last.due > flying.due) {
            self.overtaking.push(Earliest(flying));
        } else {
            self.in_order.push_back(flying);
        }
    }

    /// Returns when the first frame leaves.
    pub(super) fn first_due(&self) -> Option<u64> {
        let in_order = self.in_order.front().map(|flying| flying.due);
        let overtaking = self.overtaking.peek().map(|flying| flying.0.due);
        in_order.into_iter().chain(overtaking).min()
    }

    /// Takes the first frame if it leaves at `now` or before.
    pub(super) fn pop(&mut self, now: u64) -> Option<Flying<T>> {
        let place = |flying: &Flying<T>| (flying.due, flying.order);
        let in_order = self.in_order.front().map(place);
        let overtaking = self.overtaking.peek().map(|flying| place(&flying.0));
        let (due, from_heap) = match (in_order, overtaking) {
            (None, None) => return None,
            (Some(first), None) => (first.0, false),
            (None, Some(first)) => (first.0, true),
            (Some(a), Some(b)) => (a.min(b).0, b < a),
        };
        if due > now {
            return None;
        }
        let flying = if from_heap {
            self.overtaking.pop()?.0
        } else {
            self.in_order.pop_front()?
        };
        self.bytes -= u64::from(flying.bytes);
        Some(flying)
    }

    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.overtaking.len()
    }
}

/// Orders frames so that the greatest leaves first.
struct Earliest<T>(Flying<T>);

impl<T> Ord for Earliest<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.0.due, other.0.order).cmp(&(self.0.due, self.0.order))
    }
}

impl<T> PartialOrd for Earliest<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Earliest<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Earliest<T> {}
