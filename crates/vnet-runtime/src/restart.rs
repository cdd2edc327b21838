//! Ends a failed instance and makes a fresh one, when the fault rules allow it.

use std::time::{Duration, Instant};

use vnet_abi::{export, log_level};

use crate::attach::shape;
use crate::error::{PluginError, Refusal};
use crate::event::{StageEvent, StageEventKind};
use crate::exports::Form;
use crate::failure::{Failure, Kind};
use crate::frames::{Fate, Reason};
use crate::instance::Instance;
use crate::life::{Next, Price};
use crate::maps;
use crate::options::OnFault;
use crate::stage::Stage;
use crate::stats::FaultReport;

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
            Err(failure) => self.settle_failure(&failure, &[], Price::Time),
        }
    }

    /// Ends the failed instance and makes a fresh one where the fault rules allow it at once.
    pub(crate) fn replace(&mut self, failure: &Failure, frame: &[u8]) -> bool {
        if let Some(instance) = self.instance.take() {
            self.retire(instance);
        }
        let price = match failure.kind {
            Kind::Trap | Kind::Error | Kind::Exception => Price::Instance,
            Kind::Timeout => Price::Time,
        };
        self.settle_failure(failure, frame, price)
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

    fn settle_failure(&mut self, failure: &Failure, frame: &[u8], price: Price) -> bool {
        let mut next = self.note(failure, frame, price);
        while next == Next::Restart {
            match self.revive() {
                Ok(()) => return true,
                Err(failure) => next = self.note(&failure, &[], Price::Time),
            }
        }
        false
    }

    /// Counts, reports and logs a failure.
    fn note(&mut self, failure: &Failure, frame: &[u8], price: Price) -> Next {
        self.tally.failure(failure.kind);
        let report = failure.report(frame);
        let next = self.life.fault(Instant::now(), price);
        let then = match (next, self.life.tripped()) {
            (Next::Restart, _) => "a fresh instance is made",
            (Next::Wait, false) => "a fresh instance is made after a pause",
            (Next::Wait, true) => "it failed too often and is out of service",
        };
        let line = format!("{}: {}; {then}", report.kind, report.message);
        self.report_fault(line, report);
        next
    }

    /// Logs a fault and tells of it, and of the trip it may have been.
    pub(crate) fn report_fault(&mut self, line: String, report: FaultReport) {
        if let Some(host) = self.host_mut() {
            host.log.fault(&line);
        }
        let mut event = StageEvent::new(StageEventKind::Fault, line);
        event.fault = Some(report.clone());
        self.events.push(event);
        if self.life.tripped() {
            let text = "out of service after too many faults".to_owned();
            self.events.push(StageEvent::new(StageEventKind::Tripped, text));
        }
        self.last_fault = Some(report);
    }

    /// Puts a plugin that waits for a restart, or is out of service, to work again, and forgets its faults.
    ///
    /// # Errors
    ///
    /// As [`Stage::new`]; it is a fault like any other then.
    pub fn reset(&mut self) -> Result<(), PluginError> {
        self.life.reset();
        if self.instance.is_some() {
            return Ok(());
        }
        self.runner.enter();
        let revived = self.revive();
        let result = match revived {
            Ok(()) => {
                if self.module.form() == Form::Batch {
                    self.arena = Vec::new();
                }
                let text = "put to work again by hand".to_owned();
                self.events.push(StageEvent::new(StageEventKind::Revived, text));
                Ok(())
            }
            Err(failure) => {
                self.settle_failure(&failure, &[], Price::Time);
                Err(failure.into_error(self.name()))
            }
        };
        self.runner.leave();
        result
    }

    /// Takes note that an instance tried after a trip has worked for long enough.
    #[cold]
    pub(crate) fn settle_trial(&mut self) {
        if self.life.settle_trial(Instant::now()) {
            let text = "has worked without a fault since it was tried again".to_owned();
            if let Some(host) = self.host_mut() {
                host.log.host(log_level::INFO, &text);
            }
            self.events.push(StageEvent::new(StageEventKind::Revived, text));
        }
    }

    pub(crate) fn report_start(&mut self, was_tripped: bool, took: Duration, text: &str) {
        let (kind, text) = if was_tripped {
            (StageEventKind::HalfOpen, "tried again")
        } else {
            (StageEventKind::Restarted, text)
        };
        let mut event = StageEvent::new(kind, text.to_owned());
        event.took_ns = took.as_nanos() as u64;
        self.events.push(event);
    }

    fn revive(&mut self) -> Result<(), Box<Failure>> {
        let Some(host) = self.idle.take() else {
            return Ok(());
        };
        let (begun, was_tripped) = (Instant::now(), self.life.tripped());
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
                self.report_start(was_tripped, begun.elapsed(), "a fresh instance runs");
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
