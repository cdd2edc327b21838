//! Ends a failed instance and makes a fresh one, when the fault rules allow it.

use std::time::Instant;

use vnet_abi::{export, log_level};

use crate::attach::shape;
use crate::error::Refusal;
use crate::exports::Form;
use crate::failure::Failure;
use crate::frames::{Fate, Reason};
use crate::instance::Instance;
use crate::life::Next;
use crate::maps;
use crate::options::OnFault;
use crate::stage::Stage;

impl Stage {
    /// Returns what becomes of a frame while there is no instance.
    pub(crate) fn fate_without_instance(&self) -> Fate {
        match self.on_fault {
            OnFault::Open => Fate::Pass,
            OnFault::Closed if self.life.tripped() => Fate::Drop(Reason::Tripped),
            OnFault::Closed => Fate::Drop(Reason::Backoff),
        }
    }

    /// Makes an instance where there is none and one is due; says whether there is one afterwards.
    pub(crate) fn revive_if_due(&mut self) -> bool {
        if self.instance.is_some() {
            return true;
        }
        if !self.life.due(Instant::now()) {
            return false;
        }
        match self.revive() {
            Ok(()) => true,
            Err(failure) => self.settle_failure(&failure, &[]),
        }
    }

    /// Ends the failed instance and makes a fresh one where the fault rules allow it at once.
    pub(crate) fn replace(&mut self, failure: &Failure, frame: &[u8]) -> bool {
        if let Some(instance) = self.instance.take() {
            self.retire(instance);
        }
        self.settle_failure(failure, frame)
    }

    /// Ends an instance and keeps what the next one takes over.
    pub(crate) fn retire(&mut self, mut instance: Instance) {
        if let Some(table) = instance.maps {
            self.maps = maps::save(instance.memory(), table);
        }
        let mut host = instance.retire();
        // A fresh instance is configured again, and sets its timers again.
        host.asked.timers.clear();
        self.idle = Some(host);
    }

    fn settle_failure(&mut self, failure: &Failure, frame: &[u8]) -> bool {
        let mut next = self.note(failure, frame);
        while next == Next::Restart {
            match self.revive() {
                Ok(()) => return true,
                Err(failure) => next = self.note(&failure, &[]),
            }
        }
        false
    }

    /// Counts, reports and logs a failure.
    fn note(&mut self, failure: &Failure, frame: &[u8]) -> Next {
        self.tally.failure(failure.kind);
        let report = failure.report(frame);
        let next = self.life.fault(Instant::now());
        let then = match (next, self.life.tripped()) {
            (Next::Restart, _) => "a fresh instance is made",
            (Next::Wait, false) => "a fresh instance is made after a pause",
            (Next::Wait, true) => "it failed too often and is out of service",
        };
        let line = format!("{}: {}; {then}", report.kind, report.message);
        if let Some(host) = self.host_mut() {
            host.log.host(log_level::ERROR, &line);
        }
        self.last_fault = Some(report);
        next
    }

    fn revive(&mut self) -> Result<(), Box<Failure>> {
        let Some(host) = self.idle.take() else {
            return Ok(());
        };
        match Instance::start(&self.module, host) {
            Ok(mut instance) => {
                if shape(&instance) != (self.traits, self.stride, self.slots) {
                    self.idle = Some(instance.retire());
                    return Err(Failure::of_refusal(
                        shape_step(self.module.form()),
                        Refusal::new("a fresh instance declares other buffers than the first"),
                    ));
                }
                if let Some(table) = instance.maps {
                    maps::restore(instance.memory(), table, &self.maps);
                }
                self.maps.clear();
                self.life.started(Instant::now());
                self.tally.restarts += 1;
                self.instance = Some(instance);
                self.share_again();
                Ok(())
            }
            Err((host, failure)) => {
                self.idle = Some(host);
                Err(failure)
            }
        }
    }
}

/// Names the export that declares a plugin's buffers.
fn shape_step(form: Form) -> &'static str {
    match form {
        Form::Simple => export::FRAME_CAP,
        Form::Batch => export::INFO,
    }
}
