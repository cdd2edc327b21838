//! Lines on the paths, and the frames that wait in them.

use vnet_impair::{Line, LineStats, Outcome, Ready, Size};

use super::delayed::Delayed;
use super::{Forwarder, Parcel, mark};
use crate::cause::Cause;
use crate::deadlines::Deadlines;
use crate::frame::{Accepts, FRAME_MAX, HEADROOM, Meta};
use crate::path::{End, Shape, crossing, reaching};
use crate::record::{Dropper, Stay};
use crate::store::{Block, Store};

/// Lines and delayed frames that one turn releases.
const RELEASES: usize = 64;

/// Number of the delayed frames among the deadlines; a line's is its index behind it.
const DELAYED: usize = 0;

/// One direction of the link at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineAt {
    /// What comes from the device of this port: on a wire towards the other port, on a switch towards the switch.
    From(usize),
    /// What a switch sends to this port.
    To(usize),
}

/// A frame in memory of its own.
pub(crate) struct Held {
    pub(super) block: Block,
    pub(super) len: usize,
    pub(super) parcel: Parcel,
    /// What a recording keeps of it meanwhile.
    pub(super) stay: Option<Box<Stay>>,
}

impl Held {
    pub(super) fn new(block: Block, len: usize, parcel: Parcel, stay: Option<Box<Stay>>) -> Self {
        Self {
            block,
            len,
            parcel,
            stay,
        }
    }

    /// Returns its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.block[HEADROOM..HEADROOM + self.len]
    }

    /// Gives it other bytes, and its memory back.
    pub(super) fn replace(&mut self, block: Block, len: usize, lines: &mut Lines) {
        lines.store.give(std::mem::replace(&mut self.block, block));
        self.len = len;
    }
}

/// A line in its place.
struct Seated {
    line: Line<Held>,
    key: [u8; 32],
    at: LineAt,
    /// Where frames go on, from the second hop: the first is the line itself.
    onward: usize,
    accepts: Accepts,
    /// Whether it wants to know who knows ECN.
    marks: bool,
    /// When the last frame entered.
    entered_ns: u64,
}

/// Whatever keeps frames for longer than a turn.
#[derive(Default)]
pub(crate) struct Lines {
    seats: Vec<Option<Box<Seated>>>,
    delayed: Delayed,
    due: Deadlines,
    store: Store,
    /// Frames just let go; empty between two turns.
    outcomes: Vec<Outcome<Held>>,
    /// The frames' own timestamps are the clock.
    pub is_virtual: bool,
    is_catching_up: bool,
}

impl Parcel {
    /// When the frame came to where it is, had the engine lost no time.
    fn came_ns(&self) -> u64 {
        match self.meta.arrived_ns {
            0 => self.ts_ns,
            at => at,
        }
    }
}

impl Seated {
    fn new(at: LineAt, key: [u8; 32], ready: Ready, onward: usize, now: u64) -> Box<Self> {
        Box::new(Self {
            accepts: accepts(&ready),
            marks: ready.marks(),
            line: Line::new(key, ready, now),
            key,
            at,
            onward,
            entered_ns: 0,
        })
    }

    fn set(&mut self, ready: Ready, now: u64) {
        self.accepts = accepts(&ready);
        self.marks = ready.marks();
        self.line.set(ready, now);
    }
}

/// A super-frame would be lost, or delayed, as one; and a receiver takes an unfinished sum for a right one.
fn accepts(ready: &Ready) -> Accepts {
    Accepts {
        gso: false,
        csum: !ready.corrupts(),
    }
}

impl Lines {
    /// What a line takes as it is.
    pub(super) fn accepts(&self, line: usize) -> Accepts {
        self.seats[line]
            .as_ref()
            .map_or(Accepts::ALL, |seated| seated.accepts)
    }

    /// Tells whether there is any.
    pub(super) fn is_any(&self) -> bool {
        self.seats.iter().any(Option::is_some)
    }

    /// Frames that wait.
    pub(super) fn held(&self) -> usize {
        let lines = self.seats.iter().flatten();
        lines.map(|seated| seated.line.held()).sum::<usize>() + self.delayed.len()
    }

    /// Returns memory for a frame of `len` bytes behind the headroom; `None` when this process holds too much.
    pub(super) fn take_block(&mut self, len: usize) -> Option<Block> {
        self.store.take(len)
    }

    /// Takes the memory of a frame back.
    pub(super) fn give_block(&mut self, held: Held) {
        self.store.give(held.block);
    }

    fn note_due(&mut self, number: usize) {
        let next = match number.checked_sub(1) {
            None => self.delayed.first_due(),
            Some(line) => self.seats[line].as_ref().and_then(|seated| seated.line.next()),
        };
        self.due.set(number, next);
    }
}

