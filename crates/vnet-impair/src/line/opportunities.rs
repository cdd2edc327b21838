//! A trace at work: opportunities that frames use in order, and that are lost unused.

use std::sync::Arc;

use super::bucket::Served;
use super::trace::{OPPORTUNITY, Trace};

const MS: u64 = 1_000_000;

/// A line that carries bytes at the times of a trace.
///
/// Small frames share an opportunity; a frame that is larger than the rest of one takes from the
/// next ones too, and leaves with the one that carries its last byte.
#[derive(Clone, Debug)]
pub(super) struct Opportunities {
    trace: Arc<Trace>,
    /// When the trace's first round began.
    began: u64,
    at: Place,
    /// When the last frame left.
    left: Option<u64>,
}

/// A place in the trace: an opportunity, and what is left of it.
#[derive(Clone, Copy, Debug)]
struct Place {
    round: u64,
    index: usize,
    bytes: u32,
}

impl Opportunities {
    /// Returns a trace that begins at `now`, on a line that is occupied until `free`.
    pub(super) fn new(trace: Arc<Trace>, now: u64, free: u64) -> Self {
        let at = Place {
            round: 0,
            index: 0,
            bytes: OPPORTUNITY,
        };
        let mut line = Opportunities {
            trace,
            began: now,
            at,
            left: None,
        };
        line.at = line.place(free);
        line
    }

    /// Returns when the next opportunity is that no frame has used up.
    pub(super) fn free(&self) -> u64 {
        self.time(self.at)
    }

    /// Returns when a frame that arrived at `arrived` can begin to leave.
    pub(super) fn start(&self, arrived: u64) -> u64 {
        self.time(self.place(arrived))
    }

    /// Puts a frame on the line that arrived at `arrived`, after all before it.
    pub(super) fn serve(&mut self, arrived: u64, bytes: u32) -> Served {
        let busy = self.left.is_some_and(|left| arrived <= left);
        self.at = self.place(arrived);
        let mut rest = bytes.max(1);
        loop {
            let left = self.time(self.at);
            let used = rest.min(self.at.bytes);
            rest -= used;
            self.at.bytes -= used;
            if self.at.bytes == 0 {
                self.at = self.after(self.at);
            }
            if rest == 0 {
                self.left = Some(left);
                return Served { left, busy };
            }
        }
    }

    fn time(&self, place: Place) -> u64 {
        let ms = place
            .round
            .saturating_mul(self.trace.length_ms())
            .saturating_add(self.trace.time_ms(place.index));
        self.began.saturating_add(ms.saturating_mul(MS))
    }

    fn after(&self, place: Place) -> Place {
        let last = place.index + 1 == self.trace.len();
        let (round, index) = if last {
            (place.round + 1, 0)
        } else {
            (place.round, place.index + 1)
        };
        Place {
            round,
            index,
            bytes: OPPORTUNITY,
        }
    }

    /// Returns the first opportunity that is neither used up nor before `now`.
    fn place(&self, now: u64) -> Place {
        if self.time(self.at) >= now {
            return self.at;
        }
        let ms = (now - self.began).div_ceil(MS);
        // A round ends with its last opportunity, so the time of the end belongs to it and not to the next.
        let round = ms.saturating_sub(1) / self.trace.length_ms();
        let index = self.trace.first_at(ms - round * self.trace.length_ms());
        Place {
            round,
            index,
            bytes: OPPORTUNITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(trace: &str) -> Opportunities {
        Opportunities::new(Arc::new(Trace::parse(trace).expect("it is a trace")), 0, 0)
    }

    #[test]
    fn full_frames_take_one_opportunity_each_and_the_trace_loops() {
        let mut line = line("2\n5\n5\n10\n");
        let left: Vec<u64> = (0..9).map(|_| line.serve(0, 1_504).left / MS).collect();
        assert_eq!(left, [2, 5, 5, 10, 12, 15, 15, 20, 22]);
    }

    #[test]
    fn small_frames_share_and_large_ones_take_more() {
        let mut line = line("1\n2\n3\n4\n");
        let left = [700, 700, 700, 4_000].map(|bytes| line.serve(0, bytes).left / MS);
        // 1,504 + 596 bytes for three, then 908 + 1,504 + 1,504 + 84.
        assert_eq!(left, [1, 1, 2, 5]);
    }

    #[test]
    fn unused_opportunities_are_lost() {
        let mut line = line("1\n2\n10\n");
        assert_eq!(line.serve(0, 100).left, MS);
        assert_eq!(line.serve(2 * MS + 1, 1_504).left, 10 * MS);
        assert_eq!(line.serve(1_000_010 * MS + 1, 1_504).left, 1_000_011 * MS);
    }

    #[test]
    fn an_idle_line_starts_at_the_same_place_as_a_watched_one() {
        let fresh = line("3\n7\n20\n");
        for now in 0..100 {
            let start = fresh.start(now * MS);
            let expected = (now..).find(|t| *t > 0 && [3, 7, 0].contains(&(t % 20)));
            assert_eq!(Some(start / MS), expected, "at {now} ms");
        }
    }
}
