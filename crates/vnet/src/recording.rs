//! A capture in progress.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use vnet_datapath::Recorded;

use crate::device::Device;
use crate::error::Error;

/// A capture in progress; dropping it ends the capture.
pub struct Recording {
    device: Device,
    path: PathBuf,
    ended: Mutex<Option<Recorded>>,
}

impl Recording {
    pub(crate) fn new(device: Device, path: PathBuf) -> Self {
        Self {
            device,
            path,
            ended: Mutex::new(None),
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
    /// [`Error::System`] when the file could not be written to the end, [`Error::Closed`] when the device was closed, which
    /// ended the capture.
    pub fn stop(&self) -> Result<Recorded, Error> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recorded) = &*ended {
            return Ok(recorded.clone());
        }
        let answer = self
            .device
            .on_present_pipeline(|pipeline, port| Ok(pipeline.stop_recording(port)?))?;
        let recorded = answer.flatten().unwrap_or_default();
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