impl Forwarder {
    /// Puts a line at a place, changes the one there, or, without an impairment, takes it off after what it holds.
    ///
    /// Another key makes it another line.
    pub(crate) fn set_line(&mut self, at: LineAt, key: [u8; 32], ready: Option<Ready>, now: u64) {
        self.now = now;
        let (port, onward) = match at {
            LineAt::From(port) => (port, crossing(port)),
            LineAt::To(port) => (port, reaching(port)),
        };
        if let (Some(index), Some(ready)) = (*self.place_of(at), &ready)
            && let Some(seated) = self.lines.seats[index].as_mut().filter(|s| s.key == key)
        {
            seated.set(ready.clone(), now);
            self.lines.note_due(index + 1);
        } else {
            self.take_line(at);
            if let Some(ready) = ready {
                let free = self.lines.seats.iter().position(Option::is_none);
                let index = free.unwrap_or(self.lines.seats.len());
                let seated = Some(Seated::new(at, key, ready, onward, now));
                if free.is_some() {
                    self.lines.seats[index] = seated;
                } else {
                    self.lines.seats.push(seated);
                }
                *self.place_of(at) = Some(index);
            }
        }
        match self.places.shape {
            Shape::Switch => self.rebuild_port(port),
            Shape::Lone(_) | Shape::Wire => self.rebuild(),
        }
        self.stamp_arrivals();
    }

    /// Has every port tell when its frames came, while there is a line.
    pub(super) fn stamp_arrivals(&mut self) {
        let clock = self.clock.filter(|_| self.lines.is_any());
        for port in &mut self.ports {
            port.stamp_arrivals(clock);
        }
    }

    /// Lets everything out of a line and takes it off; its paths still name it.
    pub(super) fn take_line(&mut self, at: LineAt) {
        if let Some(index) = *self.place_of(at) {
            self.flush_line(index);
            *self.place_of(at) = None;
            self.lines.seats[index] = None;
            self.lines.due.set(index + 1, None);
        }
    }

    fn place_of(&mut self, at: LineAt) -> &mut Option<usize> {
        match at {
            LineAt::From(port) => &mut self.places.ports[port].from,
            LineAt::To(port) => &mut self.places.ports[port].to,
        }
    }

    pub(crate) fn line_stats(&mut self, at: LineAt, now: u64) -> Option<LineStats> {
        let index = (*self.place_of(at))?;
        let seated = self.lines.seats[index].as_mut()?;
        Some(seated.line.stats(now))
    }

    /// Says, for a capture of a port, what the lines at it did so far; `None` where there is none.
    pub(crate) fn line_note(&mut self, port: usize, now: u64) -> Option<String> {
        let out = match self.places.shape {
            Shape::Switch => Some(LineAt::To(port)),
            Shape::Wire => Some(LineAt::From(1 - port)),
            Shape::Lone(_) => None,
        };
        let lines = [("in", Some(LineAt::From(port))), ("out", out)];
        let notes: Vec<String> = lines
            .into_iter()
            .filter_map(|(way, at)| Some(format!("{way}: {}", self.line_stats(at?, now)?)))
            .collect();
        (!notes.is_empty()).then(|| notes.join("\n"))
    }

    /// Has a frame enter a line, complete and in wire size.
    pub(super) fn enter(&mut self, line: usize, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        self.catch_up(&parcel);
        let frame = &bytes[off..off + len];
        let todo = parcel.meta.offload;
        if self.lines.accepts(line).takes(&todo) {
            return self.offer(line, len, parcel, |to| {
                to.copy_from_slice(frame);
                Some(len)
            });
        }
        self.finish(frame, parcel, |this, len, parcel, fill| {
            this.offer(line, len, parcel, fill);
        });
    }

    /// Copies a frame of at most `len` bytes for a line; `fill` writes it and returns its length.
    fn offer(
        &mut self,
        line: usize,
        len: usize,
        parcel: Parcel,
        fill: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) {
        let Some(mut block) = self.lines.store.take(len) else {
            return self.ledger.drops.add(Cause::StoreFull);
        };
        let Some(len) = fill(&mut block[HEADROOM..HEADROOM + len]) else {
            self.lines.store.give(block);
            return self.ledger.drops.add(Cause::BadOffload);
        };
        let Some(seated) = &mut self.lines.seats[line] else {
            return;
        };
        let came = match parcel.came_ns() {
            0 => self.now,
            at => at.max(seated.entered_ns),
        };
        seated.entered_ns = came;
        let size = Size {
            bytes: len as u32,
            ect: seated.marks && mark::knows_ecn(&block[HEADROOM..HEADROOM + len], self.layer),
        };
        // Who sent it back, if anybody, does not stand behind a line.
        let meta = Meta {
            sent_by: None,
            ..parcel.meta
        };
        let stay = self.recordings.is_on().then(|| {
            let frame = &block[HEADROOM..HEADROOM + len];
            let queue = seated.line.held();
            let asked = seated.line.impairment();
            self.recordings
                .enters(seated.at, frame, &meta, came, queue, asked)
        });
        let held = Held {
            block,
            len,
            parcel: Parcel { meta, ..parcel },
            stay,
        };
        let at = seated.at;
        if let Err((held, why)) = seated.line.offer(came, size, held) {
            self.ledger.drops.add(why.into());
            self.note_lost(at, &held, &Outcome::Dropped { frame: (), why });
            self.lines.store.give(held.block);
        }
        self.lines.note_due(line + 1);
    }

