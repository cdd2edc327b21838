//! Islands: the parts of a network whose frames the engine carries.

mod attach;
mod held;
mod line;
mod spot;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use vnet_datapath::{Pipeline, StageId};
use vnet_runtime::StageStats;

use crate::error::LabError;
pub use attach::{Fit, Swap};
pub(crate) use held::Held;
pub use spot::At;
pub(crate) use spot::{Key, Spot, ports_of};

/// A link between two nodes, or a switch with all its links, while the engine carries its frames.
///
/// The handle keeps nothing running; once the last plugin and recording is off, the frames take the kernel's way again and
/// the handle answers with the last numbers alone.
#[derive(Clone)]
pub struct Island {
    pub(crate) inner: Arc<IslandInner>,
}

pub(crate) struct IslandInner {
    pub key: Key,
    /// The process it belongs to: a forked child has not the thread that carries the frames.
    born: u32,
    /// Held for reading by who uses it, for writing by who ends it.
    pipeline: RwLock<Option<Pipeline>>,
    /// Last numbers of stages that are off.
    stages: Mutex<HashMap<StageId, StageStats>>,
}

impl Island {
    /// Returns what it is, such as `link h1-h2` or `switch s1`.
    #[must_use]
    pub fn name(&self) -> String {
        self.inner.key.to_string()
    }

    /// Returns whether the kernel carries its frames again.
    #[must_use]
    pub fn is_given_back(&self) -> bool {
        self.inner
            .pipeline
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    /// Does something with the engine's part. It must not attach to the network or detach from it.
    ///
    /// # Errors
    /// [`LabError::Closed`] when the kernel carries the frames again.
    pub fn with_pipeline<T>(&self, use_it: impl FnOnce(&Pipeline) -> T) -> Result<T, LabError> {
        self.inner.with_pipeline(use_it)
    }

    /// Returns the numbers of a stage, the last ones when it is off.
    ///
    /// # Errors
    /// [`LabError::Closed`] for one that was never here, [`LabError::Engine`].
    pub fn stage_stats(&self, id: StageId) -> Result<StageStats, LabError> {
        if let Some(stats) = self.inner.last(id) {
            return Ok(stats);
        }
        let answer = self.with_pipeline(|pipeline| pipeline.stage_stats(id));
        match answer {
            Ok(Ok(stats)) => Ok(stats),
            // It may have gone off in between.
            Ok(Err(error)) => self.inner.last(id).ok_or(error.into()),
            Err(error) => self.inner.last(id).ok_or(error),
        }
    }

    /// Returns whether a stage is off and its last numbers are kept here.
    #[must_use]
    pub fn has_ended(&self, id: StageId) -> bool {
        self.inner.last(id).is_some()
    }
}

impl std::fmt::Debug for Island {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Island").field(&self.inner.key).finish()
    }
}

impl IslandInner {
    fn new(key: Key, pipeline: Pipeline) -> Arc<Self> {
        Arc::new(Self {
            key,
            born: std::process::id(),
            pipeline: RwLock::new(Some(pipeline)),
            stages: Mutex::default(),
        })
    }

    pub(crate) fn with_pipeline<T>(&self, use_it: impl FnOnce(&Pipeline) -> T) -> Result<T, LabError> {
        let pipeline = self.pipeline.read().unwrap_or_else(PoisonError::into_inner);
        match &*pipeline {
            Some(pipeline) => Ok(use_it(pipeline)),
            None => Err(LabError::Closed {
                what: format!("the engine's part of {}", self.key),
            }),
        }
    }

    /// Takes the pipeline out, once nobody uses it.
    fn take(&self) -> Option<Pipeline> {
        self.pipeline
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn last(&self, id: StageId) -> Option<StageStats> {
        lock(&self.stages).get(&id).cloned()
    }

    fn keep(&self, id: StageId, stats: StageStats) {
        lock(&self.stages).insert(id, stats);
    }
}

impl Drop for IslandInner {
    fn drop(&mut self) {
        if self.born != std::process::id() {
            let pipeline = self.pipeline.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(pipeline.take());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
