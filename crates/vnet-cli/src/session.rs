//! The time between "everything is in place" and "it ends": until a signal, the end of CMD, or the loss of a device.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use vnet::{Attachment, Command, Device, Netns, PipelineStats, Recording, Running, StageStats, Wire};

use crate::failure::Failure;
use crate::output::{self, Paint};
use crate::report;
use crate::signals::{Signals, Woken};

/// How often the devices are looked after: one that vanished ends the command.
const LOOK: Duration = Duration::from_millis(500);
/// How long CMD may take to end after it was sent the signal that vnet got.
const GRACE: Duration = Duration::from_millis(80);
/// How long the helper may take to say how CMD ended, once it has.
const REAP: Duration = Duration::from_secs(5);

/// What a command has set up: it is shown at the end, and released in the order of its fields.
pub(crate) struct Session {
    pub recording: Option<Recording>,
    pub attachments: Vec<Attachment>,
    pub wire: Option<Wire>,
    pub devices: Vec<Device>,
}

impl Session {
    /// Runs until the end and prints what the plugins did; returns the exit code.
    pub fn run(
        self,
        signals: &mut Signals,
        netns: &Netns,
        argv: &[OsString],
        json: bool,
    ) -> Result<i32, Failure> {
        let outcome = match argv {
            [] => self.until_signal(signals),
            argv => self.until_end_of(Command::new(argv).netns(netns.clone()).inherit(), signals),
        };
        let shown = self.show(json);
        self.release()?;
        let code = outcome?;
        shown?;
        Ok(code)
    }

    fn until_signal(&self, signals: &mut Signals) -> Result<i32, Failure> {
        loop {
            match signals.wait(None, Some(LOOK))? {
                // It is the way such a command ends, so it is no failure.
                Woken::Signal(_) => return Ok(0),
                Woken::Readable | Woken::TimedOut => self.look_after()?,
            }
        }
    }

    fn until_end_of(&self, command: Command, signals: &mut Signals) -> Result<i32, Failure> {
        let mut running = command.spawn()?;
        let ended = running
            .as_fd()
            .try_clone_to_owned()
            .map_err(|source| Failure::Os {
                what: "watch the command",
                source,
            })?;
        loop {
            match signals.wait(Some(ended.as_fd()), Some(LOOK))? {
                Woken::Readable => return code(&mut running),
                Woken::Signal(signal) => return pass_on(signal, &mut running, &ended, signals),
                Woken::TimedOut => self.look_after()?,
            }
        }
    }

    fn look_after(&self) -> Result<(), Failure> {
        for device in &self.devices {
            device.state()?;
        }
        Ok(())
    }

    fn show(&self, json: bool) -> Result<(), Failure> {
        let stages = self
            .attachments
            .iter()
            .map(Attachment::stats)
            .collect::<Result<Vec<StageStats>, _>>()?;
        if json {
            output::json(&self.document(&stages))
        } else {
            output::data(&report::table(&stages, Paint::stdout()))
        }
    }

    /// The engine's own numbers, with the stages under the name the command line gives them.
    fn document(&self, stages: &[StageStats]) -> serde_json::Value {
        let mut document = serde_json::json!({
            "devices": self.devices.iter().map(Device::name).collect::<Vec<_>>(),
            "plugins": stages,
        });
        if let Ok(serde_json::Value::Object(engine)) = serde_json::to_value(self.engine()) {
            for (name, value) in engine.into_iter().filter(|(name, _)| name != "stages") {
                document[name] = value;
            }
        }
        document
    }

    /// None where nothing ever read a device, or the device has gone.
    fn engine(&self) -> Option<PipelineStats> {
        match &self.wire {
            Some(wire) => wire.stats().ok(),
            None => self.devices.first()?.stats().ok()?.engine,
        }
    }

    fn release(self) -> Result<(), Failure> {
        if let Some(recording) = &self.recording {
            let recorded = recording.stop()?;
            output::note(&format!(
                "{} frames recorded in {}",
                recorded.frames,
                recording.path().display()
            ));
        }
        if let Some(wire) = &self.wire {
            wire.close();
        }
        for device in &self.devices {
            device.close()?;
        }
        Ok(())
    }
}

fn code(running: &mut Running) -> Result<i32, Failure> {
    match running.poll(REAP)? {
        Some(completed) => Ok(completed.shell_code()),
        None => Err(Failure::check(
            "the command ended, but its exit code cannot be had",
            None,
        )),
    }
}

/// Lets CMD end by the same signal in its own way, and kills it when it does not, or when a second signal comes.
fn pass_on(
    signal: i32,
    running: &mut Running,
    ended: &OwnedFd,
    signals: &mut Signals,
) -> Result<i32, Failure> {
    running.signal(signal)?;
    if signals.wait(Some(ended.as_fd()), Some(GRACE))? == Woken::Readable {
        return code(running);
    }
    running.kill()?;
    Ok(128 + signal)
}
