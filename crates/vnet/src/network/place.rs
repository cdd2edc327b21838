//! Plugins and captures on links, node interfaces and switches.

use std::sync::Arc;

use vnet_lab::{At, Captured};

use super::Network;
use crate::attachment::{Attachment, AttachmentInner, Begun, Owner};
use crate::error::Error;
use crate::plugin::{Direction, Plugin};
use crate::recording::{Output, RecordOptions, Recording};

pub(super) fn link(name: &str) -> At {
    At::Link(name.to_owned())
}

pub(super) fn switch(name: &str) -> At {
    At::Switch(name.to_owned())
}

pub(super) fn interface(node: &str, interface: String) -> At {
    At::Interface {
        node: node.to_owned(),
        interface,
    }
}

/// Puts a plugin somewhere in a lab that runs.
pub(super) fn attach(
    network: &Network,
    at: &At,
    plugin: &Plugin,
    direction: Direction,
    position: Option<usize>,
) -> Result<Attachment, Error> {
    let lab = network.ours()?;
    let fit = lab.fit(at)?;
    let plugin = plugin.numbered(network.inner.attachments.number());
    let (stage, tail) = plugin.stage(fit.layer, fit.ports, fit.mtu)?;
    let begun = Begun::new(&plugin, stage.stage(), tail);
    let (id, island) = lab.attach(at, stage, direction.into(), position)?;
    let owner = Owner::Network {
        network: Arc::downgrade(&network.inner),
        island,
        at: at.clone(),
    };
    let inner = Arc::new(AttachmentInner::new(begun, id, owner));
    plugin.attached(id);
    network.inner.attachments.add(&inner);
    Ok(Attachment { inner })
}

/// Says in words where something is.
pub(crate) fn words(at: &At) -> String {
    match at {
        At::Link(name) => format!("link {name}"),
        At::Switch(name) => format!("switch {name}"),
        At::Interface { node, interface } => format!("{node}:{interface}"),
    }
}

impl Network {
    /// Returns what is attached in it just now, as declared or by hand, in the order of attaching, each with its place in words:
    /// `link h1-s1`, `switch s1`, `h1:eth0`.
    #[must_use]
    pub fn attachments(&self) -> Vec<(String, Attachment)> {
        if !self.inner.born.is_ours() {
            return Vec::new();
        }
        self.inner.attachments.placed()
    }
}

/// Begins a capture in a lab, which starts if need be.
pub(super) fn capture(
    network: &Network,
    what: &Captured,
    output: Output,
    options: RecordOptions,
) -> Result<Recording, Error> {
    let recording = network.live()?.record(what, output, options)?;
    Ok(Recording::of_network(network, recording))
}

impl Network {
    /// Copies the frames of all hosts, routers and switches to a capture until that is stopped. Starts it.
    ///
    /// # Errors
    /// [`Error::System`] when the file cannot be made.
    pub fn capture(&self, output: Output, options: RecordOptions) -> Result<Recording, Error> {
        capture(self, &Captured::Network, output, options)
    }
}
