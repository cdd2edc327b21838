//! A stage whose frames are judged elsewhere: the plugin lends it memory, a name and the fault life cycle, and never runs.

use std::time::{Duration, Instant};

use crate::failure::Kind;
use crate::frames::Fate;
use crate::life::{Next, Price};
use crate::stage::Stage;
use crate::stats::FaultReport;

impl Stage {
    /// Says whether whoever judges its frames may be asked: not while it waits after faults, or is out of service.
    pub fn may_ask_elsewhere(&mut self) -> bool {
        if self.life.is_running() {
            return true;
        }
        let now = Instant::now();
        if !self.life.due(now) {
            return false;
        }
        if self.life.is_tried() {
            self.settle_trial();
        } else {
            let was_tripped = self.life.tripped();
            self.life.started(now);
            self.report_start(was_tripped, Duration::ZERO, "judges again");
        }
        true
    }

    /// Returns what becomes of a frame that nobody was asked about because of faults.
    #[must_use]
    pub fn fate_unasked(&self) -> Fate {
        self.fate_without_instance()
    }

    /// Takes note that whoever judges its frames failed at one.
    pub fn failed_elsewhere(&mut self, report: FaultReport) {
        self.tally.failure(Kind::Exception);
        let now = Instant::now();
        // Frames it was asked about before the last fault are no reason for a longer pause.
        let next = if self.life.due(now) {
            self.life.fault(now, Price::Instance)
        } else {
            Next::Wait
        };
        let then = match (next, self.life.tripped()) {
            (Next::Restart, _) => "it goes on with the next frame",
            (Next::Wait, false) => "it goes on after a pause",
            (Next::Wait, true) => "it failed too often and is out of service",
        };
        let line = format!("{}: {}; {then}", report.kind, report.message);
        self.report_fault(line, report);
    }
}
