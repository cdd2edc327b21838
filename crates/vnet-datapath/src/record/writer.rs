//! The thread of a recording: it brings the frames of all sources in order and writes them.

use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;
use rustix::time::{ClockId, clock_gettime};
use vnet_packet::pcap::{CaptureError, Crossing, Direction};
use vnet_packet::{Layer, checksum, gso};
use vnet_sys::{PacketRing, Seen};

use super::hub::Hub;
use super::options::{Filter, Recorded};
use super::sheet::Sheet;
use super::source::{Entry, pop};
use crate::offload;
use crate::ring::FrameReceiver;

/// How long frames wait for older ones of other sources.
const WINDOW: Duration = Duration::from_millis(40);

/// How long the writer sleeps at most.
const TICK: Duration = Duration::from_millis(15);

/// Bytes that wait for older ones; beyond that they are written as they came.
const WAITING: usize = 32 << 20;

/// How long the kernel may take to hand over what came before the end.
const HANDOVER: Duration = Duration::from_secs(2);

/// Frames taken from one source before another gets its turn.
const TURN: usize = 4096;

/// A ring with what is known of it.
struct Tap {
    interface: u16,
    ring: PacketRing,
    layer: Layer,
    is_far: bool,
    seen: u64,
    arrived: u64,
    dropped: u64,
}

/// Frames that wait to be written.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    list: Vec<Place>,
}

