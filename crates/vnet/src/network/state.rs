//! What a network looks like: pictures, counters, pings between all its hosts.

use std::time::Duration;

use serde::Serialize;
use vnet_lab::{Listener, NetworkStats, PingAllOptions, PingMatrix};
use vnet_netlink::InterfaceStats;
use vnet_topology::{GraphNotes, graph_dot, graph_svg, graph_text};

use super::{Cancel, Network};
use crate::error::Error;
use crate::numbers::{self, Keep, Row, Series};

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

    /// Returns one sample of what [`Network::series`] keeps; the interfaces of nodes are left out without `nodes`. Starts
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Closed`], also where it does not run; [`Error::System`].
    pub fn rows(&self, nodes: bool) -> Result<Vec<Row>, Error> {
        let lab = self.ours()?;
        if !self.is_started() || self.is_closed() {
            return Err(Error::Closed {
                what: self.to_string(),
            });
        }
        let stats = if nodes { lab.stats()? } else { lab.link_stats()? };
        self.table(&stats)
    }

    /// Returns the counters of everything, and the same as rows. Starts the network.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::System`].
    pub fn sample(&self) -> Result<(NetworkStats, Vec<Row>), Error> {
        let stats = self.stats()?;
        let rows = self.table(&stats)?;
        Ok((stats, rows))
    }

    fn table(&self, stats: &NetworkStats) -> Result<Vec<Row>, Error> {
        let located = self.inner.attachments.located().into_iter();
        // One that is detached just now has its last numbers.
        let stages = located.map(|(at, attachment)| Ok((at, attachment.stats()?)));
        Ok(numbers::rows(stats, &stages.collect::<Result<Vec<_>, Error>>()?))
    }

    /// Takes a sample of every number `every` so often, in a thread of its own, until the handle is dropped or the network
    /// closed. Starts the network.
    ///
    /// # Errors
    /// As [`Network::start`]; [`Error::System`] when there can be no thread.
    pub fn series(&self, every: Duration, keep: Keep) -> Result<Series, Error> {
        self.live()?;
        Series::of(self, every, keep)
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
