//! A pipeline as its worker has it.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::clock::Clock;
use crate::fdb::Learned;
use crate::forward::Forwarder;
use crate::port::Port;
use crate::ring::FrameReceiver;
use crate::stage::{StageBox, StageId};
use crate::stats::PipelineStats;
use crate::worker::Mailbox;

/// Frames taken from the send queue before others get their turn.
const SENDS: usize = 64;

/// Turns of [`SENDS`] frames that empty any send queue.
const PASSES: usize = 512;

/// Wake-ups in a row that report an error and bring nothing, before a port counts as gone.
const ERRORS: u32 = 16;

/// Bits of epoll data that name a port.
const PORT_BITS: u32 = 16;

/// Something asked of a pipeline, done between two batches.
pub(crate) type Job = Box<dyn FnOnce(&mut Carried) + Send>;

/// What tells the worker that frames wait in a pipeline's send queue.
#[derive(Default)]
pub(crate) struct Bell(AtomicBool);

impl Bell {
    /// Returns whether somebody has to be told.
    pub(crate) fn ring(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    fn answer(&self) {
        // A swap sees whatever was queued before the last ring.
        self.0.swap(false, Ordering::AcqRel);
    }
}

/// A pipeline in the hands of its worker, which alone touches it.
pub(crate) struct Carried {
    pub forwarder: Forwarder,
    /// How long the worker looks for more before it sleeps.
    pub busy_poll_ns: u64,
    /// Time at work since the worker's CPU time was last shared out.
    pub busy_ns: u64,
    /// The share of the worker's CPU time.
    pub cpu_ns: u64,
    sends: FrameReceiver,
    bell: Arc<Bell>,
    mailbox: Arc<Mailbox>,
    /// Its seat at the worker, from when it has one.
    seat: usize,
    clock: Clock,
    /// Whether ports are read.
    started: bool,
    /// By port number.
    ports: Vec<Watched>,
    /// How many of them are watched.
    watched: usize,
    wakeups: u64,
    /// The last wake-up of the worker that was counted.
    woken: u64,
}

/// What the worker itself keeps of a port.
#[derive(Clone, Copy, Default)]
struct Watched {
    /// Wake-ups in a row that reported an error and brought nothing.
    errors: u32,
    /// When the port last brought a frame, on the worker's clock.
    brought_ns: u64,
    /// Whether the device may vanish without another word.
    is_watched: bool,
}

/// Splits epoll data into the seat of a pipeline and the number of its port.
pub(crate) fn seat_and_port(data: u64) -> (usize, usize) {
    (
        (data >> PORT_BITS) as usize,
        (data & ((1 << PORT_BITS) - 1)) as usize,
    )
}

impl Carried {
    pub(crate) fn new(
        mut forwarder: Forwarder,
        sends: FrameReceiver,
        bell: Arc<Bell>,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        forwarder.set_clock(mailbox.clock);
        Self {
            forwarder,
            busy_poll_ns: 0,
            busy_ns: 0,
            cpu_ns: 0,
            sends,
            bell,
            clock: mailbox.clock,
            mailbox,
            seat: 0,
            started: false,
            ports: Vec::new(),
            watched: 0,
            wakeups: 0,
            woken: 0,
        }
    }

    /// Takes note of where the pipeline sits.
    pub(crate) fn sit(&mut self, seat: usize) {
        self.seat = seat;
    }

    /// Counts a wake-up of the worker, once, in which the pipeline has its turn.
    pub(crate) fn wake(&mut self, number: u64) {
        if self.woken != number {
            self.woken = number;
            self.wakeups += 1;
        }
    }

    /// Begins to read the ports.
    pub(crate) fn begin(&mut self) -> Result<(), Errno> {
        self.started = true;
        self.forwarder.arm_timers(self.clock.now());
        for port in 0..self.forwarder.ports.len() {
            self.begin_port(port)?;
        }
        Ok(())
    }

