//! Doors: of a stage, of a port, of the receive queue. What one does not take as it is, is finished there in software.

use vnet_packet::checksum;
use vnet_packet::gso::{self, Offload};
use vnet_runtime::Frame;

use super::{Forwarder, Ledger, Parcel};
use crate::cause::Cause;
use crate::frame::{self, Accepts, Arrival, FRAME_MAX, HEADROOM, Meta};
use crate::path::{End, Hop, Visit};
use crate::record::Dropper;

impl Forwarder {
    /// Carries one frame to hop `k` of a path, or to its end.
    pub(super) fn step(
        &mut self,
        path: usize,
        k: usize,
        bytes: &mut [u8],
        off: usize,
        len: usize,
        parcel: Parcel,
    ) {
        let hop = match self.paths[path].hops.get(k) {
            Some(&Hop::Stage(hop)) => hop,
            Some(&Hop::Line(line)) => return self.enter(line, bytes, off, len, parcel),
            None => return self.end(self.paths[path].end, bytes, off, len, parcel),
        };
        if parcel.meta.sent_by == Some(hop.stage as u32) {
            return self.step(path, k + 1, bytes, off, len, parcel);
        }
        let Some((accepts, max_frame)) = self.stages[hop.stage].as_ref().map(|s| (s.accepts, s.max_frame))
        else {
            // It is at work on the frames that led here.
            return self.defer(path, k, &bytes[off..off + len], parcel);
        };
        let frame = &bytes[off..off + len];
        let todo = parcel.meta.offload;
        if len > max_frame && todo.gso_type != 0 && accepts == Accepts::ALL {
            return self.place_parts(path, k, hop, frame, max_frame, parcel);
        }
        if accepts.takes(&todo) {
            self.place(path, k, hop, len, parcel, |to| {
                to[..len].copy_from_slice(frame);
                Some(len)
            });
            return;
        }
        self.finish(frame, parcel, |this, len, parcel, fill| {
            this.place(path, k, hop, len, parcel, fill);
        });
    }

    /// Counts a frame that ends here, and records it where somebody wants to know.
    pub(super) fn drop_frame(&mut self, who: Dropper, cause: Cause, frame: &[u8], parcel: &Parcel) {
        self.ledger.drops.add(cause);
        if self.recordings.is_on() {
            let Meta { offload, serial, .. } = &parcel.meta;
            self.recordings
                .dropped(who, cause, frame, offload, *serial, parcel.ts_ns);
        }
    }

    /// Does in software what is left to do on a frame, and hands on each frame that comes of it: its greatest length, and
    /// what writes it and returns its length, or `None` where the offload fields do not describe the frame.
    pub(super) fn finish(
        &mut self,
        frame: &[u8],
        parcel: Parcel,
        mut put: impl FnMut(&mut Self, usize, Parcel, &mut dyn FnMut(&mut [u8]) -> Option<usize>),
    ) {
        let todo = parcel.meta.offload;
        let len = frame.len();
        let done = Meta {
            offload: Offload::default(),
            ..parcel.meta
        };
        let parcel = Parcel { meta: done, ..parcel };
        if todo.gso_type == 0 {
            let (start, offset) = (usize::from(todo.csum_start), usize::from(todo.csum_offset));
            return put(self, len, parcel, &mut |to| {
                to[..len].copy_from_slice(frame);
                checksum::complete(&mut to[..len], start, offset).then_some(len)
            });
        }
        let Ok(mut segments) = gso::segments(frame, self.layer, &todo) else {
            return self.drop_frame(Dropper::Engine, Cause::BadOffload, frame, &parcel);
        };
        self.ledger.segmented += segments.count() as u64 - 1;
        for _ in 0..segments.count() {
            let longest = segments.longest();
            put(self, longest, parcel, &mut |to| segments.next_into(to));
        }
    }

