//! From the queue over the rate on to the wire, up to some time.

use super::flight::{End, Flying};
use super::queue::Waiting;
use super::{Dropped, Line};
use crate::measure::Run;

impl<T> Line<T> {
    /// Puts on the wire what goes there until `now`; whether it is asked for late makes no difference.
    pub(super) fn advance(&mut self, now: u64) {
        while let Some(first) = self.queue.first() {
            let start = self.pace.start(first.arrived);
            if start > now {
                return;
            }
            let Line { queue, flight, .. } = self;
            let taken = queue.take(start, |waiting| {
                flight.push(dropped(waiting.frame, waiting.arrived, start, Dropped::CoDel));
            });
            if let Some((waiting, mark_ce)) = taken {
                self.go(waiting, start, mark_ce);
            }
            self.meter.queue(start, self.queue.packets(), self.queue.bytes());
        }
    }

    /// Puts one frame on the line at `start`.
    pub(super) fn go(&mut self, waiting: Waiting<T>, start: u64, mark_ce: bool) {
        let served = self.pace.serve(start, waiting.arrived, waiting.size.bytes);
        let length = u64::from(self.pace.length(waiting.size.bytes));
        let run = match self.run.filter(|_| served.busy) {
            Some(Run { since, bytes }) => Run {
                since,
                bytes: bytes + length,
            },
            None => Run {
                since: served.left,
                bytes: 0,
            },
        };
        // The line carries what gets lost behind it all the same.
        self.run = Some(run);
        if let Err((frame, why)) = self.launch(waiting, served.left, run, mark_ce) {
            // Its arrival is past, so its end is reported as that of any other frame, in its turn.
            self.flight.push(dropped(frame, served.left, served.left, why));
        }
    }

    /// Sends a frame over the wire whose last bit left at `left`.
    pub(super) fn launch(
        &mut self,
        waiting: Waiting<T>,
        left: u64,
        run: Run,
        mark_ce: bool,
    ) -> Result<(), (T, Dropped)> {
        let Waiting {
            arrived,
            size,
            fate,
            frame,
        } = waiting;
        self.meter.reaches_wire(fate.lost);
        if fate.lost {
            return Err((frame, Dropped::Loss));
        }
        if !self.flight.admits(size.bytes) {
            return Err((frame, Dropped::FlightFull));
        }
        let delay = if fate.overtakes { 0 } else { fate.delay_ns };
        let end = End::Out {
            duplicated: fate.duplicated,
            overtook: fate.overtakes,
            corrupt: fate.flipped_bit(size.bytes),
            mark_ce,
        };
        let due = left.saturating_add(delay);
        self.flight.push(Flying {
            due,
            order: 0,
            arrived,
            bytes: size.bytes,
            left,
            run,
            end,
            frame,
        });
        Ok(())
    }
}

/// Returns a frame whose way ends before the wire.
fn dropped<T>(frame: T, arrived: u64, now: u64, why: Dropped) -> Flying<T> {
    Flying {
        due: now,
        order: 0,
        arrived,
        bytes: 0,
        left: now,
        run: Run::default(),
        end: End::Dropped(why),
        frame,
    }
}
