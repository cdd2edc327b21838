//! Stages that take the places of others while frames flow.

use vnet_runtime::{CarriedState, PluginError, Stage};

use super::Forwarder;
use crate::stage::{StageBox, StageId};

/// A stage on its way to the place of another.
pub(crate) struct Exchange {
    pub id: StageId,
    /// The one to come, then the one that went.
    pub stage: Box<StageBox>,
    /// Whether it takes over what the other's plugin remembers.
    pub carry: bool,
}

/// Why stages were not exchanged; all are where they were.
pub(crate) enum Unchanged {
    /// There is no such stage.
    Missing,
    /// A plugin does not take over from the other.
    Refused(PluginError),
}

impl Exchange {
    pub(crate) fn new(id: StageId, stage: Stage, carry: bool) -> Self {
        // Its direction is that of the one it takes the place of.
        Self {
            id,
            stage: StageBox::new(stage, crate::stage::Direction::Both),
            carry,
        }
    }
}

impl Forwarder {
    /// Has stages take the places of others, all of them or none, while no frame is in any arena.
    pub(crate) fn exchange(&mut self, all: &mut [Exchange]) -> Result<Vec<CarriedState>, Unchanged> {
        for exchange in all.iter() {
            if let Some(index) = self.index(exchange.id) {
                self.flush_callout(index);
            }
        }
        let mut carried = Vec::with_capacity(all.len());
        for exchange in all.iter_mut() {
            let index = self.index(exchange.id).ok_or(Unchanged::Missing)?;
            let old = self.stages[index].as_deref_mut().ok_or(Unchanged::Missing)?;
            let new = &mut *exchange.stage;
            let taken = new.stage.take_over(&mut old.stage, exchange.carry);
            carried.push(taken.map_err(Unchanged::Refused)?);
        }
        let mut has_other_needs = false;
        for exchange in all.iter_mut() {
            if let Some(old) = self
                .index(exchange.id)
                .and_then(|index| self.stages[index].as_mut())
            {
                let new = &mut exchange.stage;
                (new.id, new.direction) = (old.id, old.direction);
                new.drops = std::mem::take(&mut old.drops);
                has_other_needs |= new.accepts != old.accepts;
                std::mem::swap(old, new);
            }
        }
        if has_other_needs {
            self.rebuild();
        }
        self.share_arenas();
        for exchange in all.iter() {
            if let Some(index) = self.index(exchange.id) {
                // What the one before had asked for goes with it.
                self.timers.set(index, None);
            }
        }
        if let Some(clock) = self.clock {
            self.arm_timers(clock.now());
        }
        Ok(carried)
    }
}
