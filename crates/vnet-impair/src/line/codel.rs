//! CoDel, RFC 8289: a queue that stands is shortened, a burst is left alone.

use std::collections::VecDeque;

use super::queue::Waiting;

/// The state of RFC 8289, section 5, with its names.
#[derive(Clone, Debug)]
pub(super) struct CoDel {
    target: u64,
    interval: u64,
    ecn: bool,
    /// When frames will have waited above target for a whole interval.
    first_above_time: Option<u64>,
    drop_next: u64,
    /// Drops since the dropping state began.
    count: u64,
    /// What `count` was when the dropping state began.
    lastcount: u64,
    dropping: bool,
    /// The largest frame seen: RFC 8289 never drops when no more than one such waits.
    maxpacket: u64,
}

/// What RFC 8289 calls `dodequeue_result`.
struct Taken<T> {
    frame: Waiting<T>,
    ok_to_drop: bool,
}

impl CoDel {
    pub(super) fn new(target: u64, interval: u64, ecn: bool, before: Option<CoDel>) -> Self {
        let fresh = CoDel {
            target,
            interval,
            ecn,
            first_above_time: None,
            drop_next: 0,
            count: 0,
            lastcount: 0,
            dropping: false,
            maxpacket: 0,
        };
        before.map_or(fresh, |before| CoDel {
            target,
            interval,
            ecn,
            ..before
        })
    }

    /// Takes the frame that leaves at `now` and says whether to mark it; RFC 8289's `deque`, with Linux's marks.
    pub(super) fn take<T>(
        &mut self,
        now: u64,
        waiting: &mut VecDeque<Waiting<T>>,
        bytes: &mut u64,
        mut drop: impl FnMut(Waiting<T>),
    ) -> Option<(Waiting<T>, bool)> {
        let mut taken = self.dodequeue(now, waiting, bytes);
        if self.dropping {
            self.dropping = taken.as_ref().is_some_and(|taken| taken.ok_to_drop);
            while self.dropping && now >= self.drop_next {
                let over = taken?;
                self.count += 1;
                if self.marks(&over.frame) {
                    self.drop_next = self.control_law(self.drop_next);
                    return Some((over.frame, true));
                }
                drop(over.frame);
                taken = self.dodequeue(now, waiting, bytes);
                if taken.as_ref().is_some_and(|taken| taken.ok_to_drop) {
                    self.drop_next = self.control_law(self.drop_next);
                } else {
                    self.dropping = false;
                }
            }
        } else if let Some(over) = taken.take_if(|taken| taken.ok_to_drop) {
            self.begin(now);
            if self.marks(&over.frame) {
                return Some((over.frame, true));
            }
            drop(over.frame);
            taken = self.dodequeue(now, waiting, bytes);
        }
        taken.map(|taken| (taken.frame, false))
    }

    /// Enters the dropping state, at the drop rate of the last one if that was not long ago.
    fn begin(&mut self, now: u64) {
        self.dropping = true;
        let delta = self.count.saturating_sub(self.lastcount);
        let recent = now.saturating_sub(self.drop_next) < 16 * self.interval;
        self.count = if delta > 1 && recent { delta } else { 1 };
        self.drop_next = self.control_law(now);
        self.lastcount = self.count;
    }

    fn dodequeue<T>(
        &mut self,
        now: u64,
        waiting: &mut VecDeque<Waiting<T>>,
        bytes: &mut u64,
    ) -> Option<Taken<T>> {
        let Some(frame) = waiting.pop_front() else {
            self.first_above_time = None;
            return None;
        };
        *bytes -= u64::from(frame.size.bytes);
        self.maxpacket = self.maxpacket.max(u64::from(frame.size.bytes));
        let sojourn = now.saturating_sub(frame.arrived);
        let mut ok_to_drop = false;
        if sojourn < self.target || *bytes <= self.maxpacket {
            self.first_above_time = None;
        } else {
            match self.first_above_time {
                None => self.first_above_time = Some(now + self.interval),
                Some(first_above_time) => ok_to_drop = now >= first_above_time,
            }
        }
        Some(Taken { frame, ok_to_drop })
    }

    /// Returns the time of the next drop: the interval shrinks with the square root of the drops.
    fn control_law(&self, t: u64) -> u64 {
        // The square root of IEEE 754 is rounded correctly, so every machine has the same.
        t.saturating_add((self.interval as f64 / (self.count as f64).sqrt()) as u64)
    }

    fn marks<T>(&self, frame: &Waiting<T>) -> bool {
        self.ecn && frame.size.ect
    }
}
