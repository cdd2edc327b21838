//! Lines: what a link does to the frames that cross it, and how long a worker stays awake for them.

use std::time::Duration;

use vnet_impair::{LineStats, Ready};

use super::Pipeline;
use crate::error::EngineError;
use crate::forward::LineAt;
use crate::path::Shape;

impl Pipeline {
    /// Impairs one direction of a link from here on, changes how, or, without an impairment, ends it: what the line holds then
    /// leaves at once, in order.
    ///
    /// Frames are whole wire-size frames there: super-frames are cut, and where bits flip, checksums are complete before. An
    /// error is one flipped bit behind the Ethernet header. A frame's fate follows from `key` and its number in that
    /// direction; a change with the same key goes on where the line is, another key starts over.
    ///
    /// On a wire and for a lone device there is a line from each port, on a switch one from and one to each.
    ///
    /// # Errors
    /// [`EngineError::NoSuchPlace`], [`EngineError::Ended`].
    pub fn set_line(&self, at: LineAt, key: [u8; 32], ready: Option<Ready>) -> Result<(), EngineError> {
        // Held until the line is there, so that its port does not go meanwhile.
        let infos = self.infos();
        self.check_line(at, &infos)?;
        self.ask(move |worker| worker.forwarder.set_line(at, key, ready, worker.now()))
    }

    /// Returns what a line did so far: what was asked of it and what it made of that.
    ///
    /// # Errors
    /// [`EngineError::NoSuchPlace`] also where there is no line, [`EngineError::Ended`].
    pub fn line_stats(&self, at: LineAt) -> Result<LineStats, EngineError> {
        self.check_line(at, &self.infos())?;
        let stats = self.ask(move |worker| worker.forwarder.line_stats(at, worker.now()))?;
        stats.ok_or_else(|| self.no_place(format!("line {at:?}")))
    }

    fn check_line(&self, at: LineAt, infos: &[Option<crate::PortInfo>]) -> Result<(), EngineError> {
        let (port, is_one) = match at {
            LineAt::From(port) => (port, true),
            LineAt::To(port) => (port, self.shape == Shape::Switch),
        };
        if is_one && matches!(infos.get(port), Some(Some(_))) {
            return Ok(());
        }
        Err(self.no_place(format!("line {at:?}")))
    }

    /// Has the worker look for more frames for so long after each, before it sleeps: an answer comes sooner, and a processor is
    /// busy meanwhile. Zero, as it is at first, sleeps at once.
    ///
    /// Pipelines on one worker share the longest that is asked for.
    ///
    /// # Errors
    /// [`EngineError::Ended`].
    pub fn set_busy_poll(&self, time: Duration) -> Result<(), EngineError> {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.ask(move |worker| worker.busy_poll_ns = ns)
    }
}
