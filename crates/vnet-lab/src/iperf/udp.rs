use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt;

use super::meter::{Meter, nanos};
use super::{Datagrams, IperfReport, IperfStream, Run};
use crate::cancel::LOOK;
use crate::error::LabError;
use crate::socket::domain;

/// Bytes of one datagram, and the ones that may be asked for: number and time of sending come first.
pub(super) const LENGTH: usize = 1_448;
pub(super) const RANGE: RangeInclusive<usize> = 16..=65_507;

/// The rate where none is asked for, in bits a second.
const RATE: u64 = 1_000_000;

/// How long to wait after the last datagram was sent, or after the last one came, while some are missing.
const DRAIN: Duration = Duration::from_millis(500);

/// Bytes of socket buffers asked for; the kernel gives what its limits allow.
const BUFFER: usize = 4 << 20;

/// Between two looks at the clock of a sender that is ahead of its time.
const TICK: Duration = Duration::from_millis(1);

/// The sender's word to the receiver: how many it has sent, once it is done.
const UNDER_WAY: u64 = u64::MAX;

pub(super) fn run(run: &Run<'_>) -> Result<IperfReport, LabError> {
    let mut pairs = Vec::new();
    for _ in 0..run.options.streams {
        let open = |place: &crate::socket::Place, bind| -> Result<UdpSocket, LabError> {
            let fd = place.socket(domain(run.address), libc::SOCK_DGRAM, 0, bind)?;
            let set = |errno| run.failed("cannot set up a socket", errno);
            sockopt::set_socket_recv_buffer_size(&fd, BUFFER).map_err(set)?;
            sockopt::set_socket_send_buffer_size(&fd, BUFFER).map_err(set)?;
            Ok(UdpSocket::from(fd))
        };
        let receiver = open(run.to, Some(SocketAddr::new(run.address, 0)))?;
        let sender = open(run.from, None)?;
        let set = || -> std::io::Result<()> {
            sender.connect(receiver.local_addr()?)?;
            for socket in [&sender, &receiver] {
                socket.set_nonblocking(false)?;
                socket.set_read_timeout(Some(LOOK))?;
                socket.set_write_timeout(Some(LOOK))?;
            }
            Ok(())
        };
        set().map_err(|error| run.failed("cannot set up a socket", error))?;
        pairs.push((sender, receiver, AtomicU64::new(UNDER_WAY)));
    }

    let meter = Meter::start(run.options.duration);
    let rate = run.options.rate_bps.unwrap_or(RATE) / run.options.streams as u64;
    let outcome = thread::scope(|scope| {
        let mut running = Vec::new();
        for (sender, receiver, sent) in &pairs {
            let meter = &meter;
            let (length, duration) = (run.length, run.options.duration);
            running.push((
                scope.spawn(move || send(sender, meter, length, duration, rate, sent)),
                scope.spawn(move || receive(receiver, meter, sent)),
            ));
        }
        while running.iter().any(|(a, b)| !(a.is_finished() && b.is_finished())) {
            if (run.cancel)() {
                meter.stop();
            }
            thread::sleep(LOOK.min(Duration::from_millis(5)));
        }
        let panicked = |_| std::io::Error::other("a measuring thread panicked");
        running
            .into_iter()
            .map(|(sent, heard)| Ok((sent.join().map_err(panicked)??, heard.join().map_err(panicked)??)))
            .collect::<Result<Vec<(u64, Heard)>, std::io::Error>>()
    });
    if (run.cancel)() {
        return Err(run.cancelled());
    }
    let outcome = outcome.map_err(|error| run.failed("a socket failed", error))?;
    let streams = outcome
        .iter()
        .map(|(_, heard)| IperfStream {
            bytes: heard.bytes,
            ..IperfStream::default()
        })
        .collect();
    let mut report = run.report(&meter, streams);
    report.retransmits = None;
    let mut all = Datagrams::default();
    for (sent, heard) in &outcome {
        all.sent += sent;
        all.received += heard.received;
        all.lost += sent.saturating_sub(heard.received);
        all.out_of_order += heard.out_of_order;
        all.duplicates += heard.duplicates;
        all.jitter_ns += heard.jitter_ns as u64 / outcome.len() as u64;
    }
    report.datagrams = Some(all);
    Ok(report)
}

