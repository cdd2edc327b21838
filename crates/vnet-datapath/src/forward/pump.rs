//! Reading: from a port, and what `send` hands in.

use super::{Forwarder, Parcel};
use crate::cause::Cause;
use crate::frame::{Accepts, Arrival, FRAME_MAX, Got, HEADROOM, Landing, Meta};
use crate::path::{Hop, Visit, arriving, leaving};
use crate::record::Recordings;
use crate::stage::StageBox;

impl Forwarder {
    /// Carries what waits at a port; true when the port may have more.
    pub(crate) fn pump(&mut self, port: usize, now: u64) -> bool {
        self.now = now;
        let path = arriving(port);
        let mut more = true;
        for _ in 0..self.scratch.rounds() {
            more = match self.paths[path].hops.first().copied() {
                Some(Hop::Stage(hop)) if self.reads_in_place(port, hop) => {
                    self.pump_in_place(port, path, hop, now)
                }
                _ => self.pump_through_own(port, path, now),
            };
            self.settle_turns();
            if !more {
                break;
            }
        }
        self.note_fall(port);
        self.recordings.settle();
        if let Some(sink) = &mut self.sink {
            sink.ring();
            if self.ports[port].gone {
                sink.end();
            }
        }
        more
    }

    fn reads_in_place(&self, port: usize, hop: Visit) -> bool {
        self.stages[hop.stage]
            .as_ref()
            .is_some_and(|s| self.ports[port].reads_in_place(s.accepts, s.max_frame))
    }

    /// Reads straight into the first stage's memory.
    fn pump_in_place(&mut self, port: usize, path: usize, hop: Visit, now: u64) -> bool {
        loop {
            self.clear_arena(hop.stage);
            let Some(stage) = self.stages[hop.stage].as_mut() else {
                return false;
            };
            let StageBox {
                stage,
                frames,
                metas,
                stride,
                slots,
                max_frame,
                accepts,
                ..
            } = &mut **stage;
            let mut landing = Landing {
                bytes: stage.arena().bytes,
                stride: *stride,
                slots: *slots,
                max_frame: *max_frame,
                accepts: *accepts,
                arrival: Arrival {
                    port: hop.port,
                    flags: hop.flags,
                    ts_ns: now,
                    path: path as u32,
                },
                frames,
                metas,
            };
            match self.ports[port].recv(&mut landing, &mut self.scratch.spill, &mut self.recordings) {
                Got::Spilled { at, len, meta } => {
                    let mut spill = std::mem::take(&mut self.scratch.spill);
                    self.step(
                        path,
                        0,
                        &mut spill,
                        at,
                        len,
                        Parcel {
                            meta,
                            mark: 0,
                            ts_ns: now,
                        },
                    );
                    self.scratch.spill = spill;
                    if self.stages[hop.stage].as_ref().is_some_and(|s| s.is_full()) {
                        self.flush_from(hop.stage);
                        return true;
                    }
                }
                got => {
                    self.flush_from(hop.stage);
                    return matches!(got, Got::Full);
                }
            }
        }
    }

    /// Reads into the worker's own arena and carries each frame on from there.
    fn pump_through_own(&mut self, port: usize, path: usize, now: u64) -> bool {
        let mut own = self.scratch.take_own(self.ports[port].longest);
        let mut landing = Landing {
            max_frame: own.max_frame(),
            bytes: &mut own.bytes,
            stride: own.stride,
            slots: own.slots,
            accepts: Accepts::ALL,
            arrival: Arrival {
                port: port as u16,
                flags: 0,
                ts_ns: now,
                path: path as u32,
            },
            frames: &mut own.frames,
            metas: &mut own.metas,
        };
        let got = self.ports[port].recv(&mut landing, &mut self.scratch.spill, &mut self.recordings);
        if !own.metas.is_empty() {
            self.ledger.batches += 1;
        }
        let outer = self.scratch.outbox.open(&own.bytes);
        for (frame, meta) in own.frames.as_slice().iter().zip(&own.metas) {
            let parcel = Parcel {
                meta: *meta,
                mark: 0,
                ts_ns: frame.ts_ns,
            };
            self.step(
                path,
                0,
                &mut own.bytes,
                frame.off as usize,
                frame.len as usize,
                parcel,
            );
        }
        self.post(&mut own.bytes);
        self.scratch.outbox.close(outer);
        own.frames.clear();
        own.metas.clear();
        self.scratch.give_own(own);
        if let Got::Spilled { .. } = got {
            // Longer than any slot: only a port that ignores its own limits gets here.
            self.ports[port].counters.drops.add(Cause::Oversize);
        }
        self.flush();
        matches!(got, Got::Full | Got::Spilled { .. })
    }

    /// Sends a frame out by a port, through what is attached to leaving frames there.
    ///
    /// `read` fills the buffer it is given with the frame's `len` bytes.
    pub(crate) fn send(&mut self, port: usize, len: usize, read: &mut dyn FnMut(&mut [u8]), now: u64) {
        self.now = now;
        self.ledger.sent_in += 1;
        if len > FRAME_MAX {
            self.ledger.drops.add(Cause::Oversize);
            return;
        }
        let mut own = std::mem::take(&mut self.scratch.own);
        read(&mut own.bytes[HEADROOM..HEADROOM + len]);
        let mut meta = Meta::default();
        if self.recordings.is_on() {
            meta.serial = Recordings::number(port);
        }
        let parcel = Parcel {
            meta,
            mark: 0,
            ts_ns: now,
        };
        self.step(leaving(port), 0, &mut own.bytes, HEADROOM, len, parcel);
        self.scratch.own = own;
    }

    /// Finishes what `send` began.
    pub(crate) fn flush_sent(&mut self) {
        self.flush();
        self.settle_turns();
        self.recordings.settle();
    }
}