    /// Puts a super-frame that is too long for a stage into it as several.
    fn place_parts(
        &mut self,
        path: usize,
        k: usize,
        hop: Visit,
        frame: &[u8],
        max_frame: usize,
        parcel: Parcel,
    ) {
        let Ok(mut parts) = gso::parts(frame, self.layer, &parcel.meta.offload, max_frame) else {
            return self.ledger.drops.add(Cause::BadOffload);
        };
        self.ledger.segmented += parts.count() as u64 - 1;
        let longest = parts.longest();
        for _ in 0..parts.count() {
            let mut part = parcel;
            if self.stages[hop.stage].as_ref().is_some_and(|s| s.is_full()) {
                self.run(hop.stage);
            }
            let Some((at, len, offload)) = self.stages[hop.stage].as_mut().and_then(|stage| {
                let at = stage.next();
                let (len, offload) = parts.next_into(&mut stage.stage.arena().bytes[at..at + longest])?;
                Some((at, len, offload))
            }) else {
                return self.ledger.drops.add(Cause::BadOffload);
            };
            part.meta.offload = offload;
            self.seat_frame(path, k, hop, at, len, &part);
        }
    }

    /// Carries a frame out of its path, now or when the plugins on it ask.
    pub(super) fn end(&mut self, end: End, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        if parcel.meta.delay_us > 0 {
            return self.delay(end, &bytes[off..off + len], parcel);
        }
        self.catch_up(&parcel);
        match end {
            End::Port(port) => self.emit(port, bytes, off, len, parcel),
            End::Sink => self.deliver(bytes, off, len, parcel),
            End::Core(port) => self.forward(port, bytes, off, len, parcel),
        }
    }

    /// Puts one frame of at most `len` bytes into the next slot of a stage, running the stage first when it is full.
    ///
    /// `fill` writes the frame and returns its length, or `None` when its offload fields do not describe it.
    fn place(
        &mut self,
        path: usize,
        k: usize,
        hop: Visit,
        len: usize,
        parcel: Parcel,
        fill: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) {
        if self.stages[hop.stage].as_ref().is_some_and(|s| s.is_full()) {
            self.run(hop.stage);
        }
        self.clear_arena(hop.stage);
        let Some(stage) = self.stages[hop.stage].as_mut() else {
            return;
        };
        if len > stage.max_frame {
            stage.drops.add(Cause::Oversize);
            self.ledger.stage_drops += 1;
            return;
        }
        let off = stage.next();
        let Some(len) = fill(&mut stage.stage.arena().bytes[off..off + len]) else {
            self.ledger.drops.add(Cause::BadOffload);
            return;
        };
        self.seat_frame(path, k, hop, off, len, &parcel);
    }

    /// Takes in the frame that lies in the next slot of a stage.
    fn seat_frame(&mut self, path: usize, k: usize, hop: Visit, off: usize, len: usize, parcel: &Parcel) {
        let Some(stage) = self.stages[hop.stage].as_mut() else {
            return;
        };
        let arrival = Arrival {
            port: hop.port,
            flags: hop.flags | parcel.meta.flags(),
            ts_ns: parcel.ts_ns,
            path: path as u32,
        };
        stage.frames.push(Frame {
            mark: parcel.mark,
            ..frame::frame(off, len, &arrival, &parcel.meta.offload)
        });
        stage.metas.push(Meta {
            path: path as u32,
            hop: k as u16,
            ..parcel.meta
        });
        if !stage.queued {
            stage.queued = true;
            self.busy.push_back(hop.stage);
        }
    }

    /// Writes a frame to a port, or notes it to be written with others, and forgets what was learned there when the port
    /// turns out to be down.
    ///
    /// The frame itself is the same afterwards, so that further copies can be made of it.
    pub(super) fn emit(&mut self, port: usize, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        self.write(port, bytes, off, len, parcel);
        self.note_fall(port);
    }

