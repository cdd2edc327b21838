//! Running stages, and where their verdicts lead.

use vnet_abi::FLOOD;
use vnet_runtime::Fate;

use super::chain::set_aside;
use super::{Forwarder, Parcel};
use crate::cause::Cause;
use crate::frame::Meta;
use crate::offload;
use crate::path::{End, Hop, Seat, Visit, crossing, descending, entering, leaving, reaching};
use crate::record::Dropper;
use crate::stage::StageBox;
use crate::turn::TURNS;

impl Forwarder {
    /// Runs a stage whose frames were read in place, then all those behind it.
    pub(super) fn flush_from(&mut self, stage: usize) {
        self.run(stage);
        self.flush();
    }

    /// Runs every stage that has frames waiting, in the order they got the first.
    pub(super) fn flush(&mut self) {
        while let Some(index) = self.busy.pop_front() {
            if let Some(stage) = &mut self.stages[index] {
                stage.queued = false;
            }
            self.run(index);
        }
    }

    /// Runs one stage on the frames in its arena and carries each on; the stages of its chain run, too.
    pub(super) fn run(&mut self, index: usize) {
        let mut next = Some(index);
        while let Some(index) = next {
            next = self.judge(index);
        }
    }

    /// Runs one stage; returns the one that got all frames that passed, unless each was carried on by itself.
    fn judge(&mut self, index: usize) -> Option<usize> {
        let mut stage = self.stages[index].take()?;
        let mut next = None;
        if let Some(&first) = stage.metas.first() {
            if first.hop == 0 {
                self.ledger.batches += 1;
            }
            if stage.callout.is_some() {
                self.ask_elsewhere(index, &mut stage);
                stage.clear();
                self.stages[index] = Some(stage);
                return None;
            }
            let StageBox {
                stage: plugin,
                frames,
                metas,
                ..
            } = &mut *stage;
            for (frame, meta) in frames.as_slice().iter().zip(metas.iter_mut()) {
                meta.off = frame.off;
                meta.len = frame.len;
            }
            if self.recordings.is_on() {
                self.run_watched(index, &mut stage);
            } else {
                plugin.run(frames);
            }
            let has_asked = stage.stage.has_asked();
            let turns = if has_asked { turned(&stage.metas) } else { 0 };
            next = self.hand_over(&mut stage);
            if !stage.metas.is_empty() {
                self.disperse(&mut stage, first);
                stage.clear();
            }
            if has_asked {
                self.collect(index, &mut stage, turns);
            }
        }
        self.stages[index] = Some(stage);
        next
    }

    /// Runs a stage whose frames are recorded.
    #[cold]
    fn run_watched(&mut self, index: usize, stage: &mut StageBox) {
        self.recordings.before(stage, self.now);
        stage.stage.run(&mut stage.frames);
        let home = self.places.home(index);
        self.recordings.after(stage, home, self.now);
    }

    /// Carries each frame of a judged batch on by itself.
    fn disperse(&mut self, stage: &mut StageBox, first: Meta) {
        let mut aside = std::mem::take(&mut self.scratch.aside);
        let is_shared = stage.stage.shares_arena();
        if is_shared {
            set_aside(stage, &mut aside, self.layer);
        }
        let bytes = if is_shared {
            &mut aside[..]
        } else {
            stage.stage.arena().bytes
        };
        let outer = self.scratch.outbox.open(bytes);
        for (i, frame) in stage.frames.as_slice().iter().enumerate() {
            // What a plugin makes goes on as the first frame of its batch does.
            let mut meta = stage.metas.get(i).copied().unwrap_or_else(|| Meta {
                off: frame.off,
                path: first.path,
                hop: first.hop,
                turns: first.turns,
                arrived_ns: first.arrived_ns,
                serial: if self.recordings.is_on() {
                    self.recordings.made(i - stage.metas.len())
                } else {
                    0
                },
                ..Meta::default()
            });
            self.ledger.appended += u64::from(frame.appended);
            let (off, len) = (frame.off as usize, frame.len as usize);
            if !matches!(frame.fate, Fate::Drop(_)) {
                offload::settle(bytes, frame, &mut meta, self.layer);
            }
            meta.note_delay(frame, stage.id);
            let parcel = Parcel {
                meta,
                mark: frame.mark,
                ts_ns: frame.ts_ns,
            };
            let (path, k) = (meta.path as usize, usize::from(meta.hop));
            match (frame.fate, self.paths[path].hops[k]) {
                (Fate::Drop(_), _) => self.ledger.stage_drops += 1,
                (Fate::Tx, Hop::Stage(visit)) => self.send_back(visit, bytes, off, len, parcel),
                (Fate::Redirect(to), Hop::Stage(visit)) => {
                    self.redirect(visit, to, bytes, off, len, parcel);
                }
                _ => self.step(path, k + 1, bytes, off, len, parcel),
            }
        }
        self.post(bytes);
        self.scratch.outbox.close(outer);
        self.scratch.aside = aside;
    }

