//! Plugins and captures on links, node interfaces and switches.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use vnet_lab::{At, Captured};
use vnet_topology::Resolved;

use super::Network;
use crate::attachment::{Attachment, AttachmentInner, Begun, Owner};
use crate::error::Error;
use crate::outside::CaptureRequest;
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

impl Network {
    /// Begins a capture that another process asks for, which does not keep the network.
    pub(crate) fn capture_for(
        &self,
        request: &CaptureRequest,
        pipe: OwnedFd,
    ) -> Result<vnet_lab::Recording, Error> {
        let what = match &request.what {
            None => Captured::Network,
            Some(text) => named(&*self.ours()?.resolved()?, text)?,
        };
        let filter = request.filter.as_deref().map(|text| self.filter(text));
        let options = RecordOptions {
            snaplen: request.snaplen,
            filter: filter.transpose()?,
            dropped: request.dropped,
            stages: request.stages,
            ..RecordOptions::default()
        };
        Ok(self.ours()?.record(&what, Output::Stream(pipe), options)?)
    }
}

/// Finds what a text names: a link, a node, or an interface as `node:interface`.
fn named(plan: &Resolved, text: &str) -> Result<Captured, Error> {
    if plan.link(text).is_some() {
        return Ok(Captured::At(link(text)));
    }
    if plan.node(text).is_some() {
        return Ok(Captured::Node {
            node: text.to_owned(),
            interfaces: None,
        });
    }
    if let Some((node, interface)) = text.split_once(':').filter(|(node, _)| plan.node(node).is_some()) {
        return Ok(Captured::Node {
            node: node.to_owned(),
            interfaces: Some(vec![interface.to_owned()]),
        });
    }
    let links: Vec<&str> = plan.links.iter().map(|link| link.name.as_str()).collect();
    let nodes: Vec<&str> = plan.nodes.iter().map(|node| node.name.as_str()).collect();
    Err(Error::NotFound {
        what: format!("the network has no link and no node {text:?}"),
        hint: Some(format!("links: {}; nodes: {}", some(&links), some(&nodes))),
    })
}

/// Lists names, as many as one reads.
fn some(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    match names.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN),
        _ => names.join(", "),
    }
}
