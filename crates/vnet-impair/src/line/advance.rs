//! From the queue over the rate on to the wire, up to some time.

use super::flight::{End, Flying};
use super::queue::Waiting;
use super::{Dropped, Line};

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
                flight.push(ended(waiting, start, Dropped::CoDel));
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
        let before = self.carried.filter(|_| served.busy);
        let carried = before.map_or(0, |bytes: u32| {
            bytes.saturating_add(self.pace.length(waiting.size.bytes))
        });
        self.carried = match self.launch(waiting, served.left, carried, mark_ce) {
            Ok(()) => Some(0),
            Err((frame, why)) => {
                // Its arrival is past, so its end is reported as that of any other frame, in its turn.
                let (due, end) = (served.left, End::Dropped(why));
                self.flight.push(Flying {
                    due,
                    order: 0,
                    arrived: due,
                    bytes: 0,
                    carried: 0,
                    end,
                    frame,
                });
                // The line carried it all the same, so the next frame's time is for both.
                before.map(|_| carried)
            }
        };
    }

    /// Sends a frame over the wire whose last bit left at `left`.
    pub(super) fn launch(
        &mut self,
        waiting: Waiting<T>,
        left: u64,
        carried: u32,
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
            carried,
            end,
            frame,
        });
        Ok(())
    }
}

/// Returns a frame whose way ends in the queue.
fn ended<T>(waiting: Waiting<T>, now: u64, why: Dropped) -> Flying<T> {
    let Waiting { arrived, frame, .. } = waiting;
    Flying {
        due: now,
        order: 0,
        arrived,
        bytes: 0,
        carried: 0,
        end: End::Dropped(why),
        frame,
    }
}
