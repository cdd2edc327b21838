//! Hot swap: plugins that take the places of others between two batches.

use std::time::{Duration, Instant};

use vnet_runtime::{CarriedState, Stage};

use super::{Pipeline, check_fit};
use crate::error::EngineError;
use crate::forward::{Exchange, Unchanged};
use crate::path::Shape;
use crate::stage::StageId;

/// A stage that is to take the place of another.
#[derive(Debug)]
pub struct Replacement {
    /// The one whose place it takes; it keeps that name.
    pub id: StageId,
    /// The one that comes.
    pub stage: Stage,
    /// Whether it takes over what the other's plugin remembers, and not its numbers alone.
    pub carry: bool,
}

/// How stages took the places of others.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// How long the pipeline carried no frames for it.
    pub pause: Duration,
    /// What each took over, in the order they were given.
    pub carried: Vec<CarriedState>,
}

impl Pipeline {
    /// Has stages take the places of others between two batches, all in one step: each frame is judged by the plugins of before
    /// or by those of after. What waits for the change meanwhile waits in the ports' queues.
    ///
    /// The stages that went are dropped on the calling thread.
    ///
    /// # Errors
    /// [`EngineError::NoSuchStage`], [`EngineError::PluginTooSmall`], [`EngineError::Plugin`] when a plugin does not take over
    /// from the one before, [`EngineError::Ended`]. All stages are where they were then.
    pub fn exchange(&self, all: Vec<Replacement>) -> Result<Exchanged, EngineError> {
        // Held until the stages are in, so that no port comes meanwhile.
        let infos = self.infos();
        let ids: Vec<StageId> = all.iter().map(|one| one.id).collect();
        let concerned = self.ask(move |worker| {
            let ports = |id| worker.forwarder.ports_of(id);
            ids.into_iter().map(ports).collect::<Vec<_>>()
        })?;
        for (one, ports) in all.iter().zip(concerned) {
            let ports = ports.ok_or_else(|| self.no_stage())?;
            let max = one.stage.traits().max_frame;
            let of_all = self.shape != Shape::Switch || ports.is_empty();
            for (number, info) in infos.iter().enumerate() {
                if let Some(info) = info.as_ref().filter(|_| of_all || ports.contains(&number)) {
                    check_fit(one.stage.name(), max, info)?;
                }
            }
        }
        let exchange = |one: Replacement| Exchange::new(one.id, one.stage, one.carry);
        let mut exchanges: Vec<Exchange> = all.into_iter().map(exchange).collect();
        let (result, pause, _gone) = self.ask(move |worker| {
            let begun = Instant::now();
            let result = worker.forwarder.exchange(&mut exchanges);
            (result, begun.elapsed(), exchanges)
        })?;
        match result {
            Ok(carried) => Ok(Exchanged { pause, carried }),
            Err(Unchanged::Missing) => Err(self.no_stage()),
            Err(Unchanged::Refused(error)) => Err(EngineError::Plugin(error)),
        }
    }

    /// Puts a plugin that failed too often, or waits for its restart, to work again at once and forgets its faults.
    ///
    /// # Errors
    /// [`EngineError::NoSuchStage`], [`EngineError::Plugin`] when it fails as it starts, [`EngineError::Ended`].
    pub fn reset(&self, id: StageId) -> Result<(), EngineError> {
        let reset =
            self.ask(move |worker| worker.forwarder.stage_mut(id).map(|stage| stage.stage.reset()))?;
        Ok(reset.ok_or_else(|| self.no_stage())??)
    }
}
