//! The frames that wait in front of a rate.

use std::collections::VecDeque;

use super::Size;
use super::codel::CoDel;
use crate::fate::Fate;
use crate::{Discipline, Limit, Ready};

/// A frame that waits.
pub(super) struct Waiting<T> {
    pub(super) arrived: u64,
    pub(super) size: Size,
    pub(super) fate: Fate,
    pub(super) frame: T,
}

/// The queue in front of a rate or a trace.
pub(super) struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    bytes: u64,
    limit: Limit,
    codel: Option<CoDel>,
}

impl<T> Queue<T> {
    pub(super) fn new(ready: &Ready) -> Self {
        let mut queue = Queue {
            waiting: VecDeque::new(),
            bytes: 0,
            limit: Limit::default(),
            codel: None,
        };
        queue.set(ready);
        queue
    }

    /// Changes how long the queue may become and what it drops; what waits stays.
    pub(super) fn set(&mut self, ready: &Ready) {
        self.limit = ready.impairment().queue.unwrap_or_default();
        self.codel = match ready.impairment().discipline {
            Discipline::DropTail => None,
            Discipline::CoDel {
                target_ns,
                interval_ns,
                ecn,
            } => Some(CoDel::new(target_ns, interval_ns, ecn, self.codel.take())),
        };
    }

    /// Says whether a frame of so many bytes may wait here.
    pub(super) fn admits(&self, bytes: u32) -> bool {
        self.limit.admits(self.packets(), self.bytes, bytes)
    }

    pub(super) fn push(&mut self, frame: Waiting<T>) {
        self.bytes += u64::from(frame.size.bytes);
        self.waiting.push_back(frame);
    }

    /// Takes the frame that goes on the line at `now`, and hands over those that CoDel drops before it.
    ///
    /// The second value says that the frame is to be marked.
    pub(super) fn take(&mut self, now: u64, drop: impl FnMut(Waiting<T>)) -> Option<(Waiting<T>, bool)> {
        match &mut self.codel {
            None => self.pop().map(|frame| (frame, false)),
            Some(codel) => codel.take(now, &mut self.waiting, &mut self.bytes, drop),
        }
    }

    /// Takes the first frame, whatever the discipline.
    pub(super) fn pop(&mut self) -> Option<Waiting<T>> {
        let frame = self.waiting.pop_front()?;
        self.bytes -= u64::from(frame.size.bytes);
        Some(frame)
    }

    pub(super) fn first(&self) -> Option<&Waiting<T>> {
        self.waiting.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting<T>> {
        self.waiting.iter()
    }

    /// Says that which frame leaves next is decided only when it leaves.
    pub(super) fn may_drop(&self) -> bool {
        self.codel.is_some()
    }

    pub(super) fn packets(&self) -> u64 {
        self.waiting.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}
