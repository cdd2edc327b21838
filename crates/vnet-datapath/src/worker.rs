//! The thread that carries pipelines: one epoll, one clock, one structure of deadlines for all of them.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use vnet_sys::thread::thread_cpu_time;

use crate::carried::{Carried, Job, seat_and_port};
use crate::clock::Clock;
use crate::deadlines::Deadlines;
use crate::forward::Scratch;

/// Epoll data of the descriptor that wakes the worker for messages.
const WAKE: u64 = u64::MAX;

/// Messages answered before the ports get their turn.
const MESSAGES: usize = 256;

/// How often silent interfaces are looked after.
const WATCH_NS: u64 = 250_000_000;

/// Silent interfaces looked after before frames get their turn: each is a system call.
const LOOKS: usize = 16;

/// Ports that one wake-up serves.
const EVENTS: usize = 64;

/// Names one pipeline for the life of the process.
pub(crate) type Serial = u64;

/// What a worker is told.
pub(crate) enum Message {
    /// Carry this pipeline from here on.
    Join(Serial, Box<Carried>),
    /// Do this with a pipeline.
    Work(Serial, Job),
    /// Frames wait in a pipeline's send queue.
    Sends(Serial),
    /// Give a pipeline back.
    Leave(Serial, SyncSender<Box<Carried>>),
    /// There is no pipeline left.
    Quit,
}

/// Where a worker is told things, and what its pipelines share.
pub(crate) struct Mailbox {
    messages: Sender<Message>,
    wake: OwnedFd,
    pub epoll: OwnedFd,
    pub clock: Clock,
}

impl Mailbox {
    /// Tells the worker; false when it has ended.
    pub(crate) fn tell(&self, message: Message) -> bool {
        let told = self.messages.send(message).is_ok();
        self.ring();
        told
    }

