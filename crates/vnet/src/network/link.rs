//! A link of a network.

use vnet_impair::Impairment;
use vnet_lab::LinkState;
use vnet_topology::{Changes, Event, LinkSpec, NodeKind};

use super::{Network, place};
use crate::attachment::Attachment;
use crate::error::Error;
use crate::plugin::{Direction, Plugin};
use crate::recording::{Output, RecordOptions, Recording};

/// A link between two nodes. The kernel moves its frames until a plugin or capture is on it, then the engine does; the nodes
/// notice neither change.
#[derive(Clone)]
pub struct Link {
    network: Network,
    name: String,
    a: String,
    b: String,
}

impl Link {
    pub(super) fn new(network: Network, name: String, a: String, b: String) -> Self {
        Self { network, name, a, b }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the network it is part of.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Returns the names of its nodes, a and b: frames from a to b are ingress.
    #[must_use]
    pub fn ends(&self) -> (&str, &str) {
        (&self.a, &self.b)
    }

    /// Returns the names of its interfaces at a and b; `None` at a switch. Starts the network.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was removed, [`Error::Closed`].
    pub fn interfaces(&self) -> Result<(Option<String>, Option<String>), Error> {
        let plan = self.network.live()?.resolved()?;
        let (_, link) = plan.link(&self.name).ok_or_else(|| self.gone())?;
        let name = |slot: vnet_topology::Slot| {
            let host = plan.nodes[slot.node].kind != NodeKind::Switch;
            host.then(|| plan.interface(slot).name.clone())
        };
        Ok((name(link.a), name(link.b)))
    }

    /// Plugs it in, or pulls it: both nodes see their interface lose its carrier. Before the start it is declared so.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was removed, [`Error::Closed`], [`Error::System`].
    pub fn set_up(&self, up: bool) -> Result<(), Error> {
        Ok(self.network.ours()?.set_link_up(&self.name, up)?)
    }

    /// Changes its impairments, at once where the network runs; what is not named stays, and on an error everything does.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the key and what it wants, or with a trace or table that cannot be read; as [`Link::set_up`].
    pub fn impair(&self, changes: &Changes) -> Result<(), Error> {
        Ok(self.network.ours()?.impair(&self.name, changes)?)
    }

    /// Returns what befalls its frames just now: from a to b, and from b to a. Starts nothing.
    ///
    /// # Errors
    /// As [`Link::set_up`].
    pub fn impairments(&self) -> Result<[Impairment; 2], Error> {
        Ok(self.network.ours()?.impairments(&self.name)?)
    }

    /// Has these events happen to it in place of those that were to: where the network runs, times count from this call, else
    /// from its start.
    ///
    /// # Errors
    /// [`Error::Invalid`] when impairments would not go together; as [`Link::set_up`].
    pub fn set_schedule(&self, events: Vec<Event>) -> Result<(), Error> {
        Ok(self.network.ours()?.set_schedule(&self.name, events)?)
    }

    /// Returns what it is doing. Starts the network.
    ///
    /// # Errors
    /// As [`Link::set_up`].
    pub fn state(&self) -> Result<LinkState, Error> {
        Ok(self.network.live()?.link_state(&self.name)?)
    }

    /// Returns whether it is plugged in, as [`Link::set_up`] left it.
    ///
    /// # Errors
    /// As [`Link::set_up`].
    pub fn is_up(&self) -> Result<bool, Error> {
        if self.network.is_started() {
            return Ok(self.state()?.up);
        }
        Ok(self.declared()?.up)
    }

    /// Puts a plugin on its frames, behind those already there or at `position`; one instance judges both directions with
    /// [`Direction::Both`]. Starts the network.
    ///
    /// # Errors
    /// As [`Device::attach`](crate::Device::attach).
    pub fn attach(
        &self,
        plugin: &Plugin,
        direction: Direction,
        position: Option<usize>,
    ) -> Result<Attachment, Error> {
        self.network.live()?;
        place::attach(
            &self.network,
            &place::link(&self.name),
            plugin,
            direction,
            position,
        )
    }

    /// Copies every frame of both directions to a capture until that is stopped. Starts the network.
    ///
    /// # Errors
    /// [`Error::System`] when the file cannot be made.
    pub fn capture(&self, output: Output, options: RecordOptions) -> Result<Recording, Error> {
        let what = vnet_lab::Captured::At(place::link(&self.name));
        place::capture(&self.network, &what, output, options)
    }

    /// Takes it out of the network.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Closed`].
    pub fn remove(&self) -> Result<(), Error> {
        self.network.remove_link(&self.name)
    }

    /// Returns what a repr shows: its name, its ends, its state. Starts nothing.
    #[must_use]
    pub fn describe(&self) -> String {
        let state = match self.network.is_started() {
            true => self
                .state()
                .map_or("removed", |state| match (state.up, state.engine) {
                    (false, _) => "down",
                    (true, false) => "up, by the kernel",
                    (true, true) => "up, by the engine",
                }),
            false if self.network.is_closed() => "closed",
            false => self.declared().map_or("removed", |_| "declared"),
        };
        format!("{} {} <-> {} {state}", self.name, self.a, self.b)
    }

    fn declared(&self) -> Result<LinkSpec, Error> {
        let links = self.network.spec()?.links;
        let mut links = links.into_iter();
        let found = links.find(|link| link.name.as_deref() == Some(&self.name));
        found.ok_or_else(|| self.gone())
    }

    fn gone(&self) -> Error {
        Error::NotFound {
            what: format!("link {} is not in this network any more", self.name),
            hint: None,
        }
    }
}
