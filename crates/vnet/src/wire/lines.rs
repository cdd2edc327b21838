//! Impairments of a wire.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vnet_datapath::LineAt;
use vnet_impair::{Impairment, LineStats};
use vnet_lab::{LinkLines, ready_lines};
use vnet_topology::Changes;

use super::{Wire, WireInner};
use crate::error::Error;

/// Frames of the first device go the one way, those of the second the other.
const SEATS: [LineAt; 2] = [LineAt::From(0), LineAt::From(1)];

/// What befalls the frames of a wire.
#[derive(Debug)]
pub(super) struct Impaired {
    seed: u64,
    impair: [Impairment; 2],
    lines: LinkLines,
    /// Last numbers, once it is closed.
    last: [Option<LineStats>; 2],
}

impl Impaired {
    pub(super) fn new(seed: u64) -> Mutex<Self> {
        Mutex::new(Self {
            seed,
            impair: Default::default(),
            lines: LinkLines::default(),
            last: [None, None],
        })
    }
}

impl Wire {
    /// Returns the seed that decides which frames are lost, and all else that is random: one that was given, or one that was
    /// drawn.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.impaired().seed
    }

    /// Changes its impairments; what is not named stays, and on an error everything does. Files are relative to the process's
    /// directory.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the key and what it wants, or with a trace or table that cannot be read; [`Error::Closed`].
    pub fn impair(&self, changes: &Changes) -> Result<(), Error> {
        let name = format!("{}-{}", self.inner.a.name(), self.inner.b.name());
        let mut impaired = self.inner.impaired();
        let Impaired {
            seed, impair, lines, ..
        } = &mut *impaired;
        let mut changed = impair.clone();
        changes.apply(&name, &mut changed)?;
        let ready = ready_lines(&name, &changed, None)?;
        let guard = self.inner.read();
        self.inner.born.check(&self.inner.to_string())?;
        let pipeline = guard.as_ref().ok_or_else(|| self.inner.closed_error())?;
        lines.set(pipeline, SEATS, (*seed, &name), &ready)?;
        *impair = changed;
        Ok(())
    }

    /// Returns what befalls its frames: those from the first device to the second, and the others.
    #[must_use]
    pub fn impairments(&self) -> [Impairment; 2] {
        self.inner.impaired().impair.clone()
    }

    /// Returns how its frames have fared in each direction; `None` for one that never had an impairment.
    ///
    /// # Errors
    /// [`Error::System`] when its thread has died, [`Error::Closed`] in a forked child.
    pub fn line_stats(&self) -> Result<[Option<LineStats>; 2], Error> {
        self.inner.born.check(&self.inner.to_string())?;
        let impaired = self.inner.impaired();
        match &*self.inner.read() {
            Some(pipeline) => Ok(impaired.lines.stats(pipeline, SEATS)?),
            None => Ok(impaired.last.clone()),
        }
    }

    /// Polls for more frames that long after each wake-up, before its thread sleeps: less delay for more CPU time. The longest of
    /// this and of what its devices were made with counts.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn set_busy_poll(&self, time: Duration) -> Result<(), Error> {
        let (a, b) = self.devices();
        let longest = time.max(a.busy_poll()).max(b.busy_poll());
        self.inner
            .on_pipeline(|pipeline| Ok(pipeline.set_busy_poll(longest)?))
    }
}

impl WireInner {
    fn impaired(&self) -> MutexGuard<'_, Impaired> {
        self.impaired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what the lines hold and keeps their last numbers, before the devices are given back.
    pub(super) fn end_lines(&self, pipeline: &vnet_datapath::Pipeline) {
        let mut impaired = self.impaired();
        if impaired.lines.is_off() {
            impaired.last = impaired.lines.last();
            return;
        }
        let seed = impaired.seed;
        let ended = impaired.lines.set(pipeline, SEATS, (seed, ""), &[None, None]);
        if let Err(error) = ended {
            tracing::warn!("{self}: {error}; frames that it held are lost");
        }
        impaired.last = impaired.lines.last();
    }
}
