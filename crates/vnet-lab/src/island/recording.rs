use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, Weak};

use vnet_datapath::{RecordId, Recorded};

use super::held::UserId;
use super::spot::{Site, Spot};
use super::{At, Island};
use crate::cancel::never;
use crate::error::LabError;
use crate::network::{Inner, Network};

/// A capture in progress; dropping it ends the capture.
pub struct Recording {
    network: Weak<Inner>,
    island: Island,
    id: RecordId,
    path: PathBuf,
    ended: Mutex<Option<Recorded>>,
}

impl Network {
    /// Copies frames to a pcapng file, both directions by one clock, as they reach the engine and as they leave it.
    ///
    /// On a link that is at its first end, on a link of a switch at the switch's port, on a switch at every port that it has
    /// then, each an interface of the file. Starts the network if need be.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Engine`] when the file cannot be made, and as [`Network::attach`].
    pub fn record(&self, at: &At, path: &Path) -> Result<Recording, LabError> {
        let (id, island) = self.inner.live(&never, |live, _| {
            let spot = Spot::find(&live.plan, at)?;
            live.enter(&spot, |held, port| {
                let ports: Vec<(usize, String)> = match spot.site {
                    Site::Switch => spot
                        .ports
                        .iter()
                        .filter_map(|end| Some((held.port(end.lab_end)?, end.neighbour.clone())))
                        .collect(),
                    Site::Wire => vec![(0, spot.ports[0].neighbour.clone())],
                    Site::Port(_) | Site::Link(..) => {
                        let own = |end: &&crate::plan::SwitchPort| Some(end.lab_end) == spot.site.lab_end();
                        let name = spot.ports.iter().find(own).map(|end| end.neighbour.clone());
                        vec![(port, name.unwrap_or_default())]
                    }
                };
                let id = held
                    .inner
                    .with_pipeline(|pipeline| pipeline.record_many(&ports, path))??;
                Ok((UserId::Recording(id), id))
            })
        })?;
        Ok(Recording {
            network: std::sync::Arc::downgrade(&self.inner),
            island,
            id,
            path: path.to_owned(),
            ended: Mutex::new(None),
        })
    }
}

impl Recording {
    /// Returns the file that is written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the capture and returns how many frames are in the file, which is complete then. Doing it again returns the same.
    ///
    /// It ends by itself with the link or network.
    ///
    /// # Errors
    /// [`LabError::Engine`] or [`LabError::Os`] when the file could not be written to the end.
    pub fn stop(&self) -> Result<Recorded, LabError> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recorded) = &*ended {
            return Ok(recorded.clone());
        }
        let recorded = self.end()?;
        *ended = Some(recorded.clone());
        Ok(recorded)
    }

    fn end(&self) -> Result<Recorded, LabError> {
        let network = self.network.upgrade();
        let mut state = network.as_ref().map(|network| network.lock());
        if let Some(kept) = self.island.inner.kept_recording(self.id) {
            let what = format!("the capture {}", self.path.display());
            return kept.map_err(|why| LabError::os(what, std::io::Error::other(why)));
        }
        let recorded = self
            .island
            .with_pipeline(|pipeline| pipeline.stop_record(self.id))?;
        if let Some(live) = state.as_mut().and_then(|state| state.live.as_mut()) {
            live.leave(&self.island, UserId::Recording(self.id));
        }
        Ok(recorded?)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.island.inner.is_ours() {
            return;
        }
        match self.stop() {
            Ok(_) | Err(LabError::Closed { .. }) => {}
            Err(error) => {
                tracing::warn!(target: "vnet::lab", %error, path = %self.path.display(), "a capture is incomplete");
            }
        }
    }
}
