use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use vnet_sys::thread::thread_cpu_time;

use crate::clock::Clock;
use crate::fdb::Learned;
use crate::forward::Forwarder;
use crate::port::Port;
use crate::ring::FrameReceiver;
use crate::stage::StageBox;
use crate::stats::PipelineStats;

/// Epoll data of the descriptor that wakes the worker for jobs and frames to send.
const WAKE: u64 = u64::MAX;

/// Frames taken from the send queue before the ports get their turn.
const SENDS: usize = 64;

/// Turns of [`SENDS`] frames that empty any send queue.
const PASSES: usize = 512;

/// Wake-ups in a row that report an error and bring nothing, before a port counts as gone.
const ERRORS: u32 = 16;

/// How often silent interfaces are looked after.
const WATCH: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: WATCH_NS as i64,
};
const WATCH_NS: u64 = 250_000_000;

/// Ports that one wake-up serves.
const EVENTS: usize = 64;

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
    /// Whether ports are read.
    started: bool,
    /// By port number.
    seats: Vec<Seat>,
    /// How many of them are watched.
    watched: usize,
    watched_ns: u64,
    wakeups: u64,
}

/// What the worker itself keeps of a port.
#[derive(Clone, Copy, Default)]
struct Seat {
    /// Wake-ups in a row that reported an error and brought nothing.
    errors: u32,
    /// When the port last brought a frame, on the worker's clock.
    brought_ns: u64,
    /// Whether the device may vanish without another word.
    is_watched: bool,
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
            started: false,
            seats: Vec::new(),
            watched: 0,
            watched_ns: 0,
            wakeups: 0,
        })
    }

    /// Begins to read the ports.
    pub(crate) fn begin(&mut self) -> Result<(), Errno> {
        self.started = true;
        for port in 0..self.forwarder.ports.len() {
            self.begin_port(port)?;
        }
        Ok(())
    }

    fn begin_port(&mut self, port: usize) -> Result<(), Errno> {
        if self.seats.len() <= port {
            self.seats.resize(port + 1, Seat::default());
        }
        let seated = &self.forwarder.ports[port];
        if let Some(fd) = seated.fd().filter(|_| !seated.gone) {
            match epoll::add(&self.epoll, fd, EventData::new_u64(port as u64), EventFlags::IN) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.note_watched(port);
        Ok(())
    }

    /// Adds a port to a switch and reads it at once where the others are read.
    pub(crate) fn add_port(&mut self, port: Port) -> Result<usize, Errno> {
        let number = self.forwarder.add_port(port);
        if self.started
            && let Err(errno) = self.begin_port(number)
        {
            self.remove_port(number);
            return Err(errno);
        }
        Ok(number)
    }

    /// Takes a port out of a switch.
    #[expect(clippy::vec_box, reason = "stages are large and move by pointer")]
    pub(crate) fn remove_port(&mut self, port: usize) -> (Port, Vec<Box<StageBox>>) {
        if let Some(fd) = self.forwarder.ports[port].fd() {
            // Before the start, or once it was gone, it is not there.
            let _ = epoll::delete(&self.epoll, fd);
        }
        let taken = self.forwarder.remove_port(port);
        self.note_watched(port);
        taken
    }

    /// Reads what waits at a port and tells for how long nothing has come by it.
    pub(crate) fn quiet(&mut self, port: usize) -> Duration {
        let Some(seat) = self.seats.get(port).copied() else {
            return Duration::MAX;
        };
        let now = self.clock.now();
        if self.read(port, now) {
            return Duration::ZERO;
        }
        Duration::from_nanos(now.saturating_sub(seat.brought_ns))
    }

    /// Carries what waits at a port, and forgets what was learned there.
    pub(crate) fn forget_learned(&mut self, port: usize) {
        if port < self.seats.len() {
            let now = self.clock.now();
            self.read(port, now);
        }
        self.forwarder.forget_learned(port);
    }

    /// Learns entries of a forwarding table as of now.
    pub(crate) fn seed_fdb(&mut self, entries: &[([u8; 6], Option<u16>, usize)]) {
        let now = self.clock.now();
        self.forwarder.seed_fdb(entries, now);
    }

    pub(crate) fn learned(&self) -> Vec<Learned> {
        self.forwarder.learned(self.clock.now())
    }

    /// Carries frames until told to stop, then gives everything back.
    pub(crate) fn run(mut self) -> (Forwarder, PipelineStats) {
        let blank = Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        let mut events = [blank; EVENTS];
        while !self.stopping {
            let wait = (self.watched > 0).then_some(WATCH);
            let n = match epoll::wait(&self.epoll, &mut events, wait.as_ref()) {
                Ok(n) => n,
                Err(Errno::INTR) => continue,
                Err(errno) => {
                    tracing::error!(target: "vnet::engine", %errno, "epoll_wait failed; the pipeline ends");
                    break;
                }
            };
            self.wakeups += 1;
            let now = self.clock.now();
            if self.watched > 0 && (n == 0 || now.saturating_sub(self.watched_ns) > WATCH_NS) {
                self.watched_ns = now;
                self.watch();
            }
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

    /// Looks after devices whose end the kernel does not report.
    fn watch(&mut self) {
        for port in 0..self.seats.len() {
            if self.seats[port].is_watched && self.forwarder.ports[port].has_vanished() {
                self.forwarder.lose(port);
                self.note_watched(port);
            }
        }
    }

    fn note_watched(&mut self, port: usize) {
        let Some(seat) = self.seats.get_mut(port) else {
            return;
        };
        let is_watched = self.forwarder.ports[port].must_be_watched();
        if seat.is_watched != is_watched {
            seat.is_watched = is_watched;
            if is_watched {
                self.watched += 1;
            } else {
                self.watched -= 1;
            }
        }
    }

    /// Carries what waits at a port; true when that was anything.
    fn read(&mut self, port: usize, now: u64) -> bool {
        let before = self.forwarder.ports[port].counters.rx_packets;
        self.forwarder.pump(port, now);
        let brought = self.forwarder.ports[port].counters.rx_packets != before;
        if brought {
            self.seats[port].brought_ns = self.clock.now();
        }
        self.note_watched(port);
        brought
    }

    fn ready(&mut self, port: usize, flags: EventFlags, now: u64) {
        if self.forwarder.ports[port].is_vacant() {
            // It was taken out by a job of this very wake-up.
            return;
        }
        let brought = self.read(port, now);
        let failing = flags.intersects(EventFlags::ERR | EventFlags::HUP) && !brought;
        let errors = &mut self.seats[port].errors;
        *errors = if failing { *errors + 1 } else { 0 };
        if *errors >= ERRORS {
            self.forwarder.lose(port);
        }
        let gone = &self.forwarder.ports[port];
        if gone.gone
            && let Some(fd) = gone.fd()
        {
            // A deleted device would report its error for ever.
            let _ = epoll::delete(&self.epoll, fd);
            self.note_watched(port);
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
        let mut any = false;
        for _ in 0..SENDS {
            let forwarder = &mut self.forwarder;
            let sent = self.sends.pop_with(|tag, len, read| {
                forwarder.send(usize::from(tag.port), len, read, now);
            });
            if sent.is_none() {
                break;
            }
            any = true;
        }
        if any {
            self.forwarder.flush_sent();
        }
    }

    pub(crate) fn stats(&mut self) -> PipelineStats {
        PipelineStats {
            wakeups: self.wakeups,
            worker_cpu_ns: u64::try_from(thread_cpu_time().as_nanos()).unwrap_or(u64::MAX),
            ..self.forwarder.stats()
        }
    }
}
