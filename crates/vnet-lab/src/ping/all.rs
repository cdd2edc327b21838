use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde::Serialize;
use vnet_netlink::Change;
use vnet_sandbox::Step;
use vnet_topology::NodeKind;

use super::icmp::{self, Heard};
use super::run::Mark;
use super::socket::{EchoOptions, EchoSocket};
use crate::cancel::{Cancel, LOOK};
use crate::error::LabError;
use crate::network::{Network, unknown_node};
use crate::progress::Teller;
use crate::socket::{Place, later, timespec};
use crate::target::Target;

/// Requests under way at once. Each needs an entry in the neighbour tables of two nodes, and all namespaces of a machine
/// share a table of some 1,000 (`net.ipv4.neigh.default.gc_thresh3`, net/core/neighbour.c) that frees none in its first 5 s.
const WAVE: usize = 256;

/// With more pairs than this the entries that a wave has made are deleted after it.
const ROOM: usize = 384;

/// With more hosts than this, only those of a wave have a socket: a process has some 1,000 descriptors.
const SOCKETS: usize = 300;

/// Things that take some 10 µs each between two looks at a [`Cancel`].
const STRIDE: usize = 1_024;

/// Requests to the helper between two looks, some 0.1 ms each.
const REQUESTS: usize = 64;

/// Bytes behind the ICMP header.
const SIZE: usize = 56;

/// Which hosts ping each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingAllOptions {
    /// By IPv4.
    pub ipv4: bool,
    /// By IPv6.
    pub ipv6: bool,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The hosts; empty: all hosts of the network.
    pub hosts: Vec<String>,
}

impl Default for PingAllOptions {
    fn default() -> Self {
        Self {
            ipv4: true,
            ipv6: false,
            timeout: Duration::from_secs(1),
            hosts: Vec::new(),
        }
    }
}

/// Who reaches whom.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PingMatrix {
    /// The hosts.
    pub hosts: Vec<String>,
    /// One entry for each ordered pair of them and each family.
    pub pairs: Vec<PingPair>,
    /// How long it took, in nanoseconds.
    pub elapsed_ns: u64,
}

/// One host asking another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PingPair {
    /// Position of the host that asks.
    pub from: usize,
    /// Position of the host it asks.
    pub to: usize,
    /// By which family.
    pub ipv6: bool,
    /// From the request to the answer, in nanoseconds, many others being under way; `None`: no answer in time.
    pub rtt_ns: Option<u64>,
    /// What came instead of an answer.
    pub error: Option<String>,
}

impl PingMatrix {
    /// Requests sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.pairs.len()
    }

    /// Requests answered.
    #[must_use]
    pub fn received(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.rtt_ns.is_some()).count()
    }

    /// Requests that were not.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.sent() - self.received()
    }

    /// The share of them, from 0 to 1; 0 where there was nobody to ask.
    #[must_use]
    pub fn loss(&self) -> f64 {
        if self.pairs.is_empty() {
            return 0.0;
        }
        self.lost() as f64 / self.sent() as f64
    }
}

impl Network {
    /// Sends one echo request from every host to every other, and reports which were answered. Starts the network if need be.
    ///
    /// # Errors
    /// [`LabError::Unknown`], [`LabError::Cancelled`], [`LabError::Closed`] when the network is closed meanwhile, and as
    /// [`Network::start`].
    pub fn ping_all(&self, options: &PingAllOptions, cancel: Cancel<'_>) -> Result<PingMatrix, LabError> {
        self.start(cancel)?;
        self.inner
            .while_open(cancel, |cancel| self.ping_every(options, cancel))
    }