    /// Holds a frame at the end of its path for as long as plugins ask.
    pub(super) fn delay(&mut self, end: End, frame: &[u8], parcel: Parcel) {
        self.catch_up(&parcel);
        let Meta {
            delay_us, delayed_by, ..
        } = parcel.meta;
        if !self.lines.delayed.admits(delayed_by) {
            return self.drop_frame(Dropper::Engine, Cause::DelayFull, frame, &parcel);
        }
        let Some(mut block) = self.lines.store.take(frame.len()) else {
            return self.drop_frame(Dropper::Engine, Cause::StoreFull, frame, &parcel);
        };
        block[HEADROOM..HEADROOM + frame.len()].copy_from_slice(frame);
        let due = parcel.came_ns().saturating_add(u64::from(delay_us) * 1000);
        let meta = Meta {
            delay_us: 0,
            delayed_by: None,
            ..parcel.meta
        };
        let held = Held {
            block,
            len: frame.len(),
            parcel: Parcel { meta, ..parcel },
            stay: self.recordings.is_on().then(|| self.recordings.stays(&meta)),
        };
        self.lines.delayed.push(due, end, delayed_by, held);
        self.lines.note_due(DELAYED);
    }

    /// When frames are to be released, or timers of plugins come.
    pub(crate) fn next_due(&self) -> Option<u64> {
        let firsts = [self.lines.due.first(), self.timers.first()];
        firsts.into_iter().flatten().map(|(due, _)| due).min()
    }

    /// Carries on what is due; bounded, so that more may be.
    pub(crate) fn release(&mut self, now: u64) {
        self.now = now;
        for _ in 0..RELEASES {
            match self.lines.due.first() {
                Some((due, number)) if due <= now => self.release_one(number, now),
                _ => break,
            }
        }
        self.finish_release();
        self.fire_timers(now);
        self.recordings.settle();
        if let Some(sink) = &mut self.sink {
            sink.ring();
        }
    }

    pub(super) fn finish_release(&mut self) {
        self.flush();
        self.settle_turns();
        if let Some(sink) = &mut self.sink {
            sink.ring();
        }
    }

    /// Carries on what one line, or the first of the delayed frames, has due.
    fn release_one(&mut self, number: usize, now: u64) {
        let Some(line) = number.checked_sub(1) else {
            if let Some(waiting) = self.lines.delayed.pop() {
                self.lines.note_due(DELAYED);
                self.release_delayed(waiting.due, waiting.end, waiting.held);
            }
            return;
        };
        let Lines { seats, outcomes, .. } = &mut self.lines;
        let Some(seated) = &mut seats[line] else { return };
        let (at, onward) = (seated.at, seated.onward);
        seated.line.poll(now, &mut |outcome| outcomes.push(outcome));
        self.lines.note_due(number);
        self.carry_outcomes(at, onward);
    }

