use std::sync::Arc;
use std::time::Duration;

use vnet_datapath::{Direction, SWITCH_STAGE_PORTS, Seated, StageId};
use vnet_packet::Layer;
use vnet_runtime::StageStats;
use vnet_topology::ResolvedLink;

use super::held::{Held, UserId};
use super::spot::{Site, Spot};
use super::{At, Island, Key};
use crate::cancel::never;
use crate::error::LabError;
use crate::network::{Live, Network};

/// What a stage is made with that is to be attached somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// What its frames begin with.
    pub layer: Layer,
    /// How many ports it may redirect to.
    pub ports: u16,
    /// Largest layer-3 payload in bytes.
    pub mtu: u32,
}

/// How frames changed their way when something was detached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Swap {
    /// Whether the kernel carries the frames again.
    pub given_back: bool,
    /// Whether frames may have overtaken others: some came between the pause that was waited for and the change. None was
    /// lost.
    pub reordering_possible: bool,
}

impl Network {
    /// Returns what a stage must fit to be attached there.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Topology`].
    pub fn fit(&self, at: &At) -> Result<Fit, LabError> {
        let plan = self.resolved()?;
        let spot = Spot::find(&plan, at)?;
        Ok(Fit {
            layer: Layer::L2,
            ports: match spot.site {
                Site::Port(_) => 1,
                Site::Wire | Site::Link(..) => 2,
                Site::Switch => SWITCH_STAGE_PORTS,
            },
            // The engine asks every port of the island.
            mtu: spot.ports.iter().map(|port| port.mtu).max().unwrap_or(1_500),
        })
    }

    /// Puts a stage there, behind those already there or at `position` among them, while frames flow: none is lost or
    /// doubled, and none that comes after the call passes it by. Starts the network if need be.
    ///
    /// The first one on a link or switch has the engine take its frames over from the kernel.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Engine`] when the stage does not fit, [`LabError::Refused`], and as
    /// [`Network::start`]. Nothing has changed then.
    pub fn attach(
        &self,
        at: &At,
        stage: impl Into<Seated>,
        direction: Direction,
        position: Option<usize>,
    ) -> Result<(StageId, Island), LabError> {
        let stage = stage.into();
        self.inner.live(&never, |live, _| {
            let spot = Spot::find(&live.plan, at)?;
            live.enter(&spot, |held, port| {
                let place = spot.site.place(port, direction);
                let id = held
                    .inner
                    .with_pipeline(|pipeline| pipeline.attach(place, stage, position))??;
                Ok((UserId::Stage(id), id))
            })
        })
    }

    /// Takes a stage off and returns its last numbers. With the last one the kernel carries the frames again.
    ///
    /// Doing it again returns the same, as it does after the link, node or network has gone.
    ///
    /// # Errors
    /// [`LabError::Engine`] when the engine's part had died; the kernel carries the frames again then.
    /// [`LabError::Closed`] after that.
    pub fn detach(&self, island: &Island, id: StageId) -> Result<(StageStats, Swap), LabError> {
        let mut state = self.inner.lock();
        if let Some(stats) = island.inner.last(id) {
            return Ok((stats, Swap::default()));
        }
        let detached = island.inner.with_pipeline(|pipeline| pipeline.detach(id))?;
        if let Ok(stats) = &detached {
            island.inner.keep(id, stats.clone());
        }
        let swap = match &mut state.live {
            Some(live) => live.leave(island, UserId::Stage(id)),
            None => Swap::default(),
        };
        Ok((detached?, swap))
    }
}

impl Live {
    /// Adds a plugin or the impairments of a link to an island, which is made for it where there is none.
    ///
    /// `add` gets the number of the place's port; it works before the first frame comes.
    pub(super) fn enter<T>(
        &mut self,
        spot: &Spot,
        add: impl FnOnce(&Held, usize) -> Result<(UserId, T), LabError>,
    ) -> Result<(T, Island), LabError> {
        let (mut held, is_fresh) = match self.islands.remove(&spot.key) {
            Some(held) => (held, false),
            None => {
                let held = Held::prepare(
                    &self.lab,
                    &mut self.numbers,
                    &self.sockets,
                    spot.key.clone(),
                    &spot.ports,
                )?;
                self.arm_captures(&held);
                (held, true)
            }
        };
        let lab_end = spot.site.lab_end();
        let port = match lab_end {
            None => Ok(0),
            Some(lab_end) => held.port(lab_end).ok_or_else(|| LabError::Closed {
                what: format!("the engine's port on {}", spot.key),
            }),
        };
        let value = match port.and_then(|port| add(&held, port)) {
            Ok((id, value)) => {
                held.add_user(id, lab_end);
                value
            }
            Err(error) if is_fresh => {
                // No frame has come yet.
                held.end(&mut self.numbers);
                return Err(error);
            }
            Err(error) => {
                self.islands.insert(spot.key.clone(), held);
                return Err(error);
            }
        };
        self.poll_as_asked(&held);
        if is_fresh && let Err(error) = held.redirect(&self.lab) {
            held.give_back(&self.lab, &mut self.numbers);
            return Err(error);
        }
        let island = Island {
            inner: Arc::clone(&held.inner),
        };
        self.islands.insert(spot.key.clone(), held);
        Ok((value, island))
    }

    /// Has the engine poll as long for an island as any of its links wants.
    fn poll_as_asked(&self, held: &Held) {
        let plan = &self.plan;
        let is_of = |link: &&ResolvedLink| match &held.inner.key {
            Key::Link(name) => link.name == *name,
            Key::Switch(name) => [link.a, link.b]
                .iter()
                .any(|slot| plan.nodes[slot.node].name == *name),
        };
        let most = plan
            .links
            .iter()
            .filter(is_of)
            .map(|link| link.busy_poll_ns)
            .max();
        if let Some(time) = most.filter(|time| *time > 0) {
            let asked = held
                .inner
                .with_pipeline(|pipeline| pipeline.set_busy_poll(Duration::from_nanos(time)));
            if let Ok(Err(error)) = asked {
                tracing::warn!(target: "vnet::lab", %error, "{} is not polled", held.inner.key);
            }
        }
    }

    /// Removes a plugin or the impairments of a link from an island, which ends with the last one.
    pub(super) fn leave(&mut self, island: &Island, id: UserId) -> Swap {
        self.leave_key(&island.inner.key, id)
    }

    pub(super) fn leave_key(&mut self, key: &Key, id: UserId) -> Swap {
        let Some(mut held) = self.islands.remove(key) else {
            return Swap::default();
        };
        held.remove_user(id);
        if held.is_idle() {
            return held.give_back(&self.lab, &mut self.numbers);
        }
        self.islands.insert(key.clone(), held);
        Swap::default()
    }
}
