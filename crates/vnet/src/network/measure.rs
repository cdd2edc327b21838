//! Pings, throughput and port forwarding: traffic by sockets of our own.

use std::net::SocketAddr;

use vnet_lab::{Forward, ForwardOptions, IperfOptions, IperfReport, PingOptions, PingReport, Target};

use super::declare::ip;
use super::{Cancel, Node};
use crate::error::Error;

impl Node {
    /// Sends echo requests to a node or address.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown node, [`Error::Invalid`]; what does not come back is no error.
    pub fn ping(&self, to: &str, options: &PingOptions, cancel: Cancel<'_>) -> Result<PingReport, Error> {
        self.runs_things("has no address to ping from")?;
        self.network().start(cancel)?;
        let lab = self.network().ours()?;
        Ok(lab.ping(self.name(), &Target::parse(to), options, cancel)?)
    }

    /// Measures the throughput to another node.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown node, [`Error::Timeout`] or [`Error::System`] when it is not reached.
    pub fn iperf(&self, to: &str, options: &IperfOptions, cancel: Cancel<'_>) -> Result<IperfReport, Error> {
        self.runs_things("has no address to measure from")?;
        self.network().start(cancel)?;
        let lab = self.network().ours()?;
        Ok(lab.iperf(self.name(), &Target::parse(to), options, cancel)?)
    }

    /// Makes a TCP service that listens in it reachable at an address of this process's own host.
    ///
    /// # Errors
    /// [`Error::Busy`] when the address is taken, [`Error::Invalid`]; as [`Node::netns`].
    pub fn forward(&self, port: u16, listen: SocketAddr, to: Option<&str>) -> Result<Forward, Error> {
        self.runs_things("has no services")?;
        let to = to.map(ip).transpose()?;
        let lab = self.network().live()?;
        Ok(lab.forward(self.name(), port, &ForwardOptions { listen, to })?)
    }
}
