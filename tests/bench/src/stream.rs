//! A TCP connection between the two namespaces of a side that runs in short slices, so that sides take turns many times a round.
//!
//! What the machine does beside lasts longer than a slice, and so meets every side alike. The connection stays open between its
//! slices: each begins where the one before ended, not with a slow start. That holds for a few seconds: after ten BBR looks anew
//! for what a way carries, with four segments in flight.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::set_tcp_congestion;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::lab::{B, Lab, Result};
use crate::traffic::median;

/// Time without a byte after which nothing of a slice is on its way any more, and the longest that is waited for it.
const QUIET: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_secs(2);

/// Payload of a TCP segment with time stamps in an Ethernet frame of 1514 bytes.
const SEGMENT: f64 = 1448.0;

/// How long a namespace may be without progress before the stream counts as dead.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the two programs that talk are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    /// The congestion control; `None` for what the machine's programs get.
    pub congestion: Option<&'static str>,
    /// The processor that both keep to; `None` leaves that to the scheduler, which then decides more than the way does: on two
    /// processors that do not share a cache a stream is some three times slower than on one.
    pub processor: Option<usize>,
    /// Time a slice runs before it is measured.
    pub warm_up: Duration,
}

impl Ends {
    /// Keeps the calling thread where it belongs.
    fn place(self) {
        if let Some(processor) = self.processor {
            let mut only = CpuSet::new();
            only.set(processor);
            // Where that is refused, the row of two equal sides says what the measure is worth.
            let _ = sched_setaffinity(None, &only);
        }
    }
}

/// Returns the last processor that this program may use: interrupts mostly go to the first.
pub fn last_processor() -> Result<usize> {
    let allowed = sched_getaffinity(None)?;
    (0..CpuSet::MAX_CPU)
        .rev()
        .find(|&processor| allowed.is_set(processor))
        .ok_or_else(|| "no processor is allowed".into())
}

/// What one TCP connection came to, over all its slices.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    bytes: u64,
    cpu: Option<Duration>,
    /// Bits of payload a second of each slice.
    rates: Vec<f64>,
}

impl Carried {
    /// Bits of payload a second, as the receiver counts, in the median slice.
    pub fn bits_per_s(&self) -> f64 {
        median(&self.rates)
    }

    /// CPU nanoseconds for each 1448 bytes of the thread in between; `None` where the kernel carries the frames.
    pub fn cpu_ns(&self) -> Option<f64> {
        Some(self.cpu?.as_nanos() as f64 / (self.bytes as f64 / SEGMENT))
    }
}

/// An open connection whose sender waits for its next slice; dropping it closes it.
pub struct Stream<'l> {
    lab: &'l Lab,
    shared: Arc<Shared>,
    sender: Option<JoinHandle<()>>,
    receiver: Option<JoinHandle<()>>,
    warm_up: Duration,
    /// What its slices came to so far.
    pub carried: Carried,
}

#[derive(Default)]
struct Shared {
    turn: Mutex<Turn>,
    changed: Condvar,
    runs: AtomicBool,
    received: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Waits,
    Runs,
    Ends,
}

impl<'l> Stream<'l> {
    /// Connects the two namespaces.
    pub fn open(lab: &'l Lab, ends: Ends) -> Result<Self> {
        // Between its slices a connection idles, and would forget what the way carries.
        lab.a
            .run(|| std::fs::write("/proc/sys/net/ipv4/tcp_slow_start_after_idle", "0"))??;
        let listener = lab.b.run(|| TcpListener::bind((B, 0)))??;
        let to: SocketAddr = listener.local_addr()?;
        let out = lab.a.run(|| TcpStream::connect_timeout(&to, DEADLINE))??;
        let inward = accept(&listener)?;
        if let Some(name) = ends.congestion {
            set_tcp_congestion(&out, name)?;
            set_tcp_congestion(&inward, name)?;
        }
        out.set_write_timeout(Some(DEADLINE))?;
        let shared = Arc::new(Shared::default());
        let sender = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                ends.place();
                send(out, &shared);
            }
        });
        let receiver = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                ends.place();
                receive(inward, &shared);
            }
        });
        Ok(Self {
            lab,
            shared,
            sender: Some(sender),
            receiver: Some(receiver),
            warm_up: ends.warm_up,
            carried: Carried::default(),
        })
    }

    /// Sends for this long, after a time of warming up, and waits until all of it has arrived.
    pub fn slice(&mut self, time: Duration) -> Result<()> {
        self.shared.turn(Turn::Runs);
        std::thread::sleep(self.warm_up);
        let (work, start, before) = (self.lab.work()?, Instant::now(), self.received());
        std::thread::sleep(time);
        let (took, after) = (start.elapsed(), self.received());
        let work = work.zip(self.lab.work()?);
        self.shared.turn(Turn::Waits);
        self.settle();
        self.carried.bytes += after - before;
        self.carried
            .rates
            .push((after - before) as f64 * 8.0 / took.as_secs_f64());
        if let Some((before, after)) = work {
            *self.carried.cpu.get_or_insert_default() += after.cpu - before.cpu;
        }
        Ok(())
    }

    fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Waits until what is on its way has arrived, so that the next side has the machine.
    fn settle(&self) {
        let begun = Instant::now();
        let mut last = self.received();
        let mut since = Instant::now();
        while since.elapsed() < QUIET && begun.elapsed() < PATIENCE {
            std::thread::sleep(QUIET / 4);
            let received = self.received();
            if received != last {
                (last, since) = (received, Instant::now());
            }
        }
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.shared.turn(Turn::Ends);
        for thread in [self.sender.take(), self.receiver.take()].into_iter().flatten() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn turn(&self, turn: Turn) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
        self.runs.store(turn == Turn::Runs, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Waits for the sender's turn and tells whether there is another.
    fn next(&self) -> bool {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        while *turn == Turn::Waits {
            turn = self.changed.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        *turn == Turn::Runs
    }
}

fn send(mut stream: TcpStream, shared: &Shared) {
    let block = vec![0x5a; 256 << 10];
    while shared.next() {
        while shared.runs.load(Ordering::Relaxed) {
            // The receiver's count tells of a stream that stands still or broke.
            if stream.write_all(&block).is_err() {
                return;
            }
        }
    }
}

fn receive(mut stream: TcpStream, shared: &Shared) {
    let mut block = vec![0; 256 << 10];
    while let Ok(n @ 1..) = stream.read(&mut block) {
        shared.received.fetch_add(n as u64, Ordering::Relaxed);
    }
}

fn accept(listener: &TcpListener) -> Result<TcpStream> {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    let deadline = Timespec {
        tv_sec: DEADLINE.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    if poll(&mut fds, Some(&deadline))? == 0 {
        return Err("no connection came through within 5 s".into());
    }
    Ok(listener.accept()?.0)
}