    /// Writes a frame to a port, finishing in software what the port does not take.
    fn write(&mut self, port: usize, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        let todo = parcel.meta.offload;
        let takes = self.ports[port].accepts().takes(&todo);
        if !takes {
            // What is finished here for one port is not what others were to get.
            self.post(bytes);
        }
        if takes && len > self.ports[port].longest && todo.gso_type != 0 {
            return self.write_parts(port, bytes, off, len, parcel);
        }
        let to = &mut self.ports[port];
        let recordings = &mut self.recordings;
        if takes {
            if to.is_batched() && self.scratch.outbox.takes(bytes) {
                if let Err(cause) = to.admit(len, &todo) {
                    if let Some(number) = to.recorded {
                        let frame = &bytes[off..off + len];
                        let who = Dropper::Port(number);
                        recordings.dropped(who, cause, frame, &todo, parcel.meta.serial, parcel.ts_ns);
                    }
                } else {
                    self.scratch
                        .outbox
                        .note(port, off, len, &parcel.meta, parcel.ts_ns);
                    if self.scratch.outbox.is_full() {
                        self.post(bytes);
                    }
                }
                return;
            }
            return to.send(bytes, off, len, &parcel.meta, parcel.ts_ns, recordings);
        }
        let done = Meta {
            offload: Offload::default(),
            ..parcel.meta
        };
        if todo.gso_type == 0 {
            let (start, offset) = (usize::from(todo.csum_start), usize::from(todo.csum_offset));
            let frame = &mut bytes[off..off + len];
            let field = start + offset..start + offset + 2;
            let Some(partial) = frame
                .get(field.clone())
                .and_then(|sum| sum.first_chunk::<2>())
                .copied()
            else {
                return to.counters.drops.add(Cause::BadOffload);
            };
            if checksum::complete(frame, start, offset) {
                to.send(bytes, off, len, &done, parcel.ts_ns, recordings);
                bytes[off..off + len][field].copy_from_slice(&partial);
            } else {
                to.counters.drops.add(Cause::BadOffload);
            }
            return;
        }
        let Ok(mut segments) = gso::segments(&bytes[off..off + len], self.layer, &todo) else {
            to.counters.drops.add(Cause::BadOffload);
            return;
        };
        self.ledger.segmented += segments.count() as u64 - 1;
        while let Some(len) = segments.next_into(&mut self.scratch.segment[HEADROOM..]) {
            to.send(
                &mut self.scratch.segment,
                HEADROOM,
                len,
                &done,
                parcel.ts_ns,
                recordings,
            );
        }
        for _ in 0..segments.remaining() {
            to.counters.drops.add(Cause::Oversize);
        }
    }

    /// Writes a super-frame that is too long for a port as several.
    fn write_parts(&mut self, port: usize, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        // Those noted come first.
        self.post(bytes);
        let whole = &bytes[off..off + len];
        let mut buffer = std::mem::take(&mut self.scratch.segment);
        match gso::parts(whole, self.layer, &parcel.meta.offload, FRAME_MAX) {
            Ok(mut parts) => {
                self.ledger.segmented += parts.count() as u64 - 1;
                while let Some((len, offload)) = parts.next_into(&mut buffer[HEADROOM..]) {
                    let mut part = parcel;
                    part.meta.offload = offload;
                    self.write(port, &mut buffer, HEADROOM, len, part);
                }
            }
            Err(_) => self.ports[port].counters.drops.add(Cause::BadOffload),
        }
        self.scratch.segment = buffer;
    }

    /// Writes the frames noted in `bytes`: afterwards these may change.
    pub(super) fn post(&mut self, bytes: &mut [u8]) {
        let outbox = &mut self.scratch.outbox;
        if !outbox.has(bytes) {
            return;
        }
        outbox.post(bytes, &mut self.ports, &mut self.recordings);
        let mut i = 0;
        while let Some(port) = self.scratch.outbox.port(i) {
            self.note_fall(port);
            i += 1;
        }
        self.scratch.outbox.clear();
    }

    /// Hands a frame to the receive queue, complete and in wire size.
    fn deliver(&mut self, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        let Some(sink) = &mut self.sink else { return };
        let todo = parcel.meta.offload;
        let ledger = &mut self.ledger;
        let mut push = |ledger: &mut Ledger, frame: &[u8]| {
            if sink.push(frame, parcel.ts_ns) {
                ledger.delivered += 1;
            } else {
                ledger.drops.add(Cause::SinkFull);
            }
        };
        if todo.gso_type != 0 {
            let Ok(mut segments) = gso::segments(&bytes[off..off + len], self.layer, &todo) else {
                ledger.drops.add(Cause::BadOffload);
                return;
            };
            ledger.segmented += segments.count() as u64 - 1;
            while let Some(len) = segments.next_into(&mut self.scratch.segment[HEADROOM..]) {
                push(ledger, &self.scratch.segment[HEADROOM..HEADROOM + len]);
            }
            for _ in 0..segments.remaining() {
                ledger.drops.add(Cause::Oversize);
            }
            return;
        }
        let frame = &mut bytes[off..off + len];
        if todo.needs_csum
            && !checksum::complete(frame, usize::from(todo.csum_start), usize::from(todo.csum_offset))
        {
            ledger.drops.add(Cause::BadOffload);
            return;
        }
        push(ledger, frame);
    }
}
