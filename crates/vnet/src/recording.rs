//! A capture in progress.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use vnet_datapath::{Filter, Output, RecordOptions, Recorded, Rotate, numbered};
use vnet_datapath::{RecordId, Recorder};

use crate::device::Device;
use crate::error::Error;
use crate::fork::Generation;
use crate::network::Network;

/// A capture in progress; dropping it ends the capture.
pub struct Recording {
    source: Source,
    path: PathBuf,
    ended: Mutex<Option<Recorded>>,
    born: Generation,
}

/// What is captured.
enum Source {
    Device(Device, Box<Recorder>, RecordId),
    /// A part of a network; the handle keeps the network while only the capture is referenced.
    Network(Network, vnet_lab::Recording),
}

impl Recording {
    pub(crate) fn of_device(device: Device, recorder: Recorder, id: RecordId, path: PathBuf) -> Self {
        Self::of(Source::Device(device, Box::new(recorder), id), path)
    }

    pub(crate) fn of_network(network: &Network, recording: vnet_lab::Recording) -> Self {
        let path = recording.path().to_owned();
        Self::of(Source::Network(network.clone(), recording), path)
    }

    fn of(source: Source, path: PathBuf) -> Self {
        Self {
            source,
            path,
            ended: Mutex::new(None),
            born: Generation::current(),
        }
    }

    /// Tells whether it has ended, also by itself: with its device or network, or because its reader has gone.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match &self.source {
            Source::Device(_, recorder, _) => recorder.is_over(),
            Source::Network(_, recording) => recording.is_over(),
        }
    }

    /// Returns the file that is written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the capture and returns how many frames are in the file, which is complete then. Doing it again returns the same.
    ///
    /// # Errors
    /// [`Error::System`] when the file could not be written to the end, [`Error::Closed`] when the device or network was
    /// closed, which ended the capture.
    pub fn stop(&self) -> Result<Recorded, Error> {
        self.born.check(&format!("capture {}", self.path.display()))?;
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recorded) = &*ended {
            return Ok(recorded.clone());
        }
        let recorded = match &self.source {
            Source::Device(device, recorder, id) => {
                let ended = device.on_present_pipeline(|pipeline, _| Ok(pipeline.stop_record(*id)?));
                let recorded = recorder.finish()?;
                ended?;
                recorded
            }
            Source::Network(network, recording) => {
                network.ours()?;
                recording.stop()?
            }
        };
        *ended = Some(recorded.clone());
        Ok(recorded)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        match self.stop() {
            Ok(_) | Err(Error::Closed { .. }) => {}
            Err(error) => tracing::warn!("capture {}: {error}", self.path.display()),
        }
    }
}