/// Sends numbered datagrams at a rate until the time is over, and returns how many.
fn send(
    socket: &UdpSocket,
    meter: &Meter,
    length: usize,
    duration: Duration,
    rate: u64,
    done: &AtomicU64,
) -> std::io::Result<u64> {
    let mut data = vec![0x5a; length];
    let mut sent = 0u64;
    let bits = length as u128 * 8;
    let result = loop {
        let now = meter.elapsed();
        if now >= duration || meter.is_stopped() {
            break Ok(());
        }
        // The first goes at once.
        let due = (u128::from(rate) * now.as_nanos() / 1_000_000_000 / bits) as u64 + 1;
        if sent >= due {
            thread::sleep(TICK);
            continue;
        }
        data[..8].copy_from_slice(&sent.to_be_bytes());
        data[8..16].copy_from_slice(&nanos(meter.elapsed()).to_be_bytes());
        match socket.send(&data) {
            Ok(_) => sent += 1,
            Err(error) if is_pause(error.kind()) => {}
            // A full queue on the way is loss at the sender: the datagram was not sent (udp(7)).
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => thread::sleep(TICK),
            Err(error) => break Err(error),
        }
    };
    done.store(sent, Ordering::Release);
    result.map(|()| sent)
}

/// What a receiver has counted.
#[derive(Default)]
struct Heard {
    bytes: u64,
    received: u64,
    out_of_order: u64,
    duplicates: u64,
    jitter_ns: f64,
}

/// Receives until all that was sent is there, or nothing comes any more.
fn receive(socket: &UdpSocket, meter: &Meter, sent: &AtomicU64) -> std::io::Result<Heard> {
    let mut buffer = vec![0; *RANGE.end()];
    let mut heard = Heard::default();
    let mut seen = Seen::default();
    let mut transit: Option<i128> = None;
    let mut last = Duration::ZERO;
    loop {
        let all = sent.load(Ordering::Acquire);
        if meter.is_stopped() || heard.received >= all {
            return Ok(heard);
        }
        match socket.recv(&mut buffer) {
            Ok(len) => {
                let now = meter.elapsed();
                last = now;
                let Some((number, time)) = numbers(&buffer[..len]) else {
                    continue;
                };
                match seen.add(number) {
                    Order::Next => {}
                    Order::Late => heard.out_of_order += 1,
                    Order::Again => {
                        heard.duplicates += 1;
                        continue;
                    }
                }
                heard.received += 1;
                heard.bytes += len as u64;
                meter.add(len);
                let under_way = i128::from(nanos(now)) - i128::from(time);
                if let Some(before) = transit.replace(under_way) {
                    let change = (under_way - before).unsigned_abs() as f64;
                    heard.jitter_ns += (change - heard.jitter_ns) / 16.0;
                }
            }
            Err(error) if is_pause(error.kind()) => {
                if all == UNDER_WAY {
                    last = meter.elapsed();
                } else if meter.elapsed() > last + DRAIN {
                    return Ok(heard);
                }
            }
            // Nobody listened for a moment; that is not the receiver's end of it.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error),
        }
    }
}

fn numbers(data: &[u8]) -> Option<(u64, u64)> {
    let field = |at: usize| Some(u64::from_be_bytes(data.get(at..at + 8)?.try_into().ok()?));
    Some((field(0)?, field(8)?))
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Which numbers have come: all below `next` but those `missing`.
#[derive(Default)]
struct Seen {
    next: u64,
    missing: HashSet<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Order {
    Next,
    Late,
    Again,
}

impl Seen {
    fn add(&mut self, number: u64) -> Order {
        if number >= self.next {
            self.missing.extend(self.next..number);
            self.next = number + 1;
            Order::Next
        } else if self.missing.remove(&number) {
            Order::Late
        } else {
            Order::Again
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_late_from_doubled() {
        let mut seen = Seen::default();
        let order: Vec<Order> = [0, 2, 1, 1, 3, 0].map(|number| seen.add(number)).into();
        assert_eq!(
            order,
            [
                Order::Next,
                Order::Next,
                Order::Late,
                Order::Again,
                Order::Next,
                Order::Again
            ]
        );
    }
}
