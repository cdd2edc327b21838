//! What `vnet tap` and `vnet wire` do with the devices they have set up: run, show, release.

use std::ffi::OsString;

use vnet::{Attachment, Command, Device, Netns, NumbersDoor, PipelineStats, Recording, StageStats, Wire};

use crate::failure::Failure;
use crate::foreground;
use crate::live::Live;
use crate::output::{self, Paint};
use crate::report;
use crate::signals::Signals;

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
        if let Some(text) = vnet::sandbox_announcement() {
            output::note(&text);
        }
        let _door = self.open_door();
        let live = match argv {
            [] if !json => Live::on_terminal(),
            // The command has the terminal.
            _ => None,
        };
        let outcome = match argv {
            [] => foreground::until_signal(signals, &mut || {
                if let Some(live) = &live {
                    live.draw(&self.stages()?);
                }
                self.look_after()
            }),
            argv => {
                let command = Command::new(argv).netns(netns.clone()).inherit();
                foreground::until_end_of(command, signals, &mut || self.look_after())
            }
        };
        drop(live);
        let shown = self.show(json);
        self.release()?;
        let code = outcome?;
        shown?;
        Ok(code)
    }

    /// Lets `vnet top` ask for the numbers, under the first device's name.
    fn open_door(&self) -> Option<NumbersDoor> {
        let (devices, attachments) = (self.devices.clone(), self.attachments.clone());
        NumbersDoor::open(std::process::id(), self.devices.first()?.name(), move || {
            let devices: Vec<_> = devices.iter().map(Device::stats).collect::<Result<_, _>>()?;
            let stages: Vec<_> = attachments
                .iter()
                .map(Attachment::stats)
                .collect::<Result<_, _>>()?;
            Ok(vnet::rows_of_devices(&devices, &stages))
        })
    }

    fn look_after(&self) -> Result<(), Failure> {
        for device in &self.devices {
            device.state()?;
        }
        Ok(())
    }

    fn stages(&self) -> Result<Vec<StageStats>, Failure> {
        let stats = self.attachments.iter().map(Attachment::stats);
        Ok(stats.collect::<Result<_, _>>()?)
    }

    fn show(&self, json: bool) -> Result<(), Failure> {
        let stages = self.stages()?;
        if json {
            output::json(&self.document(&stages))
        } else {
            output::data(&report::table(&stages, Paint::stdout()))?;
            match &self.wire {
                Some(wire) => output::data(&report::lines(&wire.line_stats()?, wire.seed())),
                None => Ok(()),
            }
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
        if let Some(wire) = &self.wire
            && let Ok([a_to_b, b_to_a]) = wire.line_stats()
            && (a_to_b.is_some() || b_to_a.is_some())
        {
            document["seed"] = serde_json::json!(wire.seed());
            document["a_to_b"] = serde_json::json!(a_to_b);
            document["b_to_a"] = serde_json::json!(b_to_a);
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