    /// Carries on what a line let go: several frames by way of memory they share, from where they are written together.
    fn carry_outcomes(&mut self, at: LineAt, onward: usize) {
        let mut outcomes = std::mem::take(&mut self.lines.outcomes);
        let mut own = std::mem::take(&mut self.scratch.own);
        // Where timestamps are the clock this may happen while frames lie there.
        let slots = if outcomes.len() > 1 && !self.lines.is_virtual {
            own.slots
        } else {
            0
        };
        let outer = self.scratch.outbox.open(&own.bytes);
        let mut slot = 0;
        for outcome in outcomes.drain(..) {
            match outcome {
                Outcome::Dropped { frame, why } => {
                    self.ledger.drops.add(why.into());
                    self.note_lost(at, &frame, &Outcome::Dropped { frame: (), why });
                    self.lines.store.give(frame.block);
                }
                Outcome::Out {
                    mut frame,
                    copies,
                    corrupt,
                    mark_ce,
                    asked,
                } => {
                    let bytes = &mut frame.block[HEADROOM..HEADROOM + frame.len];
                    if mark_ce {
                        mark::congested(bytes, self.layer);
                    }
                    if let Some(bit) = corrupt {
                        mark::flip(bytes, self.layer, bit);
                    }
                    self.ledger.duplicated += u64::from(copies) - 1;
                    if let Some(stay) = frame.stay.take() {
                        let said = Outcome::Out {
                            frame: (),
                            copies,
                            corrupt,
                            mark_ce,
                            asked,
                        };
                        let what = (&*bytes, &frame.parcel.meta);
                        self.recordings.through(at, &stay, what, self.now, &said);
                    }
                    frame.parcel.ts_ns = self.now;
                    frame.parcel.meta.arrived_ns = asked.min(self.now);
                    for _ in 0..copies {
                        if slot == slots || frame.len > FRAME_MAX {
                            self.post(&mut own.bytes);
                            slot = 0;
                        }
                        if slots == 0 || frame.len > FRAME_MAX {
                            self.step(onward, 1, &mut frame.block, HEADROOM, frame.len, frame.parcel);
                            continue;
                        }
                        let at = slot * own.stride + HEADROOM;
                        slot += 1;
                        own.bytes[at..at + frame.len]
                            .copy_from_slice(&frame.block[HEADROOM..HEADROOM + frame.len]);
                        self.step(onward, 1, &mut own.bytes, at, frame.len, frame.parcel);
                    }
                    self.lines.store.give(frame.block);
                }
            }
        }
        self.post(&mut own.bytes);
        self.scratch.outbox.close(outer);
        self.scratch.own = own;
        self.lines.outcomes = outcomes;
    }

    /// Records that a line has lost a frame.
    fn note_lost(&mut self, at: LineAt, held: &Held, said: &Outcome<()>) {
        if let Some(stay) = &held.stay {
            let what = (&held.block[HEADROOM..HEADROOM + held.len], &held.parcel.meta);
            self.recordings.through(at, stay, what, self.now, said);
        }
    }

    fn release_delayed(&mut self, due: u64, end: End, mut held: Held) {
        if let Some(stay) = held.stay.take() {
            self.recordings.resumes(&stay, &held.parcel.meta);
        }
        held.parcel.ts_ns = self.now;
        held.parcel.meta.arrived_ns = due.min(self.now);
        self.end(end, &mut held.block, HEADROOM, held.len, held.parcel);
        self.lines.store.give(held.block);
    }

    fn flush_line(&mut self, index: usize) {
        let Lines { seats, outcomes, .. } = &mut self.lines;
        let Some(seated) = &mut seats[index] else { return };
        let (at, onward) = (seated.at, seated.onward);
        seated.line.flush(&mut |outcome| outcomes.push(outcome));
        self.lines.note_due(index + 1);
        self.carry_outcomes(at, onward);
        self.finish_release();
    }

    /// Lets out every frame that is held for a port, or at the end of its path because a plugin asked.
    pub(super) fn flush_port(&mut self, port: usize) {
        for at in [LineAt::From(port), LineAt::To(port)] {
            self.take_line(at);
        }
        self.flush_delayed();
    }

    fn flush_delayed(&mut self) {
        while let Some(waiting) = self.lines.delayed.pop() {
            self.release_delayed(waiting.due, waiting.end, waiting.held);
        }
        self.lines.note_due(DELAYED);
        self.finish_release();
    }

    /// Lets out everything that is held, in the order of the way it takes.
    pub(crate) fn flush_lines(&mut self, now: u64) {
        self.now = now;
        // What leaves one line may enter another, or be delayed once more; it is turned round a few times at most.
        while self.lines.held() + self.asked_about() > 0 {
            self.flush_callouts();
            for index in 0..self.lines.seats.len() {
                self.flush_line(index);
            }
            self.flush_delayed();
        }
    }

    /// Where timestamps are the clock: carries on what is due before a frame comes to where it is.
    pub(super) fn catch_up(&mut self, parcel: &Parcel) {
        if !self.lines.is_virtual || self.lines.is_catching_up {
            return;
        }
        let until = parcel.came_ns();
        self.run_to(until);
        self.now = self.now.max(until);
    }

    /// Carries on what is due until some time, each at its own.
    fn run_to(&mut self, until: u64) {
        self.lines.is_catching_up = true;
        while let Some((due, number)) = self.lines.due.first().filter(|(due, _)| *due <= until) {
            self.now = self.now.max(due);
            self.release_one(number, due);
        }
        self.lines.is_catching_up = false;
    }

    /// Where timestamps are the clock: carries on what lines and plugins hold until some time.
    pub(super) fn run_lines_to(&mut self, until: u64) {
        if self.lines.is_virtual {
            self.run_to(until);
            self.finish_release();
        }
    }

    /// Where timestamps are the clock and no frame will come any more: carries on all that is held.
    pub(crate) fn run_out(&mut self) {
        self.run_to(u64::MAX);
        self.finish_release();
    }
}