struct Place {
    at: Crossing,
    ts_ns: u64,
    frame: Range<usize>,
    wire_len: u32,
    comment: Range<usize>,
}

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
    is_dirty: bool,
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
            is_dirty: true,
        }
    }

    /// Writes until told to stop, until all sources have ended, or until nobody reads any more.
    pub(crate) fn run(mut self) -> Result<Recorded, String> {
        let result = self.record();
        self.hub.ended.store(true, Ordering::Release);
        // What cannot be written any more was not kept.
        let unwritten = self.waiting.list.len() as u64;
        let lost = self.hub.interfaces().list.iter().map(|i| i.lost).sum::<u64>();
        match result {
            Err(error) if !is_over(&error) => Err(error.to_string()),
            result => Ok(Recorded {
                frames: self.sheet.frames,
                lost: lost + if result.is_err() { unwritten } else { 0 },
                files: self.sheet.files(),
            }),
        }
    }

    fn record(&mut self) -> Result<(), CaptureError> {
        loop {
            let is_last = self.hub.is_stopped();
            self.meet();
            let more = self.take();
            self.write(now_ns().saturating_sub(WINDOW.as_nanos() as u64))?;
            if self.is_dirty && self.flushed.elapsed() >= TICK {
                self.sheet.flush()?;
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
                self.sleep();
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
        self.had_any |= !inbox.queues.is_empty() || !inbox.rings.is_empty();
        self.is_sealed = inbox.is_sealed;
        self.queues.append(&mut inbox.queues);
        let rings = std::mem::take(&mut inbox.rings);
        drop(inbox);
        let interfaces = self.hub.interfaces();
        if self.layers.len() != interfaces.list.len() {
            self.layers = interfaces.list.iter().map(|i| i.layer).collect();
            self.is_dirty = true;
        }
        for (interface, is_far, ring) in rings {
            self.taps.push(Tap {
                interface,
                ring,
                is_far,
                layer: self.layers[usize::from(interface)],
                seen: 0,
                arrived: 0,
                dropped: 0,
            });
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
            let (interface, is_far, layer) = (tap.interface, tap.is_far, tap.layer);
            let seen = tap
                .ring
                .drain(|seen| waiting.add_seen(interface, is_far, layer, seen, filter.as_ref()));
            sheet.received(interface, seen);
            tap.seen += seen;
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

    fn sleep(&mut self) {
        let mut fds = vec![PollFd::new(&self.hub.ready, PollFlags::IN)];
        fds.extend(self.taps.iter().map(|tap| PollFd::new(&tap.ring, PollFlags::IN)));
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: TICK.as_nanos() as _,
        };
        if poll(&mut fds, Some(&tick)).is_err() {
            return;
        }
        let failed: Vec<bool> = fds[1..]
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
    }

    /// Has the taps end, and waits until the kernel has handed over what came before.
    fn end_taps(&mut self) -> Result<(), CaptureError> {
        for tap in &self.taps {
            if let Err(error) = tap.ring.quench() {
                tracing::debug!(target: "vnet::engine", %error, "a recording takes more than it was to");
            }
        }
        let deadline = Instant::now() + HANDOVER;
        let mut quiet = 0;
        while quiet < 2 && !self.taps.is_empty() {
            self.take();
            self.write(0)?;
            let mut is_whole = true;
            for tap in &mut self.taps {
                let (arrived, dropped) = tap.ring.statistics().unwrap_or_default();
                tap.arrived += arrived;
                tap.dropped += dropped;
                is_whole &= tap.seen + tap.dropped >= tap.arrived;
            }
            quiet = if is_whole { quiet + 1 } else { 0 };
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        for tap in &self.taps {
            let missing = tap.arrived.saturating_sub(tap.seen);
            if missing > 0 {
                self.hub.lose(tap.interface, missing);
            }
        }
        self.taps.clear();
        Ok(())
    }
}

impl Waiting {
    fn add_seen(
        &mut self,
        interface: u16,
        is_far: bool,
        layer: Layer,
        seen: &Seen<'_>,
        filter: Option<&Filter>,
    ) {
        let mut todo = offload::from_header(&seen.hdr);
        let from = self.bytes.len();
        let mut wire_len = seen.wire_len;
        match seen.vlan.zip(seen.bytes.split_at_checked(12)) {
            Some(((tpid, tci), (addresses, rest))) => {
                self.bytes.extend_from_slice(addresses);
                self.bytes.extend(tpid.to_be_bytes());
                self.bytes.extend(tci.to_be_bytes());
                self.bytes.extend_from_slice(rest);
                offload::shift(&mut todo, 4);
                wire_len += 4;
            }
            None => self.bytes.extend_from_slice(seen.bytes),
        }
        let at = Crossing {
            interface: interface.into(),
            direction: Some(if seen.outgoing != is_far {
                Direction::Outbound
            } else {
                Direction::Inbound
            }),
            packet: 0,
        };
        self.settle(from, at, layer, seen.stamp_ns, wire_len, &todo, "", filter);
    }

    fn add_entry(&mut self, layer: Layer, entry: &Entry<'_>, filter: Option<&Filter>) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(entry.frame);
        let at = Crossing {
            interface: entry.interface.into(),
            direction: entry.direction,
            packet: entry.packet,
        };
        let wire_len = entry.frame.len() as u32;
        self.settle(
            from,
            at,
            layer,
            entry.ts_ns,
            wire_len,
            &entry.offload,
            entry.comment,
            filter,
        );
    }

    /// Brings the frame that lies at the end into the form it is written in.
    #[expect(clippy::too_many_arguments, reason = "the fields of one record")]
    fn settle(
        &mut self,
        from: usize,
        at: Crossing,
        layer: Layer,
        ts_ns: u64,
        wire_len: u32,
        todo: &gso::Offload,
        comment: &str,
        filter: Option<&Filter>,
    ) {
        let to = self.bytes.len();
        let frame = &mut self.bytes[from..to];
        // As on the wire: a super-frame stays one frame, whose sum no receiver would see either.
        if todo.gso_type == 0 && todo.needs_csum && frame.len() as u32 == wire_len {
            checksum::complete(frame, todo.csum_start.into(), todo.csum_offset.into());
        }
        if filter.is_some_and(|filter| !filter(layer, frame)) {
            self.bytes.truncate(from);
            return;
        }
        let parts = (todo.gso_type != 0).then(|| parts(&self.bytes[from..to], layer, todo));
        self.bytes.extend_from_slice(comment.as_bytes());
        if let Some(parts) = parts {
            if !comment.is_empty() {
                self.bytes.push(b'\n');
            }
            self.bytes.extend_from_slice(parts.as_bytes());
        }
        self.list.push(Place {
            at,
            ts_ns,
            frame: from..to,
            wire_len,
            comment: to..self.bytes.len(),
        });
    }

    /// Forgets the first so many frames.
    fn keep_from(&mut self, due: usize, spare: &mut Self) {
        spare.bytes.clear();
        spare.list.clear();
        for place in &self.list[due..] {
            let from = spare.bytes.len();
            spare.bytes.extend_from_slice(&self.bytes[place.frame.clone()]);
            let to = spare.bytes.len();
            spare.bytes.extend_from_slice(&self.bytes[place.comment.clone()]);
            spare.list.push(Place {
                at: place.at,
                ts_ns: place.ts_ns,
                frame: from..to,
                wire_len: place.wire_len,
                comment: to..spare.bytes.len(),
            });
        }
        std::mem::swap(self, spare);
    }
}

/// Says what a super-frame is.
fn parts(frame: &[u8], layer: Layer, todo: &gso::Offload) -> String {
    let state = if todo.needs_csum { "unfinished" } else { "finished" };
    match gso::segments(frame, layer, todo) {
        Ok(segments) => format!(
            "offload: {} segments of {} bytes, checksum {state}",
            segments.count(),
            todo.gso_size
        ),
        Err(_) => format!("offload: segments of {} bytes, checksum {state}", todo.gso_size),
    }
}

/// Tells whether an error is the reader's going away, or its not reading any more.
fn is_over(error: &CaptureError) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut};
    matches!(error, CaptureError::Write { source } if matches!(source.kind(), BrokenPipe | ConnectionReset | TimedOut))
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
