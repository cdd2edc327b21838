//! The thread of a recording: it brings the frames of all sources in order and writes them.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;
use rustix::time::{ClockId, clock_gettime};
use vnet_packet::Layer;
use vnet_packet::pcap::CaptureError;

use super::hub::Hub;
use super::options::{Filter, Recorded};
use super::recorder::THREADS;
use super::sheet::Sheet;
use super::source::pop;
use super::tap::Tap;
use super::waiting::Waiting;
use crate::ring::FrameReceiver;

/// How long the writer sleeps at most.
const TICK: Duration = Duration::from_millis(15);

/// The same where there is nothing to look after.
const IDLE: Duration = Duration::from_millis(100);

/// The same where somebody reads along and the engine, which wakes nobody, has something to tell.
const LIVE_TICK: Duration = Duration::from_millis(4);

/// Bytes that wait for older ones; beyond that they are written as they came.
const WAITING: usize = 32 << 20;

/// How long the kernel may take to hand over what came before the end.
const HANDOVER: Duration = Duration::from_secs(2);

/// The same where a single tap ends and nobody waits: a few times as long as a block waits for frames to fill it.
const LEAVING: Duration = Duration::from_millis(100);

/// How often the kernel is asked what it had no room for.
const LOOK: Duration = Duration::from_secs(1);

/// Frames taken from one source before another gets its turn.
const TURN: usize = 4096;

pub(crate) struct Scribe {
    hub: Arc<Hub>,
    sheet: Sheet,
    filter: Option<Filter>,
    queues: Vec<FrameReceiver>,
    taps: Vec<Tap>,
    layers: Vec<Layer>,
    waiting: Waiting,
    spare: Waiting,
    scratch: Vec<u8>,
    is_sealed: bool,
    had_any: bool,
    flushed: Instant,
    looked: Instant,
    /// Frames that had been written when that was.
    reached: u64,
    is_dirty: bool,
}

impl Drop for Scribe {
    fn drop(&mut self) {
        close(std::mem::take(&mut self.taps));
    }
}

/// Closes sockets, many at a time: the kernel waits for all processors to let go of each.
fn close(taps: Vec<Tap>) {
    let share = taps.len().div_ceil(THREADS).max(1);
    let mut taps = taps.into_iter();
    std::thread::scope(|scope| {
        while taps.len() > 0 {
            let some: Vec<Tap> = taps.by_ref().take(share).collect();
            // Where there can be no thread, what was to be its work is dropped here.
            let _ = std::thread::Builder::new().spawn_scoped(scope, move || drop(some));
        }
    });
}

impl Scribe {
    pub(crate) fn new(hub: Arc<Hub>, sheet: Sheet, filter: Option<Filter>) -> Self {
        Self {
            hub,
            sheet,
            filter,
            queues: Vec::new(),
            taps: Vec::new(),
            layers: Vec::new(),
            waiting: Waiting::default(),
            spare: Waiting::default(),
            scratch: Vec::new(),
            is_sealed: false,
            had_any: false,
            flushed: Instant::now(),
            looked: Instant::now(),
            reached: 0,
            is_dirty: true,
        }
    }

    /// Writes until told to stop, until all sources have ended, or until nobody reads any more.
    pub(crate) fn run(mut self) -> Result<Recorded, String> {
        let result = self.record();
        self.hub.ended.store(true, Ordering::Release);
        let (mut frames, mut unwritten) = (self.sheet.frames, 0);
        if let Err(error) = &result {
            if !is_over(error) {
                return Err(error.to_string());
            }
            // What cannot be written any more was not kept, nor what a stalled reader has left in between.
            frames = self.reached;
            unwritten = self.sheet.frames - self.reached + self.waiting.list.len() as u64;
            if is_stalled(error) {
                unwritten += self.unseen();
            }
        }
        let lost = self.hub.interfaces().list.iter().map(|i| i.lost).sum::<u64>();
        Ok(Recorded {
            frames,
            lost: lost + unwritten,
            files: self.sheet.files(),
        })
    }

    /// How many frames wait in the sources, or found no room there.
    fn unseen(&mut self) -> u64 {
        let mut unseen = 0;
        for tap in &mut self.taps {
            tap.look(&self.hub);
            unseen += tap.missing();
        }
        for queue in &mut self.queues {
            while pop(queue, &mut self.scratch, |_| ()) {
                unseen += 1;
            }
        }
        unseen
    }

