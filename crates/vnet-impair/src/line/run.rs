//! A line: what a frame meets from its arrival to its end.

use std::fmt;

use super::flight::{End, Flight, Flying};
use super::pace::Pace;
use super::queue::{Queue, Waiting};
use super::{Dropped, Outcome, Size};
use crate::fate::Fates;
use crate::measure::{Meter, Run};
use crate::{Impairment, LineStats, Ready};

/// One direction of a link at work.
///
/// A line owns the frames it holds, as values of `T`, and knows no clock: its user says what time it
/// is, in nanoseconds of any clock that does not go backwards. Nothing leaves before its time; when
/// [`Line::poll`] comes later than [`Line::next`] asks for, frames leave late, and the
/// [statistics](LineStats) say by how much.
pub struct Line<T> {
    pub(super) ready: Ready,
    pub(super) fates: Fates,
    pub(super) queue: Queue<T>,
    pub(super) pace: Pace,
    pub(super) flight: Flight<T>,
    pub(super) meter: Meter,
    /// No frame that waits or comes takes less delay.
    pub(super) least_delay_ns: u64,
    /// How far the line has come without a break; `None` where nothing went on it yet.
    pub(super) run: Option<Run>,
}

impl<T> Line<T> {
    /// Returns a line that starts at `now`; its frames' fates follow from `key` and their number alone.
    pub fn new(key: [u8; 32], ready: Ready, now: u64) -> Self {
        let fates = Fates::new(key, &ready);
        Line {
            queue: Queue::new(&ready),
            pace: Pace::new(&ready, now),
            flight: Flight::new(),
            meter: Meter::new(now),
            least_delay_ns: fates.least_delay_ns(),
            run: None,
            fates,
            ready,
        }
    }

    /// Changes the impairment under way.
    ///
    /// Frames on the wire keep their time and frames that wait leave by the changed rate. Arrivals
    /// are counted on and what the models remember stays, so a setting that does not change goes
    /// on as if nothing had happened.
    pub fn set(&mut self, ready: Ready, now: u64) {
        self.advance(now);
        self.fates.set(&ready);
        self.queue.set(&ready);
        self.pace.set(&self.ready, &ready, now);
        let waiting = self.queue.iter().map(|waiting| waiting.fate.delay_ns).min();
        self.least_delay_ns = waiting
            .into_iter()
            .chain([self.fates.least_delay_ns()])
            .min()
            .unwrap_or_default();
        self.ready = ready;
    }

    /// Takes a frame that arrives at `now`, or hands it back with the reason why not.
    ///
    /// # Errors
    ///
    /// The frame is dropped on arrival: it does not fit, or a wire without a rate lost it.
    pub fn offer(&mut self, now: u64, size: impl Into<Size>, frame: T) -> Result<(), (T, Dropped)> {
        let size = size.into();
        self.advance(now);
        self.meter.arrives(size.bytes);
        let fate = self.fates.next();
        let waiting = Waiting {
            arrived: now,
            size,
            fate,
            frame,
        };
        if self.queue.packets() == 0 && self.pace.is_open(now) {
            return self
                .launch(waiting, now, Run::default(), false)
                .inspect_err(|(_, why)| self.meter.drops(*why));
        }
        let waits = self.queue.packets() > 0 || self.pace.start(now) > now;
        if waits && !self.queue.admits(size.bytes) {
            self.meter.drops(Dropped::QueueFull);
            return Err((waiting.frame, Dropped::QueueFull));
        }
        self.queue.push(waiting);
        if waits {
            self.meter.queue(now, self.queue.packets(), self.queue.bytes());
        } else {
            self.advance(now);
        }
        Ok(())
    }

    /// Returns when [`Line::poll`] has something to do; `None` while the line is empty.
    pub fn next(&self) -> Option<u64> {
        let waiting = self.queue.first().map(|first| {
            let takes = if self.queue.may_drop() {
                0
            } else {
                self.pace.takes_ns(first.size.bytes)
            };
            self.pace
                .start(first.arrived)
                .saturating_add(takes)
                .saturating_add(self.least_delay_ns)
        });
        waiting.into_iter().chain(self.flight.first_due()).min()
    }

    /// Hands over what leaves at `now` or should have left before, in order.
    pub fn poll(&mut self, now: u64, out: &mut dyn FnMut(Outcome<T>)) {
        self.advance(now);
        while let Some(flying) = self.flight.pop(now) {
            self.meter.leaves(&flying, now);
            out(outcome(flying));
        }
    }

    /// Hands over everything the line holds, at once and in the order in which it would have left.
    pub fn flush(&mut self, out: &mut dyn FnMut(Outcome<T>)) {
        let pace = self.pace.clone();
        while let Some(waiting) = self.queue.pop() {
            let start = self.pace.start(waiting.arrived);
            self.go(waiting, start, false);
        }
        self.pace = pace;
        self.run = None;
        while let Some(flying) = self.flight.pop(u64::MAX) {
            self.meter.flushes(&flying);
            out(outcome(flying));
        }
    }

    /// Returns what is asked of it just now.
    pub fn impairment(&self) -> &Impairment {
        self.ready.impairment()
    }

    /// Returns how many frames the line holds.
    pub fn held(&self) -> usize {
        self.queue.packets() as usize + self.flight.len()
    }

    /// Returns what the line did until `now`.
    pub fn stats(&mut self, now: u64) -> LineStats {
        // What waits goes on the line only when somebody asks.
        self.advance(now);
        let waiting = (self.queue.packets(), self.queue.bytes());
        self.meter
            .stats(self.ready.impairment(), now, self.flight.len() as u64, waiting)
    }
}

impl<T> fmt::Debug for Line<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held();
        f.debug_struct("Line")
            .field("ready", &self.ready)
            .field("held", &held)
            .finish_non_exhaustive()
    }
}

fn outcome<T>(flying: Flying<T>) -> Outcome<T> {
    let Flying {
        due: asked,
        end,
        frame,
        ..
    } = flying;
    match end {
        End::Out {
            duplicated,
            corrupt,
            mark_ce,
            ..
        } => Outcome::Out {
            frame,
            copies: 1 + u8::from(duplicated),
            corrupt: corrupt.map(u64::from),
            mark_ce,
            asked,
        },
        End::Dropped(why) => Outcome::Dropped { frame, why },
    }
}
