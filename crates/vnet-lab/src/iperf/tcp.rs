use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use vnet_sys::inet;

use super::meter::Meter;
use super::{IperfReport, IperfStream, Run};
use crate::cancel::LOOK;
use crate::error::LabError;
use crate::socket::{domain, wait};

/// Bytes of one write, and the ones that may be asked for.
pub(super) const LENGTH: usize = 128 << 10;
pub(super) const RANGE: RangeInclusive<usize> = 1..=4 << 20;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long what is under way at the end may take to arrive.
const DRAIN: Duration = Duration::from_secs(2);

/// Bytes of the receiver's buffer.
const READ: usize = 256 << 10;

pub(super) fn run(run: &Run<'_>) -> Result<IperfReport, LabError> {
    let bind = SocketAddr::new(run.address, 0);
    let listener = run
        .to
        .socket(domain(run.address), libc::SOCK_STREAM, 0, Some(bind))?;
    let depth = i32::try_from(run.options.streams).unwrap_or(i32::MAX);
    rustix::net::listen(&listener, depth).map_err(|errno| run.failed("cannot listen", errno))?;
    let listener = TcpListener::from(listener);
    let to = listener
        .local_addr()
        .map_err(|error| run.failed("cannot listen", error))?;
    let mut pairs = Vec::new();
    for _ in 0..run.options.streams {
        let sender = TcpStream::from(run.from.connect(to, CONNECT, run.cancel)?);
        let receiver = accept(run, &listener)?;
        for stream in [&sender, &receiver] {
            let set = || -> std::io::Result<()> {
                stream.set_nonblocking(false)?;
                // Both look at the clock and at `cancel` this often.
                stream.set_read_timeout(Some(LOOK))?;
                stream.set_write_timeout(Some(LOOK))
            };
            set().map_err(|error| run.failed("cannot set up the connection", error))?;
        }
        pairs.push((sender, receiver));
    }

    let meter = Meter::start(run.options.duration);
    let share = run.options.rate_bps.map(|rate| rate / run.options.streams as u64);
    let streams = thread::scope(|scope| {
        let mut running = Vec::new();
        for (sender, receiver) in pairs {
            let meter = &meter;
            let length = run.length;
            let duration = run.options.duration;
            running.push((
                scope.spawn(move || send(sender, meter, length, duration, share)),
                scope.spawn(move || receive(receiver, meter, duration)),
            ));
        }
        while running.iter().any(|(a, b)| !(a.is_finished() && b.is_finished())) {
            if (run.cancel)() {
                meter.stop();
            }
            thread::sleep(LOOK.min(Duration::from_millis(5)));
        }
        running
            .into_iter()
            .map(|(sent, received)| {
                let state = joined(sent)?;
                let bytes = joined(received)?;
                Ok(IperfStream {
                    bytes,
                    retransmits: Some(u64::from(state.retransmits)),
                    rtt_us: Some(state.rtt_us),
                })
            })
            .collect::<Result<Vec<_>, std::io::Error>>()
    });
    if (run.cancel)() {
        return Err(run.cancelled());
    }
    let streams = streams.map_err(|error| run.failed("the connection broke", error))?;
    Ok(run.report(&meter, streams))
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, std::io::Result<T>>) -> std::io::Result<T> {
    thread
        .join()
        .unwrap_or_else(|_| Err(std::io::Error::other("a measuring thread panicked")))
}

fn accept(run: &Run<'_>, listener: &TcpListener) -> Result<TcpStream, LabError> {
    let deadline = Instant::now() + CONNECT;
    while !wait(listener, PollFlags::IN, LOOK)? {
        if (run.cancel)() {
            return Err(run.cancelled());
        }
        if Instant::now() >= deadline {
            return Err(run.failed("nothing arrives", ErrorKind::TimedOut));
        }
    }
    let (stream, _) = listener
        .accept()
        .map_err(|error| run.failed("cannot accept", error))?;
    Ok(stream)
}

/// Writes until the time is over, no faster than `rate` bits a second.
fn send(
    mut stream: TcpStream,
    meter: &Meter,
    length: usize,
    duration: Duration,
    rate: Option<u64>,
) -> std::io::Result<inet::TcpState> {
    let data = vec![0x5a; length];
    let mut sent = 0u64;
    while !meter.is_stopped() {
        let now = meter.elapsed();
        if now >= duration {
            break;
        }
        let mut most = length as u64;
        if let Some(rate) = rate {
            let due = (u128::from(rate) * now.as_nanos() / 8_000_000_000) as u64;
            most = due.saturating_sub(sent).min(most);
            if most == 0 {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
        }
        match stream.write(&data[..most as usize]) {
            Ok(written) => sent += written as u64,
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let state = inet::tcp_state(stream.as_fd()).map_err(std::io::Error::other)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    Ok(state)
}

/// Reads until the sender is done.
fn receive(mut stream: TcpStream, meter: &Meter, duration: Duration) -> std::io::Result<u64> {
    let mut buffer = vec![0; READ];
    let mut bytes = 0;
    while !meter.is_stopped() && meter.elapsed() < duration + DRAIN {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                meter.add(read);
                bytes += read as u64;
            }
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// Whether a call only came back to have a look at the clock.
fn is_pause(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
