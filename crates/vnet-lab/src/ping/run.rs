use std::net::IpAddr;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::PollFlags;

use super::icmp::{self, Heard};
use super::socket::{EchoOptions, EchoSocket, Message};
use super::{PingOptions, PingReport, Reply};
use crate::cancel::{Cancel, LOOK};
use crate::error::LabError;
use crate::socket::{Place, later, wait};

/// Bytes behind the ICMP header that an IPv4 packet holds.
const MOST: usize = 65_507;

/// How long to wait for further answers once there is one to every request, at most.
const LINGER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// Tells one ping of this process from another, and from those of others in the same node.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub id: u16,
    pub token: u64,
}

impl Mark {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            id: id.wrapping_add(process::id() as u16),
            token: time.as_nanos() as u64 ^ (u64::from(process::id()) << 48),
        }
    }
}

/// A ping under way.
struct Run<'a> {
    socket: EchoSocket,
    mark: Mark,
    options: &'a PingOptions,
    sent: Vec<Instant>,
    report: PingReport,
    last_heard: Instant,
}

/// Pings an address from a node.
pub(super) fn run(
    place: &Place,
    to: &str,
    address: IpAddr,
    scope: u32,
    options: &PingOptions,
    cancel: Cancel<'_>,
) -> Result<PingReport, LabError> {
    if options.size > MOST {
        return Err(LabError::bad(
            format!("a ping of {} bytes fits no packet", options.size),
            format!("give a size up to {MOST}"),
        ));
    }
    if options.count == 0 {
        return Err(LabError::bad(
            "a ping of no echo request asks nothing",
            "give a count of 1 or more",
        ));
    }
    let Ok(count) = u16::try_from(options.count) else {
        return Err(LabError::bad(
            format!("{} echo requests are more than can be told apart", options.count),
            format!("give a count up to {}", u16::MAX),
        ));
    };
    let socket = EchoSocket::open(
        place,
        address.is_ipv6(),
        &EchoOptions {
            source: options.source,
            hop_limit: options.hop_limit,
            rcvbuf: 0,
        },
    )?;
    let now = Instant::now();
    let mut run = Run {
        socket,
        mark: Mark::next(),
        options,
        sent: Vec::with_capacity(usize::from(count)),
        report: PingReport {
            from: place.node.clone(),
            to: to.to_owned(),
            address,
            size: options.size,
            sent: 0,
            received: 0,
            duplicates: 0,
            late: 0,
            corrupt: 0,
            errors: Vec::new(),
            replies: Vec::new(),
        },
        last_heard: now,
    };
    let mut next = now;
    let mut buffer = vec![0; MOST + 128];
    loop {
        if cancel() {
            return Err(LabError::Cancelled {
                what: format!("ping from {} to {to}", place.node),
            });
        }
        let now = Instant::now();
        if run.sent.len() < usize::from(count) && now >= next {
            run.send(address, scope);
            // One that comes late does not hurry those after it.
            next = later(now.max(next), options.interval);
            continue;
        }
        let until = if run.sent.len() < usize::from(count) {
            next
        } else {
            match run.end() {
                Some(end) if end > now => end,
                _ => return Ok(run.report),
            }
        };
        wait(&run.socket, PollFlags::IN, (until - now).min(LOOK))?;
        while let Some(message) = run.socket.recv(&mut buffer) {
            run.hear(&message, &buffer);
        }
    }
}

impl Run<'_> {
    fn send(&mut self, to: IpAddr, scope: u32) {
        let seq = self.sent.len() as u16;
        let request = icmp::request(
            self.socket.is_ipv6(),
            self.mark.id,
            seq,
            self.mark.token,
            self.options.size,
        );
        self.sent.push(Instant::now());
        self.report.sent += 1;
        self.report.replies.push(None);
        if let Err(errno) = self.socket.send(to, scope, &request) {
            self.refuse(format!("cannot send: {}", std::io::Error::from(errno)));
        }
    }

    /// When there is nothing left to wait for; `None` when that is already so.
    fn end(&self) -> Option<Instant> {
        let last = self.sent.last()?;
        if self.report.received == self.report.sent {
            let longest = self
                .report
                .replies
                .iter()
                .flatten()
                .map(|reply| Duration::from_nanos(reply.rtt_ns))
                .max()?;
            return Some(self.last_heard + (longest * 2).clamp(LINGER.0, LINGER.1));
        }
        Some(later(*last, self.options.timeout))
    }

    fn hear(&mut self, message: &Message, buffer: &[u8]) {
        let now = Instant::now();
        let ipv6 = self.socket.is_ipv6();
        match icmp::read(ipv6, &buffer[message.at.clone()]) {
            Some(Heard::Reply { id, seq, payload }) if id == self.mark.id => {
                let number = usize::from(seq);
                let Some(sent) = self.sent.get(number) else {
                    return;
                };
                let expected = icmp::payload(self.mark.token, seq, self.options.size);
                if !payload.iter().copied().eq(expected) {
                    self.report.corrupt += 1;
                    return;
                }
                self.last_heard = now;
                let rtt = now - *sent;
                if self.report.replies[number].is_some() {
                    self.report.duplicates += 1;
                } else if rtt > self.options.timeout {
                    self.report.late += 1;
                } else {
                    self.report.received += 1;
                    self.report.replies[number] = Some(Reply {
                        rtt_ns: u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX),
                        hop_limit: message.hop_limit,
                    });
                }
            }
            Some(Heard::Refusal { id, seq, kind, code })
                if id == self.mark.id && usize::from(seq) < self.sent.len() =>
            {
                let why = icmp::reason(ipv6, kind, code);
                self.refuse(format!("{} says: {why}", message.from));
            }
            _ => {}
        }
    }

    fn refuse(&mut self, why: String) {
        if !self.report.errors.contains(&why) {
            self.report.errors.push(why);
        }
    }
}
