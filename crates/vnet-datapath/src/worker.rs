use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use vnet_sys::thread::thread_cpu_time;

use crate::clock::Clock;
use crate::forward::Forwarder;
use crate::port::Port;
use crate::ring::FrameReceiver;
use crate::stats::PipelineStats;

/// Epoll data of the descriptor that wakes the worker for jobs and frames to send.
const WAKE: u64 = u64::MAX;

/// Frames taken from the send queue before the ports get their turn.
const SENDS: usize = 64;

/// Turns of [`SENDS`] frames that empty any send queue.
const PASSES: usize = 512;

/// Wake-ups in a row that report an error and bring nothing, before a port counts as gone.
const ERRORS: u32 = 16;

/// How often a silent interface is looked after.
const WATCH: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};

/// Something asked of the worker, done between two batches.
pub(crate) type Job = Box<dyn FnOnce(&mut Worker) + Send>;

/// Owns a pipeline entirely; runs on a thread of its own.
pub(crate) struct Worker {
    pub forwarder: Forwarder,
    pub stopping: bool,
    jobs: Receiver<Job>,
    sends: FrameReceiver,
    wake: Arc<OwnedFd>,
    epoll: OwnedFd,
    clock: Clock,
    errors: [u32; 2],
    wakeups: u64,
}

impl Worker {
    pub(crate) fn new(
        forwarder: Forwarder,
        jobs: Receiver<Job>,
        sends: FrameReceiver,
        wake: Arc<OwnedFd>,
    ) -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self {
            forwarder,
            stopping: false,
            jobs,
            sends,
            wake,
            epoll,
            clock: Clock::start(),
            errors: [0; 2],
            wakeups: 0,
        })
    }

    /// Begins to read the ports.
    pub(crate) fn begin(&mut self) -> Result<(), Errno> {
        for (index, port) in self.forwarder.ports.iter().enumerate() {
            if let Some(fd) = port.fd().filter(|_| !port.gone) {
                match epoll::add(&self.epoll, fd, EventData::new_u64(index as u64), EventFlags::IN) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(())
    }

    /// Carries frames until told to stop, then gives everything back.
    pub(crate) fn run(mut self) -> (Forwarder, PipelineStats) {
        let blank = Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        let mut events = [blank; 4];
        while !self.stopping {
            let wait = self.watches().then_some(WATCH);
            let n = match epoll::wait(&self.epoll, &mut events, wait.as_ref()) {
                Ok(n) => n,
                Err(Errno::INTR) => continue,
                Err(errno) => {
                    tracing::error!(target: "vnet::engine", %errno, "epoll_wait failed; the pipeline ends");
                    break;
                }
            };
            self.wakeups += 1;
            if n == 0 {
                self.watch();
            }
            let now = self.clock.now();
            for event in &events[..n] {
                match event.data.u64() {
                    WAKE => self.woken(now),
                    port => self.ready(port as usize, event.flags, now),
                }
            }
        }
        // `send` has said yes to what is queued.
        while !self.sends.is_empty() {
            let now = self.clock.now();
            self.send(now);
        }
        let stats = self.stats();
        (self.forwarder, stats)
    }

    fn watches(&self) -> bool {
        self.forwarder.ports.iter().any(Port::must_be_watched)
    }

    /// Looks after devices whose end the kernel does not report.
    fn watch(&mut self) {
        for port in 0..self.forwarder.ports.len() {
            let watched = &self.forwarder.ports[port];
            if watched.must_be_watched() && watched.has_vanished() {
                self.forwarder.lose(port);
            }
        }
    }

    fn ready(&mut self, port: usize, flags: EventFlags, now: u64) {
        let before = self.forwarder.ports[port].counters.rx_packets;
        self.forwarder.pump(port, now);
        let failing = flags.intersects(EventFlags::ERR | EventFlags::HUP)
            && self.forwarder.ports[port].counters.rx_packets == before;
        self.errors[port] = if failing { self.errors[port] + 1 } else { 0 };
        if self.errors[port] >= ERRORS {
            self.forwarder.lose(port);
        }
        let gone = &self.forwarder.ports[port];
        if gone.gone
            && let Some(fd) = gone.fd()
        {
            // A deleted device would report its error for ever.
            let _ = epoll::delete(&self.epoll, fd);
        }
    }

    fn woken(&mut self, now: u64) {
        let _ = rustix::io::read(&*self.wake, &mut [0u8; 8]);
        while let Ok(job) = self.jobs.try_recv() {
            // What was sent before the job was asked for comes before it; who sends for ever does not keep it waiting.
            for _ in 0..PASSES {
                if self.sends.is_empty() {
                    break;
                }
                self.send(now);
            }
            job(self);
        }
        self.send(now);
        if !self.sends.is_empty() {
            let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        }
    }

    /// Carries frames that `Pipeline::send` queued, and as many at most as a read brings.
    fn send(&mut self, now: u64) {
        let mut sent = [false; 2];
        for _ in 0..SENDS {
            let forwarder = &mut self.forwarder;
            let Some(port) = self.sends.pop_with(|tag, len, read| {
                let port = usize::from(tag.port);
                forwarder.send(port, len, read, now);
                port
            }) else {
                break;
            };
            sent[port] = true;
        }
        for (port, sent) in sent.into_iter().enumerate() {
            if sent {
                self.forwarder.flush_sent(port);
            }
        }
    }

    pub(crate) fn stats(&mut self) -> PipelineStats {
        let ledger = self.forwarder.ledger.clone();
        PipelineStats {
            ports: self.forwarder.ports.iter_mut().map(Port::stats).collect(),
            stages: self.forwarder.all_stats(),
            sent_in: ledger.sent_in,
            appended: ledger.appended,
            segmented: ledger.segmented,
            stage_drops: ledger.stage_drops,
            delivered: ledger.delivered,
            drops: ledger.drops.named(),
            wakeups: self.wakeups,
            batches: ledger.batches,
            worker_cpu_ns: u64::try_from(thread_cpu_time().as_nanos()).unwrap_or(u64::MAX),
        }
    }
}