    fn record(&mut self) -> Result<(), CaptureError> {
        loop {
            let is_last = self.hub.is_stopped();
            self.meet();
            let more = self.take();
            self.look();
            self.write(now_ns().saturating_sub(self.window().as_nanos() as u64))?;
            // While there is more to take, a reader gets it in large pieces.
            let is_due = match self.hub.is_live {
                true => !more || self.flushed.elapsed() >= LIVE_TICK,
                false => self.flushed.elapsed() >= TICK,
            };
            if self.is_dirty && is_due {
                self.sheet.flush()?;
                self.reached = self.sheet.frames;
                (self.flushed, self.is_dirty) = (Instant::now(), false);
            }
            if is_last {
                break;
            }
            let are_over = self.queues.is_empty() && self.taps.is_empty();
            if self.is_sealed && self.had_any && are_over {
                break;
            }
            if !more {
                self.sleep()?;
            }
        }
        self.end_taps()?;
        while self.take() {
            self.write(0)?;
        }
        self.write(u64::MAX)?;
        self.sheet.finish()
    }

    /// Takes in sources that have come.
    fn meet(&mut self) {
        let mut inbox = self.hub.inbox();
        self.had_any |= !inbox.queues.is_empty() || !inbox.taps.is_empty();
        self.is_sealed = inbox.is_sealed;
        self.queues.append(&mut inbox.queues);
        self.taps.append(&mut inbox.taps);
        let ended = std::mem::take(&mut inbox.ended_taps);
        drop(inbox);
        let ended = self
            .taps
            .iter_mut()
            .filter(|tap| tap.ends.is_none() && ended.contains(&tap.key));
        ended.for_each(Tap::end);
        let interfaces = self.hub.interfaces();
        if self.layers.len() != interfaces.list.len() {
            self.layers = interfaces.list.iter().map(|i| i.layer).collect();
            self.is_dirty = true;
        }
    }

