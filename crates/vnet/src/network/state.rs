//! What a network looks like: pictures, counters, pings between all its hosts.

use serde::Serialize;
use vnet_lab::{Listener, NetworkStats, PingAllOptions, PingMatrix};
use vnet_netlink::InterfaceStats;
use vnet_topology::{GraphNotes, graph_dot, graph_svg, graph_text};

use super::{Cancel, Network};
use crate::error::Error;

/// How [`Network::graph`] draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GraphFormat {
    /// Lines for a terminal.
    #[default]
    Text,
    /// A picture for a notebook or browser.
    Svg,
    /// The language of Graphviz.
    Dot,
}

/// An interface that a link gave to a node, as it was when it was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct NodeInterface {
    /// Its name in the node.
    pub name: String,
    /// Its Ethernet address.
    pub mac: String,
    /// Bytes of payload it takes.
    pub mtu: u32,
    /// Whether it is set up.
    pub up: bool,
    /// Whether frames can flow.
    pub carrier: bool,
    /// Its addresses with prefix length.
    pub addresses: Vec<String>,
    /// The name of the link behind it.
    pub link: String,
    /// What the kernel has counted on it.
    pub stats: InterfaceStats,
}

impl Network {
    /// Draws the nodes, links and addresses. Starts nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the declaration has no plan, [`Error::Closed`] in a forked child.
    pub fn graph(&self, format: GraphFormat) -> Result<String, Error> {
        let plan = self.ours()?.resolved()?;
        Ok(match format {
            GraphFormat::Text => graph_text(&plan),
            GraphFormat::Svg => graph_svg(&plan, &GraphNotes::default()),
            GraphFormat::Dot => graph_dot(&plan),
        })
    }

    /// Draws the nodes, links and addresses as an SVG picture, with `notes` at them. Starts nothing.
    ///
    /// # Errors
    /// Those of [`Network::graph`].
    pub fn picture(&self, notes: &GraphNotes) -> Result<String, Error> {
        let plan = self.ours()?.resolved()?;
        Ok(graph_svg(&plan, notes))
    }

    /// Returns the counters of every node interface, link and engine part. Starts the network.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::System`].
    pub fn stats(&self) -> Result<NetworkStats, Error> {
        Ok(self.live()?.stats()?)
    }

    /// Has somebody hear how far the start, pings and measurements are that take longer than a second: on the thread that
    /// waits for them, at most four times a second.
    ///
    /// # Errors
    /// [`Error::Closed`] in a forked child.
    pub fn on_progress(&self, listener: Option<Listener>) -> Result<(), Error> {
        self.ours()?.on_progress(listener);
        Ok(())
    }

    /// Pings from every host to every other, many at a time. Starts the network.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::System`].
    pub fn ping_all(&self, options: &PingAllOptions, cancel: Cancel<'_>) -> Result<PingMatrix, Error> {
        self.start(cancel)?;
        Ok(self.ours()?.ping_all(options, cancel)?)
    }
}

impl std::str::FromStr for GraphFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "text" => Ok(GraphFormat::Text),
            "svg" => Ok(GraphFormat::Svg),
            "dot" => Ok(GraphFormat::Dot),
            other => Err(Error::Invalid {
                what: format!("{other:?} is no format of a graph"),
                hint: Some("write text, svg or dot".into()),
            }),
        }
    }
}