    fn begin_port(&mut self, port: usize) -> Result<(), Errno> {
        if self.ports.len() <= port {
            self.ports.resize(port + 1, Watched::default());
        }
        let seated = &self.forwarder.ports[port];
        if let Some(fd) = seated.fd().filter(|_| !seated.gone) {
            let data = EventData::new_u64((self.seat as u64) << PORT_BITS | port as u64);
            match epoll::add(&self.mailbox.epoll, fd, data, EventFlags::IN) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.note_watched(port);
        Ok(())
    }

    /// Ends the watch of every port: descriptors may live on where the worker does, too.
    pub(crate) fn unwatch(&self) {
        for fd in self.forwarder.ports.iter().filter_map(Port::fd) {
            self.unwatch_fd(fd);
        }
    }

    fn unwatch_fd(&self, fd: impl AsFd) {
        // Before the start, or once it was gone, it is not there.
        let _ = epoll::delete(&self.mailbox.epoll, fd);
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
            self.unwatch_fd(fd);
        }
        let taken = self.forwarder.remove_port(port);
        self.note_watched(port);
        taken
    }

    /// Reads what waits at a port and tells for how long nothing has come by it.
    pub(crate) fn quiet(&mut self, port: usize) -> Duration {
        let Some(before) = self.ports.get(port).copied() else {
            return Duration::MAX;
        };
        let now = self.clock.now();
        if self.read(port, now) {
            return Duration::ZERO;
        }
        Duration::from_nanos(now.saturating_sub(before.brought_ns))
    }

    /// Carries what waits at a port, and forgets what was learned there.
    pub(crate) fn forget_learned(&mut self, port: usize) {
        if port < self.ports.len() {
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

    /// Carries on frames that were answered elsewhere.
    pub(crate) fn take_answers(&mut self, id: StageId) {
        self.forwarder.take_answers(id, self.clock.now());
    }

    /// Carries out what `send` has said yes to and what is held; the pipeline ends.
    pub(crate) fn finish(&mut self) {
        while !self.sends.is_empty() {
            self.send(self.clock.now());
        }
        self.forwarder.flush_lines(self.clock.now());
        self.unwatch();
    }

    /// Tells whether a device of this pipeline may vanish without another word.
    pub(crate) fn must_watch(&self) -> bool {
        self.watched > 0
    }

    /// Looks after devices whose end the kernel does not report, at most `most` of them from port `from` on; returns the port to
    /// go on with.
    pub(crate) fn watch(&mut self, from: usize, most: usize) -> Option<usize> {
        let mut looked = 0;
        for port in from..self.ports.len() {
            if !self.ports[port].is_watched {
                continue;
            }
            if looked == most {
                return Some(port);
            }
            looked += 1;
            if self.forwarder.ports[port].has_vanished() {
                self.forwarder.lose(port);
                self.note_watched(port);
            }
        }
        None
    }

    fn note_watched(&mut self, port: usize) {
        let Some(watched) = self.ports.get_mut(port) else {
            return;
        };
        let is_watched = self.forwarder.ports[port].must_be_watched();
        if watched.is_watched != is_watched {
            watched.is_watched = is_watched;
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
            self.ports[port].brought_ns = self.clock.now();
        }
        self.note_watched(port);
        brought
    }

    /// Answers what epoll reports of a port.
    pub(crate) fn ready(&mut self, port: usize, flags: EventFlags, now: u64) {
        if self.forwarder.ports[port].is_vacant() {
            // It was taken out by a job of this very wake-up.
            return;
        }
        let brought = self.read(port, now);
        let failing = flags.intersects(EventFlags::ERR | EventFlags::HUP) && !brought;
        let errors = &mut self.ports[port].errors;
        *errors = if failing { *errors + 1 } else { 0 };
        if *errors >= ERRORS {
            self.forwarder.lose(port);
        }
        let gone = &self.forwarder.ports[port];
        if gone.gone
            && let Some(fd) = gone.fd()
        {
            // A deleted device would report its error for ever.
            self.unwatch_fd(fd);
            self.note_watched(port);
        }
    }

    /// Does what is asked, after what was sent before; who sends for ever does not keep it waiting.
    pub(crate) fn work(&mut self, job: Job) {
        for _ in 0..PASSES {
            if self.sends.is_empty() {
                break;
            }
            self.send(self.clock.now());
        }
        job(self);
    }

    /// Carries frames that were queued to be sent; true when more wait.
    pub(crate) fn answer_bell(&mut self, now: u64) -> bool {
        self.bell.answer();
        self.send(now);
        !self.sends.is_empty() && self.bell.ring()
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

    /// The time on the worker's clock.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    pub(crate) fn stats(&mut self) -> PipelineStats {
        PipelineStats {
            wakeups: self.wakeups,
            worker_cpu_ns: self.cpu_ns,
            ..self.forwarder.stats()
        }
    }
}