    /// Asks the kernel now and then what it had no room for, and closes taps that have ended.
    fn look(&mut self) {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.taps.iter_mut().for_each(|tap| tap.look(&self.hub));
        }
        let has_left = |tap: &mut Tap| tap.ends.is_some_and(|since| since.elapsed() > LEAVING);
        let mut left: Vec<Tap> = self.taps.extract_if(.., has_left).collect();
        left.iter_mut().for_each(|tap| tap.settle(&self.hub));
        close(left);
    }

    /// How long frames wait for older ones of other sources.
    fn window(&self) -> Duration {
        match self.taps.len() + self.queues.len() {
            // One source is in order.
            0 | 1 if self.hub.is_live => Duration::ZERO,
            _ => self.hub.window(),
        }
    }

    /// Takes what the sources have; true when some may have more.
    fn take(&mut self) -> bool {
        let mut more = false;
        let Self {
            taps,
            waiting,
            sheet,
            filter,
            queues,
            scratch,
            layers,
            hub,
            ..
        } = self;
        for tap in taps.iter_mut() {
            let seen = tap.drain(hub, |interface, layer, is_outbound, seen| {
                sheet.received(interface, 1);
                waiting.add_seen(interface, layer, is_outbound, seen, filter.as_ref());
            });
            more |= seen > 0;
        }
        queues.retain_mut(|queue| {
            // Asked before the queue is emptied: what was queued before the source ended is found.
            let is_over = queue.is_abandoned();
            for _ in 0..TURN {
                let took = pop(queue, scratch, |entry| {
                    // One that was declared since the last look.
                    if layers.len() <= usize::from(entry.interface) {
                        *layers = hub.interfaces().list.iter().map(|i| i.layer).collect();
                    }
                    sheet.received(entry.interface, 1);
                    waiting.add_entry(layers[usize::from(entry.interface)], entry, filter.as_ref());
                });
                if !took {
                    return !is_over;
                }
            }
            more = true;
            true
        });
        more
    }

    /// Writes what is older than the horizon, in order.
    fn write(&mut self, horizon_ns: u64) -> Result<(), CaptureError> {
        if self.waiting.list.is_empty() {
            return Ok(());
        }
        let horizon_ns = if self.waiting.bytes.len() > WAITING {
            u64::MAX
        } else {
            horizon_ns
        };
        self.waiting.list.sort_by_key(|place| place.ts_ns);
        let due = self
            .waiting
            .list
            .partition_point(|place| place.ts_ns <= horizon_ns);
        if due == 0 {
            return Ok(());
        }
        self.is_dirty = true;
        for (i, place) in self.waiting.list[..due].iter().enumerate() {
            let bytes = &self.waiting.bytes;
            let comment = std::str::from_utf8(&bytes[place.comment.clone()]).unwrap_or_default();
            let frame = &bytes[place.frame.clone()];
            if let Err(error) = self
                .sheet
                .write(place.at, place.ts_ns, frame, place.wire_len, comment)
            {
                self.waiting.list.drain(..i);
                return Err(error);
            }
        }
        self.waiting.keep_from(due, &mut self.spare);
        Ok(())
    }

    /// Sleeps until there is something to do; an error where the reader of a stream has gone.
    fn sleep(&mut self) -> Result<(), CaptureError> {
        let mut fds = vec![PollFd::new(&self.hub.ready, PollFlags::IN)];
        fds.extend(self.taps.iter().map(|tap| PollFd::new(&tap.ring, PollFlags::IN)));
        let taps = fds.len();
        // It is asked for nothing but whether there is a reader.
        fds.extend(
            self.sheet
                .stream()
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::empty())),
        );
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: self.nap().as_nanos() as _,
        };
        if poll(&mut fds, Some(&tick)).is_err() {
            return Ok(());
        }
        let is_left = fds[taps..]
            .iter()
            .any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP));
        let failed: Vec<bool> = fds[1..taps]
            .iter()
            .map(|fd| fd.revents().contains(PollFlags::ERR))
            .collect();
        for (tap, failed) in self.taps.iter().zip(failed) {
            if failed {
                // An interface that goes down says so once; it may come up again.
                let _ = sockopt::socket_error(tap.ring.as_fd());
            }
        }
        let _ = rustix::io::read(&self.hub.ready, &mut [0_u8; 8]);
        if is_left {
            return Err(CaptureError::Write {
                source: std::io::ErrorKind::BrokenPipe.into(),
            });
        }
        Ok(())
    }

    /// How long there is nothing to do but for what the kernel tells of.
    fn nap(&self) -> Duration {
        // What the kernel sees it tells of; only the engine's queues are to be looked at.
        if self.queues.is_empty() && self.waiting.list.is_empty() && !self.is_dirty {
            return IDLE;
        }
        if !self.hub.is_live {
            return TICK;
        }
        let tick = if self.queues.is_empty() { TICK } else { LIVE_TICK };
        let Some(oldest) = self.waiting.list.iter().map(|place| place.ts_ns).min() else {
            return tick;
        };
        let due = oldest + self.window().as_nanos() as u64;
        tick.min(Duration::from_nanos(due.saturating_sub(now_ns())))
    }

    /// Has the taps end, and waits until the kernel has handed over what came before.
    fn end_taps(&mut self) -> Result<(), CaptureError> {
        self.taps.iter_mut().for_each(Tap::end);
        let deadline = Instant::now() + HANDOVER;
        let mut quiet = 0;
        while quiet < 2 && !self.taps.is_empty() {
            self.take();
            self.write(0)?;
            self.taps.iter_mut().for_each(|tap| tap.look(&self.hub));
            let is_whole = self.taps.iter().all(|tap| tap.missing() == 0);
            quiet = if is_whole { quiet + 1 } else { 0 };
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.taps.iter_mut().for_each(|tap| tap.settle(&self.hub));
        close(std::mem::take(&mut self.taps));
        Ok(())
    }
}

/// Tells whether an error is the reader's going away, or its not reading any more.
fn is_over(error: &CaptureError) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut};
    matches!(error, CaptureError::Write { source } if matches!(source.kind(), BrokenPipe | ConnectionReset | TimedOut))
}

/// Tells whether it is the reader's not reading.
fn is_stalled(error: &CaptureError) -> bool {
    matches!(error, CaptureError::Write { source } if source.kind() == std::io::ErrorKind::TimedOut)
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
