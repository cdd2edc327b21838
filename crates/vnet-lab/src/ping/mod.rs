//! Echo requests between nodes, sent and received by sockets of our own.

mod all;
mod icmp;
mod run;
mod socket;

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::cancel::{Cancel, never};
use crate::error::LabError;
use crate::network::{Live, Network};
use crate::socket::Place;
use crate::target::Target;
pub use all::{PingAllOptions, PingMatrix, PingPair};

/// How to ping.
#[derive(Clone, Debug, PartialEq)]
pub struct PingOptions {
    /// How many echo requests.
    pub count: u32,
    /// From one to the next.
    pub interval: Duration,
    /// How long an answer may take; a later one counts as late, not as received.
    pub timeout: Duration,
    /// Bytes behind the ICMP header, at most 65,507; with fewer than 16 an answer cannot be told from that to another ping
    /// of the same number.
    pub size: usize,
    /// Takes a node's IPv6 address.
    pub ipv6: bool,
    /// How many routers may forward it, and one more; `None`: the node's default.
    pub hop_limit: Option<u8>,
    /// The address it is sent from; `None`: the kernel's choice.
    pub source: Option<IpAddr>,
    /// The interface a link-local address is behind; `None`: the node's first.
    pub interface: Option<String>,
}

impl Default for PingOptions {
    fn default() -> Self {
        Self {
            count: 3,
            interval: Duration::from_millis(200),
            timeout: Duration::from_secs(1),
            size: 56,
            ipv6: false,
            hop_limit: None,
            source: None,
            interface: None,
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PingReport {
    /// The node that asked.
    pub from: String,
    /// The node or address it asked, as given.
    pub to: String,
    /// The address.
    pub address: IpAddr,
    /// Bytes behind the ICMP header.
    pub size: usize,
    /// Requests sent, and requests that the node could not send.
    pub sent: u32,
    /// Requests answered in time, each counted once.
    pub received: u32,
    /// Further answers to requests that were answered already.
    pub duplicates: u32,
    /// Answers that came after their time.
    pub late: u32,
    /// Answers with other bytes than were sent; they are not among the received.
    pub corrupt: u32,
    /// What routers and the node's own kernel answered instead, each once.
    pub errors: Vec<String>,
    /// One entry for each request sent, in order.
    pub replies: Vec<Option<Reply>>,
}

/// An answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// From the request to the answer, in nanoseconds.
    pub rtt_ns: u64,
    /// The answer's TTL or hop limit as it arrived.
    pub hop_limit: u8,
}

impl PingReport {
    /// Requests without an answer in time.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.sent.saturating_sub(self.received)
    }

    /// The share of them, from 0 to 1; 1 when none was sent.
    #[must_use]
    pub fn loss(&self) -> f64 {
        if self.sent == 0 {
            return 1.0;
        }
        f64::from(self.lost()) / f64::from(self.sent)
    }

    /// Round-trip times of the answers, in nanoseconds.
    #[must_use]
    pub fn rtts_ns(&self) -> Vec<Option<u64>> {
        self.replies
            .iter()
            .map(|reply| reply.map(|reply| reply.rtt_ns))
            .collect()
    }

    /// The shortest, mean and longest round trip and their standard deviation, in nanoseconds; `None` without an answer.
    #[must_use]
    pub fn summary_ns(&self) -> Option<(u64, u64, u64, u64)> {
        let times: Vec<u64> = self.rtts_ns().into_iter().flatten().collect();
        let (least, most) = (*times.iter().min()?, *times.iter().max()?);
        let n = times.len() as f64;
        let mean = times.iter().map(|time| *time as f64).sum::<f64>() / n;
        let variance = times
            .iter()
            .map(|time| (*time as f64 - mean).powi(2))
            .sum::<f64>()
            / n;
        Some((least, mean.round() as u64, most, variance.sqrt().round() as u64))
    }
}

impl Network {
    /// Sends echo requests from a node and reports what came back; no answer is a number in the report, not an error.
    /// Starts the network if need be.
    ///
    /// # Errors
    /// [`LabError::Unknown`] and [`LabError::BadArgument`] for nodes and options that cannot be, [`LabError::Cancelled`],
    /// [`LabError::Closed`] when the network is closed meanwhile, and as [`Network::start`].
    pub fn ping(
        &self,
        from: &str,
        to: &Target,
        options: &PingOptions,
        cancel: Cancel<'_>,
    ) -> Result<PingReport, LabError> {
        let (place, address) = self.inner.live(cancel, |live, _| {
            let place = live.place(from)?;
            Ok((place, to.address(&live.plan, from, options.ipv6)?))
        })?;
        let scope = match address {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => self.scope(from, options.interface.as_deref())?,
            _ => 0,
        };
        let duration = options.interval.saturating_mul(options.count);
        let watch = self.inner.audience.watch("ping", duration, cancel);
        self.inner.while_open(&watch, |cancel| {
            run::run(&place, &to.to_string(), address, scope, options, cancel)
        })
    }

    /// The number of the interface a link-local address is behind.
    fn scope(&self, node: &str, interface: Option<&str>) -> Result<u32, LabError> {
        self.inner.live(&never, |live, _| {
            let space = live.space(node)?;
            let first = live
                .plan
                .node(node)
                .and_then(|(_, found)| found.interfaces.first())
                .map(|interface| interface.name.clone());
            let Some(name) = interface.map(str::to_owned).or(first) else {
                return Err(LabError::bad(
                    format!("node {node} has no interface"),
                    "link it first",
                ));
            };
            live.interface(node, space, &name)
        })
    }
}

impl Live {
    /// A host or router, for opening sockets in it.
    pub(crate) fn place(&self, node: &str) -> Result<Place, LabError> {
        Ok(Place {
            space: self.space(node)?,
            lab: std::sync::Arc::clone(&self.lab),
            node: node.to_owned(),
        })
    }
}