    fn ping_every(&self, options: &PingAllOptions, cancel: Cancel<'_>) -> Result<PingMatrix, LabError> {
        let (places, plan) = self.inner.live(cancel, |live, _| {
            let names: Vec<String> = if options.hosts.is_empty() {
                let hosts = live.plan.nodes.iter().filter(|node| node.kind == NodeKind::Host);
                hosts.map(|node| node.name.clone()).collect()
            } else {
                options.hosts.clone()
            };
            let places: Vec<Place> = names
                .iter()
                .map(|name| live.place(name))
                .collect::<Result<_, _>>()?;
            Ok((places, std::sync::Arc::clone(&live.plan)))
        })?;
        for place in &places {
            plan.node(&place.node)
                .ok_or_else(|| unknown_node(&plan, &place.node))?;
        }
        let start = Instant::now();
        let mut matrix = PingMatrix {
            hosts: places.iter().map(|place| place.node.clone()).collect(),
            pairs: Vec::new(),
            elapsed_ns: 0,
        };
        for ipv6 in [false, true] {
            if !(if ipv6 { options.ipv6 } else { options.ipv4 }) {
                continue;
            }
            let mut asked = Vec::new();
            for (from, to) in order(places.len()) {
                if asked.len().is_multiple_of(STRIDE) {
                    look(cancel)?;
                }
                let target = Target::Node(places[to].node.clone());
                let address = target
                    .address(&plan, &places[from].node, ipv6)
                    .ok()
                    .filter(|address| address.is_ipv6() == ipv6);
                asked.push((from, to, address));
            }
            let mut teller = self.inner.audience.begin("ping between all hosts", asked.len());
            Round::new(&places, ipv6, options.timeout).go(&asked, &mut matrix.pairs, &mut teller, cancel)?;
        }
        matrix.pairs.sort_by_key(|pair| (pair.ipv6, pair.from, pair.to));
        matrix.elapsed_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok(matrix)
    }
}

/// All ordered pairs, the two of one pair of hosts beside each other: they share their neighbour entries.
fn order(hosts: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..hosts).flat_map(move |a| (a + 1..hosts).flat_map(move |b| [(a, b), (b, a)]))
}

fn look(cancel: Cancel<'_>) -> Result<(), LabError> {
    if cancel() {
        return Err(LabError::Cancelled {
            what: "ping between all hosts".into(),
        });
    }
    Ok(())
}

/// The pings of one family.
struct Round<'a> {
    places: &'a [Place],
    /// By host; open for those of the wave at least.
    sockets: Vec<Option<EchoSocket>>,
    mark: Mark,
    timeout: Duration,
    ipv6: bool,
    buffer: Vec<u8>,
}

/// A request, with its answer.
struct Ask {
    from: usize,
    to: usize,
    sent: Instant,
    rtt: Option<Duration>,
    error: Option<String>,
}

impl<'a> Round<'a> {
    fn new(places: &'a [Place], ipv6: bool, timeout: Duration) -> Self {
        Self {
            sockets: places.iter().map(|_| None).collect(),
            places,
            mark: Mark::next(),
            timeout,
            ipv6,
            buffer: vec![0; 2_048],
        }
    }

    /// Opens the sockets that a wave needs, and closes others where there are many.
    fn prepare(
        &mut self,
        wave: &[(usize, usize, Option<IpAddr>)],
        cancel: Cancel<'_>,
    ) -> Result<(), LabError> {
        if self.places.len() > SOCKETS {
            let mut needed = vec![false; self.places.len()];
            for (from, ..) in wave {
                needed[*from] = true;
            }
            for (socket, needed) in self.sockets.iter_mut().zip(needed) {
                socket.take_if(|_| !needed);
            }
        }
        for (at, (from, ..)) in wave.iter().enumerate() {
            if at.is_multiple_of(REQUESTS) {
                look(cancel)?;
            }
            if self.sockets[*from].is_none() {
                let options = EchoOptions {
                    rcvbuf: 1 << 20,
                    ..EchoOptions::default()
                };
                self.sockets[*from] = Some(EchoSocket::open(&self.places[*from], self.ipv6, &options)?);
            }
        }
        Ok(())
    }