    /// Sends a frame back where it came from.
    pub(super) fn send_back(&mut self, hop: Visit, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        let is_leaving = hop.flags & vnet_abi::flags::EGRESS != 0;
        match hop.seat {
            Seat::Device if is_leaving => self.end(End::Port(hop.device), bytes, off, len, parcel),
            Seat::Device | Seat::Wire | Seat::Up => {
                self.turn(hop, leaving(hop.device), bytes, off, len, parcel);
            }
            Seat::Down => self.turn(hop, entering(hop.device), bytes, off, len, parcel),
            Seat::Switch => self.turn(hop, descending(hop.device), bytes, off, len, parcel),
        }
    }

    /// Sends a frame to the port a stage chose, which is not the one it came by.
    pub(super) fn redirect(
        &mut self,
        hop: Visit,
        to: u16,
        bytes: &mut [u8],
        off: usize,
        len: usize,
        parcel: Parcel,
    ) {
        match hop.seat {
            Seat::Device => {
                self.drop_frame(Dropper::Engine, Cause::NoPort, &bytes[off..off + len], &parcel);
            }
            Seat::Wire => self.turn(hop, crossing(hop.device), bytes, off, len, parcel),
            Seat::Up => self.step(crossing(hop.device), 0, bytes, off, len, parcel),
            Seat::Down => self.step(reaching(hop.device), 0, bytes, off, len, parcel),
            Seat::Switch if to == FLOOD => self.flood(hop.device, bytes, off, len, parcel),
            Seat::Switch if self.ports.get(usize::from(to)).is_some_and(|p| !p.is_vacant()) => {
                self.step(descending(to.into()), 0, bytes, off, len, parcel);
            }
            Seat::Switch => {
                self.drop_frame(Dropper::Engine, Cause::NoPort, &bytes[off..off + len], &parcel);
            }
        }
    }

    /// Has a frame take a path whose stages may be at work just now.
    fn turn(&mut self, hop: Visit, path: usize, bytes: &mut [u8], off: usize, len: usize, parcel: Parcel) {
        let is_only = |other: &Hop| matches!(other, Hop::Stage(other) if other.stage == hop.stage);
        if let end @ End::Port(_) = self.paths[path].end
            && self.paths[path].hops.iter().all(is_only)
        {
            return self.end(end, bytes, off, len, parcel);
        }
        let meta = Meta {
            sent_by: Some(hop.stage as u32),
            ..parcel.meta
        };
        self.defer(path, 0, &bytes[off..off + len], Parcel { meta, ..parcel });
    }

    /// Keeps a frame until no stage is at work.
    pub(super) fn defer(&mut self, path: usize, hop: usize, frame: &[u8], parcel: Parcel) {
        let turns = parcel.meta.turns + 1;
        let meta = Meta { turns, ..parcel.meta };
        if turns > TURNS {
            self.drop_frame(Dropper::Engine, Cause::Loop, frame, &parcel);
        } else if !self
            .scratch
            .turns
            .push(path, hop, frame, Parcel { meta, ..parcel })
        {
            self.drop_frame(Dropper::Engine, Cause::TurnFull, frame, &parcel);
        }
    }

    /// Carries on what was kept.
    pub(super) fn settle_turns(&mut self) {
        while !self.scratch.turns.list.is_empty() {
            let spare = std::mem::take(&mut self.scratch.spare_turns);
            let mut turns = std::mem::replace(&mut self.scratch.turns, spare);
            let outer = self.scratch.outbox.open(&turns.bytes);
            for turn in &turns.list {
                self.step(
                    turn.path,
                    turn.hop,
                    &mut turns.bytes,
                    turn.off,
                    turn.len,
                    turn.parcel,
                );
            }
            self.post(&mut turns.bytes);
            self.scratch.outbox.close(outer);
            self.flush();
            turns.clear();
            self.scratch.spare_turns = turns;
        }
    }
}

/// Returns how often the most turned of some frames was turned round.
#[cold]
fn turned(metas: &[Meta]) -> u8 {
    metas.iter().map(|meta| meta.turns).max().unwrap_or(0)
}