    fn ring(&self) {
        // A counter that is already set wakes the worker as well.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

/// Carries any number of pipelines, in turns.
pub(crate) struct Worker {
    mailbox: Arc<Mailbox>,
    messages: Receiver<Message>,
    /// By seat; `None` for one that is free.
    seats: Vec<Option<Box<Carried>>>,
    by_serial: HashMap<Serial, usize>,
    /// Those with more in their send queues than one turn carries.
    again: Vec<Serial>,
    /// When a pipeline, by seat, has frames to release.
    deadlines: Deadlines,
    scratch: Scratch,
    wakeups: u64,
    /// Its CPU time when that was last shared out.
    cpu_ns: u64,
    /// Pipelines with devices that may vanish without another word.
    watchers: usize,
    /// Seat and port at which looking after silent interfaces goes on.
    watching: Option<(usize, usize)>,
    watched_ns: u64,
    /// How long to look for more before sleeping.
    busy_poll_ns: u64,
    quits: bool,
}

impl Worker {
    pub(crate) fn new() -> Result<(Self, Arc<Mailbox>), Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let (sender, messages) = channel();
        let mailbox = Arc::new(Mailbox {
            messages: sender,
            wake,
            epoll,
            clock: Clock::start(),
        });
        let worker = Self {
            mailbox: Arc::clone(&mailbox),
            messages,
            seats: Vec::new(),
            by_serial: HashMap::new(),
            again: Vec::with_capacity(64),
            deadlines: Deadlines::default(),
            scratch: Scratch::default(),
            wakeups: 0,
            cpu_ns: 0,
            watchers: 0,
            watching: None,
            watched_ns: 0,
            busy_poll_ns: 0,
            quits: false,
        };
        Ok((worker, mailbox))
    }

    /// Carries frames until there is nothing left to carry.
    pub(crate) fn run(mut self) {
        // Linux lets a sleep end 50 us late by default, to save wake-ups.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        self.scratch = Scratch::new();
        let blank = Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        let mut events = [blank; EVENTS];
        let mut busy_until = 0;
        while !self.quits {
            let n = match self.wait(&mut events, busy_until) {
                Ok(n) => n,
                Err(Errno::INTR) => continue,
                Err(errno) => {
                    tracing::error!(target: "vnet::engine", %errno, "epoll failed; the worker's pipelines end");
                    break;
                }
            };
            self.wakeups += 1;
            let mut now = self.mailbox.clock.now();
            let mut any = n > 0;
            let mut is_told = false;
            for event in &events[..n] {
                match event.data.u64() {
                    WAKE => is_told = true,
                    data => {
                        let (seat, port) = seat_and_port(data);
                        let flags = event.flags;
                        now = self.turn(seat, now, |carried| carried.ready(port, flags, now));
                    }
                }
                any |= self.release(&mut now);
            }
            any |= self.release(&mut now);
            if is_told {
                self.read_messages(now);
                now = self.mailbox.clock.now();
            }
            if any {
                busy_until = now + self.busy_poll_ns;
            }
            self.watch(now);
        }
    }

    /// Sleeps until something is to be done; returns how many descriptors are ready.
    fn wait(&self, events: &mut [Event; EVENTS], busy_until: u64) -> Result<usize, Errno> {
        let epoll = &self.mailbox.epoll;
        let at_once = Timespec::default();
        if self.watching.is_some() {
            return epoll::wait(epoll, events, Some(&at_once));
        }
        let due = self.deadlines.first().map(|(due, _)| due);
        let watch = (self.watchers > 0).then_some(self.watched_ns + WATCH_NS);
        let next = due.into_iter().chain(watch).min();
        if next.is_none() && self.busy_poll_ns == 0 {
            return epoll::wait(epoll, events, None);
        }
        let now = self.mailbox.clock.now();
        let left = next.map(|next| next.saturating_sub(now));
        if left == Some(0) || now < busy_until {
            return epoll::wait(epoll, events, Some(&at_once));
        }
        let left = left.map(|ns| Timespec {
            tv_sec: (ns / 1_000_000_000) as i64,
            tv_nsec: (ns % 1_000_000_000) as i64,
        });
        // epoll_wait counts milliseconds, and its successor with nanoseconds is refused in some containers.
        match poll(&mut [PollFd::new(epoll, PollFlags::IN)], left.as_ref())? {
            0 => Ok(0),
            _ => epoll::wait(epoll, events, Some(&at_once)),
        }
    }

    /// Lets a pipeline work; returns the time afterwards. A panic ends that pipeline alone.
    fn turn(&mut self, seat: usize, now: u64, work: impl FnOnce(&mut Carried)) -> u64 {
        let Some(carried) = self.seats.get_mut(seat).and_then(Option::as_deref_mut) else {
            return now;
        };
        carried.wake(self.wakeups);
        self.watchers -= usize::from(carried.must_watch());
        self.scratch.keep_turns_short(self.deadlines.first().is_some());
        std::mem::swap(&mut carried.forwarder.scratch, &mut self.scratch);
        let is_alive = catch_unwind(AssertUnwindSafe(|| work(carried))).is_ok();
        if is_alive {
            std::mem::swap(&mut carried.forwarder.scratch, &mut self.scratch);
            let after = self.mailbox.clock.now();
            carried.busy_ns += after.saturating_sub(now);
            self.watchers += usize::from(carried.must_watch());
            self.deadlines.set(seat, carried.forwarder.next_due());
            return after;
        }
        // Its scratch memory goes with it: nobody knows what was left there.
        self.scratch = Scratch::new();
        let serial = self.by_serial.iter().find(|(_, other)| **other == seat);
        let serial = serial.map(|(serial, _)| *serial);
        tracing::error!(target: "vnet::engine", "a pipeline of this worker panicked and ends; the others go on");
        // It was taken off the count of those that are watched when its turn began.
        if let Some(carried) = serial.and_then(|serial| self.unseat(serial)) {
            let _ = catch_unwind(AssertUnwindSafe(|| {
                carried.unwatch();
                drop(carried);
            }));
        }
        self.mailbox.clock.now()
    }

    /// Releases what is due; true when that was anything.
    fn release(&mut self, now: &mut u64) -> bool {
        let mut any = false;
        // Each pipeline has one turn, which is bounded; what is left over is due at once.
        for _ in 0..self.by_serial.len() {
            let Some((_, seat)) = self.deadlines.first().filter(|(due, _)| due <= now) else {
                break;
            };
            let then = *now;
            *now = self.turn(seat, then, |carried| carried.forwarder.release(then));
            any = true;
        }
        any
    }

    fn unseat(&mut self, serial: Serial) -> Option<Box<Carried>> {
        let seat = self.by_serial.remove(&serial)?;
        self.deadlines.set(seat, None);
        self.seats.get_mut(seat)?.take()
    }

    fn read_messages(&mut self, mut now: u64) {
        let _ = rustix::io::read(&self.mailbox.wake, &mut [0u8; 8]);
        self.share_cpu();
        for read in 0.. {
            if read == MESSAGES {
                // There may be more.
                self.mailbox.ring();
                break;
            }
            let Ok(message) = self.messages.try_recv() else {
                break;
            };
            match message {
                Message::Join(serial, carried) => self.join(serial, carried),
                Message::Work(serial, job) => {
                    if let Some(&seat) = self.by_serial.get(&serial) {
                        now = self.turn(seat, now, |carried| carried.work(job));
                    }
                }
                Message::Sends(serial) => self.again.push(serial),
                Message::Leave(serial, to) => {
                    if let Some(&seat) = self.by_serial.get(&serial) {
                        now = self.turn(seat, now, Carried::finish);
                    }
                    self.share_cpu();
                    if let Some(carried) = self.unseat(serial) {
                        self.watchers -= usize::from(carried.must_watch());
                        // Who asked may have gone; then the devices are closed here.
                        let _ = to.send(carried);
                    }
                }
                Message::Quit => self.quits = true,
            }
        }
        let mut more = 0;
        for i in 0..self.again.len() {
            let serial = self.again[i];
            if let Some(&seat) = self.by_serial.get(&serial) {
                let mut is_left = false;
                now = self.turn(seat, now, |carried| is_left = carried.answer_bell(now));
                if is_left {
                    self.again[more] = serial;
                    more += 1;
                }
            }
        }
        self.again.truncate(more);
        if more > 0 {
            self.mailbox.ring();
        }
        let carried = self.seats.iter().flatten();
        self.busy_poll_ns = carried.map(|c| c.busy_poll_ns).max().unwrap_or(0);
    }

    fn join(&mut self, serial: Serial, mut carried: Box<Carried>) {
        self.share_cpu();
        let seat = self.seats.iter().position(Option::is_none).unwrap_or_else(|| {
            self.seats.push(None);
            self.seats.len() - 1
        });
        carried.sit(seat);
        self.by_serial.insert(serial, seat);
        self.seats[seat] = Some(carried);
    }

    /// Adds the CPU time used since the last call to that of the pipelines, in proportion to their time at work.
    fn share_cpu(&mut self) {
        let cpu_ns = u64::try_from(thread_cpu_time().as_nanos()).unwrap_or(u64::MAX);
        let used = u128::from(cpu_ns.saturating_sub(std::mem::replace(&mut self.cpu_ns, cpu_ns)));
        let busy: u128 = self.seats.iter().flatten().map(|c| u128::from(c.busy_ns)).sum();
        let among = self.by_serial.len() as u128;
        for carried in self.seats.iter_mut().flatten() {
            let own = u128::from(std::mem::take(&mut carried.busy_ns));
            let share = (used * own).checked_div(busy).unwrap_or(used / among.max(1));
            carried.cpu_ns += share as u64;
        }
    }

    /// Looks after silent interfaces from time to time, a few in one go.
    fn watch(&mut self, now: u64) {
        if self.watching.is_none() && self.watchers > 0 && now.saturating_sub(self.watched_ns) >= WATCH_NS {
            self.watching = Some((0, 0));
        }
        let Some((mut seat, from)) = self.watching else {
            return;
        };
        while seat < self.seats.len() && !self.seats[seat].as_ref().is_some_and(|c| c.must_watch()) {
            seat += 1;
        }
        if seat == self.seats.len() {
            self.watching = None;
            self.watched_ns = now;
            return;
        }
        let mut next = None;
        self.turn(seat, now, |carried| next = carried.watch(from, LOOKS));
        self.watching = Some(next.map_or((seat + 1, 0), |port| (seat, port)));
    }
}