    fn go(
        &mut self,
        asked: &[(usize, usize, Option<IpAddr>)],
        pairs: &mut Vec<PingPair>,
        teller: &mut Teller,
        cancel: Cancel<'_>,
    ) -> Result<(), LabError> {
        let before = pairs.len();
        for wave in asked.chunks(WAVE) {
            teller.at(pairs.len() - before);
            self.prepare(wave, cancel)?;
            let mut asks: Vec<Ask> = Vec::with_capacity(wave.len());
            for &(from, to, address) in wave {
                match address {
                    Some(address) => asks.push(self.ask(asks.len(), from, to, address)),
                    None => pairs.push(PingPair {
                        from,
                        to,
                        ipv6: self.ipv6,
                        rtt_ns: None,
                        error: Some("it has no address of this family".into()),
                    }),
                }
                // Answers are taken as they come: a socket's buffer is small.
                if asks.len().is_multiple_of(32) {
                    self.hear(&mut asks);
                }
            }
            self.wait(&mut asks, cancel)?;
            if asked.len() > ROOM {
                self.forget(&asks, cancel)?;
            }
            pairs.extend(asks.into_iter().map(|ask| {
                PingPair {
                    from: ask.from,
                    to: ask.to,
                    ipv6: self.ipv6,
                    rtt_ns: ask
                        .rtt
                        .map(|rtt| u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX)),
                    error: if ask.rtt.is_some() { None } else { ask.error },
                }
            }));
            self.mark = Mark::next();
        }
        Ok(())
    }

    fn ask(&self, number: usize, from: usize, to: usize, address: IpAddr) -> Ask {
        let request = icmp::request(self.ipv6, self.mark.id, number as u16, self.mark.token, SIZE);
        let sent = Instant::now();
        let sent_by = self.sockets[from].as_ref();
        let error = sent_by.and_then(|socket| socket.send(address, 0, &request).err());
        Ask {
            from,
            to,
            sent,
            rtt: None,
            error: error.map(|errno| format!("cannot send: {}", std::io::Error::from(errno))),
        }
    }

    /// Waits until every request is answered, refused or too old.
    fn wait(&mut self, asks: &mut [Ask], cancel: Cancel<'_>) -> Result<(), LabError> {
        loop {
            self.hear(asks);
            let now = Instant::now();
            let Some(until) = asks
                .iter()
                .filter(|ask| ask.rtt.is_none() && ask.error.is_none())
                .map(|ask| later(ask.sent, self.timeout))
                .filter(|until| *until > now)
                .max()
            else {
                return Ok(());
            };
            look(cancel)?;
            let mut fds: Vec<PollFd<'_>> = self
                .sockets
                .iter()
                .flatten()
                .map(|socket| PollFd::new(socket, PollFlags::IN))
                .collect();
            match poll(&mut fds, Some(&timespec((until - now).min(LOOK)))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(LabError::os("cannot wait for echo replies", errno)),
            }
        }
    }

    /// Takes all answers that are there.
    fn hear(&mut self, asks: &mut [Ask]) {
        for (host, socket) in self.sockets.iter().enumerate() {
            let Some(socket) = socket else { continue };
            while let Some(message) = socket.recv(&mut self.buffer) {
                let now = Instant::now();
                match icmp::read(self.ipv6, &self.buffer[message.at.clone()]) {
                    Some(Heard::Reply { id, seq, payload }) if id == self.mark.id => {
                        let Some(ask) = asks.get_mut(usize::from(seq)) else {
                            continue;
                        };
                        let whole = payload
                            .iter()
                            .copied()
                            .eq(icmp::payload(self.mark.token, seq, SIZE));
                        let rtt = now - ask.sent;
                        if whole && ask.from == host && ask.rtt.is_none() && rtt <= self.timeout {
                            ask.rtt = Some(rtt);
                        }
                    }
                    Some(Heard::Refusal { id, seq, kind, code }) if id == self.mark.id => {
                        if let Some(ask) = asks.get_mut(usize::from(seq)).filter(|ask| ask.from == host) {
                            let why = icmp::reason(self.ipv6, kind, code);
                            ask.error = Some(format!("{} says: {why}", message.from));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Deletes the neighbour entries that a wave has made; the nodes find their neighbours again when they need them.
    fn forget(&self, asks: &[Ask], cancel: Cancel<'_>) -> Result<(), LabError> {
        let Some(lab) = self.places.first().map(|place| &place.lab) else {
            return Ok(());
        };
        let asked: BTreeSet<usize> = asks.iter().flat_map(|ask| [ask.from, ask.to]).collect();
        let mut steps = Vec::new();
        for (count, at) in asked.into_iter().enumerate() {
            if count.is_multiple_of(REQUESTS) {
                look(cancel)?;
            }
            let place = &self.places[at];
            let known = lab.neighbours(place.space).unwrap_or_default();
            let learnt = known.into_iter().filter(|known| known.state != "permanent");
            steps.extend(learnt.map(|known| Step::Net {
                space: place.space.0,
                change: Change::DelNeighbour {
                    index: known.index,
                    ip: known.ip,
                },
            }));
        }
        let mut rest = steps.as_slice();
        // One that has gone meanwhile is passed over.
        while let Err(refused) = lab.apply(rest) {
            look(cancel)?;
            rest = rest.get(refused.at + 1..).unwrap_or_default();
        }
        Ok(())
    }
}
