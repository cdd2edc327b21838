//! Throughput between two nodes, by sockets and threads of our own.

mod meter;
mod tcp;
mod udp;

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::cancel::Cancel;
use crate::error::LabError;
use crate::network::Network;
use crate::target::Target;

/// The most streams side by side.
const STREAMS: usize = 128;

/// How to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IperfOptions {
    /// How long data is sent.
    pub duration: Duration,
    /// The length of the intervals in the report.
    pub interval: Duration,
    /// UDP datagrams instead of TCP.
    pub udp: bool,
    /// Bits of payload a second, all streams together; `None`: 1 Mbit/s for UDP, no limit for TCP.
    pub rate_bps: Option<u64>,
    /// Streams side by side, up to 128.
    pub streams: usize,
    /// Bytes of one write, which is one datagram for UDP; `None`: 128 KiB for TCP, 1,448 for UDP.
    pub length: Option<usize>,
    /// Takes a node's IPv6 address.
    pub ipv6: bool,
}

impl Default for IperfOptions {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(2),
            interval: Duration::from_secs(1),
            udp: false,
            rate_bps: None,
            streams: 1,
            length: None,
            ipv6: false,
        }
    }
}

/// What was measured, at the receiver where nothing else is said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IperfReport {
    /// The node that sent.
    pub from: String,
    /// The node or address it sent to, as given.
    pub to: String,
    /// The address.
    pub address: IpAddr,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// From the first byte to the last, in nanoseconds.
    pub duration_ns: u64,
    /// Bytes of payload received.
    pub bytes: u64,
    /// Bits of payload received a second.
    pub bits_per_second: f64,
    /// TCP segments the sender sent again.
    pub retransmits: Option<u64>,
    /// What became of the datagrams.
    pub datagrams: Option<Datagrams>,
    /// One entry for each interval of the whole time.
    pub intervals: Vec<IperfInterval>,
    /// One entry for each stream.
    pub streams: Vec<IperfStream>,
}

/// UDP datagrams of all streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Datagrams {
    /// Datagrams the sender's kernel took.
    pub sent: u64,
    /// Datagrams received, each counted once.
    pub received: u64,
    /// Sent and not received.
    pub lost: u64,
    /// Received after one that was sent later.
    pub out_of_order: u64,
    /// Received again.
    pub duplicates: u64,
    /// Variation of the time they were under way (RFC 1889 §6.3.1), the mean of all streams, in nanoseconds.
    pub jitter_ns: u64,
}

/// A part of the time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct IperfInterval {
    /// Its start, from the first byte on, in nanoseconds.
    pub start_ns: u64,
    /// Its end.
    pub end_ns: u64,
    /// Bytes received in it.
    pub bytes: u64,
    /// Bits received a second.
    pub bits_per_second: f64,
}

/// One of the streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct IperfStream {
    /// Bytes of payload received.
    pub bytes: u64,
    /// TCP segments sent again.
    pub retransmits: Option<u64>,
    /// The sender's smoothed round-trip time at the end, in microseconds (TCP).
    pub rtt_us: Option<u32>,
}

impl Network {
    /// Sends data from one node to another as fast as it goes, or at a rate, and reports what arrived. Starts the network if
    /// need be.
    ///
    /// # Errors
    /// [`LabError::Unknown`] and [`LabError::BadArgument`] for nodes and options that cannot be, [`LabError::Os`] when there
    /// is no connection, [`LabError::Cancelled`], [`LabError::Closed`] when the network is closed meanwhile, and as
    /// [`Network::start`].
    pub fn iperf(
        &self,
        from: &str,
        to: &Target,
        options: &IperfOptions,
        cancel: Cancel<'_>,
    ) -> Result<IperfReport, LabError> {
        let Target::Node(receiver) = to else {
            return Err(LabError::bad(
                format!("nothing receives at {to}"),
                "name a node: both ends are opened here",
            ));
        };
        let length = options
            .length
            .unwrap_or(if options.udp { udp::LENGTH } else { tcp::LENGTH });
        let range = if options.udp { udp::RANGE } else { tcp::RANGE };
        let wrong = [
            (
                !(1..=STREAMS).contains(&options.streams),
                format!("{} streams", options.streams),
                format!("give 1 to {STREAMS}"),
            ),
            (
                options.duration.is_zero() || options.interval.is_zero(),
                "a measurement of no time".to_owned(),
                "give a duration and an interval above 0".to_owned(),
            ),
            (
                options.duration > meter::LONGEST,
                format!("a measurement of {} s", options.duration.as_secs()),
                "give a day at most".to_owned(),
            ),
            (
                !range.contains(&length),
                format!("writes of {length} bytes"),
                format!("give {} to {} bytes", range.start(), range.end()),
            ),
            (
                options.rate_bps == Some(0),
                "a rate of 0".to_owned(),
                "give a rate in bits a second above 0".to_owned(),
            ),
        ];
        if let Some((_, what, fix)) = wrong.into_iter().find(|(wrong, ..)| *wrong) {
            return Err(LabError::BadArgument { what, fix });
        }
        let (sender, receiver, address) = self.inner.live(cancel, |live, _| {
            let address = to.address(&live.plan, from, options.ipv6)?;
            Ok((live.place(from)?, live.place(receiver)?, address))
        })?;
        let watch = self
            .inner
            .audience
            .watch("measuring throughput", options.duration, cancel);
        self.inner.while_open(&watch, |cancel| {
            let run = Run {
                from: &sender,
                to: &receiver,
                address,
                options,
                length,
                cancel,
            };
            if options.udp {
                udp::run(&run)
            } else {
                tcp::run(&run)
            }
        })
    }
}

/// A measurement under way.
struct Run<'a> {
    from: &'a crate::socket::Place,
    to: &'a crate::socket::Place,
    address: IpAddr,
    options: &'a IperfOptions,
    length: usize,
    cancel: Cancel<'a>,
}

impl Run<'_> {
    fn cancelled(&self) -> LabError {
        LabError::Cancelled {
            what: format!("iperf from {} to {}", self.from.node, self.to.node),
        }
    }

    fn failed(&self, what: &str, errno: impl Into<std::io::Error>) -> LabError {
        LabError::os(
            format!("iperf from {} to {}: {what}", self.from.node, self.to.node),
            errno,
        )
    }

    fn report(&self, meter: &meter::Meter, streams: Vec<IperfStream>) -> IperfReport {
        let bytes = meter.bytes();
        let duration_ns = meter.duration_ns();
        IperfReport {
            from: self.from.node.clone(),
            to: self.to.node.clone(),
            address: self.address,
            protocol: if self.options.udp { "udp" } else { "tcp" },
            duration_ns,
            bytes,
            bits_per_second: meter::rate(bytes, duration_ns),
            retransmits: streams.iter().map(|stream| stream.retransmits).sum(),
            datagrams: None,
            intervals: meter.intervals(self.options.interval),
            streams,
        }
    }
}
