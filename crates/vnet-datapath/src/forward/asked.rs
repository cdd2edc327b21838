//! What plugins ask for by their grants: calls at a time, and frames of their own.

use vnet_runtime::Injected;

use super::{Forwarder, Parcel};
use crate::cause::Cause;
use crate::frame::Meta;
use crate::path::{Home, crossing, descending, leaving, reaching};
use crate::record::Recordings;
use crate::stage::{LinkSide, StageBox};

/// Stages whose timers one turn serves.
const STAGES: usize = 16;

/// How often timers may come between two frames of a capture; those after that come with the second.
const ROUNDS: usize = 100_000;

impl Forwarder {
    /// Takes note of the timers of all stages, as of `now`.
    pub(crate) fn arm_timers(&mut self, now: u64) {
        self.now = now;
        for index in 0..self.stages.len() {
            self.note_asked(index, 0);
        }
        self.settle_turns();
    }

    /// Takes note of what a stage that is in its place asks for.
    pub(super) fn note_asked(&mut self, index: usize, turns: u8) {
        if let Some(mut stage) = self.stages[index].take() {
            self.collect(index, &mut stage, turns);
            self.stages[index] = Some(stage);
        }
    }

    /// Takes note of what a stage asks for; frames it makes wait until no stage is at work.
    ///
    /// `turns` is how often frames were turned round that made it ask.
    pub(super) fn collect(&mut self, index: usize, stage: &mut StageBox, turns: u8) {
        let next = stage.stage.next_timer(self.now);
        // Faults are waited out in real time, whatever a capture's clock says.
        let next = next.or_else(|| {
            let revival = stage.stage.revival(self.now);
            revival.filter(|_| !self.lines.is_virtual)
        });
        self.timers.set(index, next);
        let mut injected = std::mem::take(&mut self.injected);
        stage.stage.take_injected(&mut injected);
        self.inject(index, &injected, turns);
        injected.clear();
        self.injected = injected;
    }

    /// Sends frames to the ports a stage chose, as that stage's own.
    fn inject(&mut self, index: usize, injected: &Injected, turns: u8) {
        let Some(home) = self.places.home(index) else {
            return;
        };
        for (port, frame) in injected.iter() {
            // It was made here, so that the pipeline's numbers add up.
            self.ledger.appended += 1;
            let port = usize::from(port);
            let path = match home {
                Home::Device(device) => leaving(device),
                // As if it came over the wire.
                Home::Wire => crossing(1 - port),
                Home::Link(device, node) if (node == LinkSide::B) == (port == 1) => reaching(device),
                Home::Link(device, _) => crossing(device),
                Home::Switch if self.ports.get(port).is_some_and(|p| !p.is_vacant()) => descending(port),
                Home::Switch => {
                    self.ledger.drops.add(Cause::NoPort);
                    continue;
                }
            };
            let meta = Meta {
                sent_by: Some(index as u32),
                is_injected: true,
                turns,
                serial: if self.recordings.is_on() {
                    Recordings::number(port)
                } else {
                    0
                },
                ..Meta::default()
            };
            let parcel = Parcel {
                meta,
                mark: 0,
                ts_ns: self.now,
            };
            self.defer(path, 0, frame, parcel);
        }
    }

    /// Calls the plugins whose timers have come; bounded, so that more may have.
    pub(super) fn fire_timers(&mut self, now: u64) {
        for _ in 0..STAGES {
            let Some((_, index)) = self.timers.first().filter(|(due, _)| *due <= now) else {
                break;
            };
            if let Some(mut stage) = self.stages[index].take() {
                stage.stage.fire(now);
                self.collect(index, &mut stage, 0);
                self.stages[index] = Some(stage);
            } else {
                self.timers.set(index, None);
            }
            self.settle_turns();
        }
    }

    /// Says whether any plugin may set timers.
    pub(crate) fn has_timers(&self) -> bool {
        self.stages
            .iter()
            .flatten()
            .any(|stage| stage.stage.may_set_timers())
    }

    /// Where timestamps are the clock: calls the plugins whose timers come until a frame does, each at its own time.
    pub(crate) fn run_timers_to(&mut self, until: u64) {
        for _ in 0..ROUNDS {
            let Some((due, _)) = self.timers.first().filter(|(due, _)| *due <= until) else {
                break;
            };
            self.run_lines_to(due);
            self.now = self.now.max(due);
            self.fire_timers(self.now);
        }
    }
}
