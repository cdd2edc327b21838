//! The frames on the wire, in the order in which they leave.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::Dropped;
use crate::measure::Run;

/// The most bytes on the wire of one direction.
pub(crate) const MOST_BYTES: u64 = 64 << 20;

/// A frame on the wire.
pub(crate) struct Flying<T> {
    /// When it leaves.
    pub(crate) due: u64,
    /// Its place among those that leave at the same time.
    pub(crate) order: u64,
    pub(crate) arrived: u64,
    pub(crate) bytes: u32,
    /// When its last bit left the line.
    pub(crate) left: u64,
    /// How far the line had come with it.
    pub(crate) run: Run,
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
/// Most leave in the order in which they come, and a plain queue holds those. The others, which
/// jitter and reordering send ahead, go through a heap that holds only where they are.
pub(super) struct Flight<T> {
    in_order: VecDeque<Flying<T>>,
    /// When a frame leaves, its order, and its place in `ahead`.
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    ahead: Vec<Option<Flying<T>>>,
    free: Vec<usize>,
    bytes: u64,
    pushed: u64,
}

impl<T> Flight<T> {
    pub(super) fn new() -> Self {
        Flight {
            in_order: VecDeque::new(),
            heap: BinaryHeap::new(),
            ahead: Vec::new(),
            free: Vec::new(),
            bytes: 0,
            pushed: 0,
        }
    }

    /// Says whether a frame of so many bytes may join.
    pub(super) fn admits(&self, bytes: u32) -> bool {
        self.bytes + u64::from(bytes) <= MOST_BYTES
    }

    /// Adds a frame after all those that leave when it does.
    pub(super) fn push(&mut self, mut flying: Flying<T>) {
        self.bytes += u64::from(flying.bytes);
        flying.order = self.pushed;
        self.pushed += 1;
        if self.in_order.back().is_none_or(|last| last.due <= flying.due) {
            self.in_order.push_back(flying);
        } else {
            let place = self.free.pop().unwrap_or_else(|| {
                self.ahead.push(None);
                self.ahead.len() - 1
            });
            self.heap.push(Reverse((flying.due, flying.order, place)));
            self.ahead[place] = Some(flying);
        }
    }

    /// Returns when the first frame leaves.
    pub(super) fn first_due(&self) -> Option<u64> {
        let in_order = self.in_order.front().map(|flying| flying.due);
        let ahead = self.heap.peek().map(|Reverse((due, ..))| *due);
        in_order.into_iter().chain(ahead).min()
    }

    /// Takes the first frame if it leaves at `now` or before.
    pub(super) fn pop(&mut self, now: u64) -> Option<Flying<T>> {
        let in_order = self.in_order.front().map(|flying| (flying.due, flying.order));
        let ahead = self.heap.peek().map(|Reverse((due, order, _))| (*due, *order));
        let flying = if in_order.is_some_and(|first| ahead.is_none_or(|other| first < other)) {
            self.in_order.pop_front_if(|first| first.due <= now)?
        } else {
            ahead.filter(|(due, _)| *due <= now)?;
            let Reverse((.., place)) = self.heap.pop()?;
            self.free.push(place);
            self.ahead[place].take()?
        };
        self.bytes -= u64::from(flying.bytes);
        Some(flying)
    }

    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.heap.len()
    }
}
