//! Stages that are judged elsewhere: frames are asked about, kept, and carried on with their answers.

use vnet_runtime::{Fate, OnFault, Reason};

use super::lines::Held;
use super::{Forwarder, Parcel};
use crate::callout::{Answer, Callout, Verdict};
use crate::cause::Cause;
use crate::frame::{FRAME_MAX, HEADROOM, Meta};
use crate::path::{Hop, PATHS, Visit};
use crate::record::{Seat, Stay};
use crate::ring::Tag;
use crate::stage::{StageBox, StageId};
use crate::store::Block;

/// Counted for frames beyond those that may wait.
const STAGE_FULL: &str = "stage_full";

/// Counted for frames that there is no memory for: this process holds as many as it may.
const STORE_FULL: &str = "store_full";

/// What becomes of a frame for which there is no room.
const NO_ROOM: Fate = Fate::Drop(Reason::Plugin(0));

/// Counted for frames without an answer when their stage is taken off, under a policy that drops.
const UNANSWERED: &str = "unanswered";

impl Forwarder {
    /// Asks about the frames in a stage's arena; the stage is out of its place.
    pub(super) fn ask_elsewhere(&mut self, index: usize, stage: &mut StageBox) {
        let home = self.places.home(index);
        let StageBox {
            id,
            stage: lender,
            callout: Some(callout),
            frames,
            metas,
            ..
        } = stage
        else {
            return;
        };
        let may_ask = lender.may_ask_elsewhere();
        let unasked = lender.fate_unasked();
        let name = lender.name().to_owned();
        let seat = Seat {
            id: *id,
            name: &name,
            home,
        };
        let arena = lender.arena().bytes;
        for (frame, meta) in frames.as_slice().iter().zip(metas.iter_mut()) {
            let bytes = &arena[frame.off as usize..][..frame.len as usize];
            callout.count_in(bytes.len());
            let stay = self
                .recordings
                .is_on()
                .then(|| self.recordings.asked(&seat, bytes, meta, self.now));
            let what = (bytes, &*meta);
            if callout.is_full() {
                self.drop_of(callout, &seat, stay.as_deref(), what, NO_ROOM, Some(STAGE_FULL));
                continue;
            }
            if let (false, Fate::Drop(_)) = (may_ask, unasked) {
                self.drop_of(callout, &seat, stay.as_deref(), what, unasked, None);
                continue;
            }
            let parcel = Parcel {
                meta: *meta,
                mark: frame.mark,
                ts_ns: frame.ts_ns,
            };
            if !may_ask && callout.held() == 0 {
                // Not from here: the frames that led here may have come from the next stage.
                callout.count(unasked, None);
                if let Some(stay) = &stay {
                    self.recordings
                        .answered(&seat, stay, what, self.now, (unasked, None, false));
                }
                let (path, next) = (meta.path as usize, usize::from(meta.hop) + 1);
                if !self.scratch.turns.push(path, next, bytes, parcel) {
                    self.ledger.drops.add(Cause::TurnFull);
                }
                continue;
            }
            let Some(mut block) = self.lines.take_block(bytes.len()) else {
                self.drop_of(callout, &seat, stay.as_deref(), what, NO_ROOM, Some(STORE_FULL));
                continue;
            };
            block[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
            let held = Held::new(block, bytes.len(), parcel, stay);
            if !may_ask {
                callout.follow(held);
                continue;
            }
            let tag = Tag {
                ts_ns: frame.ts_ns,
                port: frame.port,
                flags: frame.flags,
                ..Tag::default()
            };
            if let Err(held) = callout.ask(&tag, bytes, held) {
                self.drop_of(
                    callout,
                    &seat,
                    held.stay.as_deref(),
                    what,
                    NO_ROOM,
                    Some(STAGE_FULL),
                );
                self.lines.give_block(held);
            }
        }
        callout.ring();
    }

    fn drop_of(
        &mut self,
        callout: &mut Callout,
        seat: &Seat<'_>,
        stay: Option<&Stay>,
        what: (&[u8], &Meta),
        fate: Fate,
        reason: Option<&str>,
    ) {
        callout.count(fate, reason);
        self.ledger.stage_drops += 1;
        if let Some(stay) = stay {
            self.recordings
                .answered(seat, stay, what, self.now, (fate, reason, false));
        }
    }

    /// Carries on the frames whose answers came.
    pub(crate) fn take_answers(&mut self, id: StageId, now: u64) {
        self.now = now;
        if let Some(index) = self.index(id) {
            if let Some(callout) = self.stages[index]
                .as_ref()
                .and_then(|stage| stage.callout.as_ref())
            {
                callout.begin_look();
            }
            self.settle_answers(index);
            self.finish_release();
        }
    }

    /// Carries on what has its answer, and what waited behind it only.
    pub(super) fn settle_answers(&mut self, index: usize) {
        while let Some((waiting, answer)) = self
            .callout_mut(index)
            .and_then(|(_, callout)| callout.next_answered())
        {
            self.carry_answered(index, waiting.held, answer);
        }
    }

    /// Lets everything out that a stage waits for: with its answer where it has one, else as the fault policy says.
    pub(super) fn flush_callout(&mut self, index: usize) {
        self.settle_answers(index);
        while let Some((stage, callout)) = self.callout_mut(index) {
            let Some(waiting) = callout.give_up() else { break };
            let is_free = waiting.is_free || stage.on_fault() == OnFault::Open;
            if is_free {
                self.carry_answered(index, waiting.held, None);
            } else {
                callout.count(NO_ROOM, Some(UNANSWERED));
                self.ledger.stage_drops += 1;
                self.note_answered(index, &waiting.held, (NO_ROOM, Some(UNANSWERED), false));
                self.lines.give_block(waiting.held);
            }
        }
        self.finish_release();
    }

    /// Lets everything out that any stage waits for.
    pub(super) fn flush_callouts(&mut self) {
        for index in 0..self.stages.len() {
            if self.callout_mut(index).is_some() {
                self.flush_callout(index);
            }
        }
    }

    /// Lets everything out that the stages of a port and its link wait for.
    pub(super) fn flush_callouts_at(&mut self, port: usize) {
        let at = &self.places.ports[port];
        let device = at.device.iter().map(|(stage, _)| *stage);
        let stages: Vec<usize> = device.chain(at.link.iter().map(|(stage, ..)| *stage)).collect();
        for index in stages {
            self.flush_callout(index);
        }
    }

    /// Frames that wait for answers.
    pub(super) fn asked_about(&self) -> usize {
        let callouts = self
            .stages
            .iter()
            .flatten()
            .filter_map(|stage| stage.callout.as_ref());
        callouts.map(|callout| callout.held()).sum()
    }

    fn callout_mut(&mut self, index: usize) -> Option<(&mut vnet_runtime::Stage, &mut Callout)> {
        let stage = self.stages.get_mut(index)?.as_deref_mut()?;
        let callout = stage.callout.as_deref_mut()?;
        Some((&mut stage.stage, callout))
    }

    /// Carries one frame on from the stage that asked about it.
    fn carry_answered(&mut self, index: usize, mut held: Held, answer: Option<Answer>) {
        let (mut fate, mut reason, mut bytes) = (Fate::Pass, None, None);
        if let Some(answer) = answer {
            bytes = answer.bytes;
            match answer.verdict {
                Verdict::Pass => {}
                Verdict::Drop(why) => (fate, reason) = (Fate::Drop(Reason::Plugin(0)), why),
                Verdict::Redirect(port) => fate = Fate::Redirect(port),
                Verdict::SendBack => fate = Fate::Tx,
                Verdict::Fault(report) => {
                    bytes = None;
                    if let Some((stage, _)) = self.callout_mut(index) {
                        stage.failed_elsewhere(report);
                        if stage.on_fault() == OnFault::Closed {
                            fate = Fate::Drop(Reason::Fault);
                        }
                    }
                }
            }
        }
        let mut is_rewritten = false;
        if !matches!(fate, Fate::Drop(_))
            && let Some(bytes) = bytes
        {
            is_rewritten = bytes != held.bytes();
            match self.rewritten(&bytes) {
                Ok(block) => held.replace(block, bytes.len(), &mut self.lines),
                Err((why, name)) => (fate, reason) = (Fate::Drop(why), name.map(str::to_owned)),
            }
        }
        self.note_answered(index, &held, (fate, reason.as_deref(), is_rewritten));
        let way = self.way_from(index, held.parcel.meta.path as usize);
        if let Some((_, callout)) = self.callout_mut(index) {
            callout.count(fate, reason.as_deref());
        }
        if let Fate::Drop(_) = fate {
            self.ledger.stage_drops += 1;
        } else if let Some((path, k, visit)) = way {
            held.parcel.ts_ns = self.now;
            held.parcel.meta.arrived_ns = self.now;
            let (len, parcel) = (held.len, held.parcel);
            let block = &mut held.block;
            match fate {
                Fate::Tx => self.send_back(visit, block, HEADROOM, len, parcel),
                Fate::Redirect(to) => self.redirect(visit, to, block, HEADROOM, len, parcel),
                _ => self.step(path, k + 1, block, HEADROOM, len, parcel),
            }
        } else {
            // Its port was taken out meanwhile.
            self.ledger.drops.add(Cause::Gone);
        }
        self.lines.give_block(held);
    }

    /// Records what was decided about a frame, where that is wanted.
    fn note_answered(&mut self, index: usize, held: &Held, said: (Fate, Option<&str>, bool)) {
        if let (Some(stay), Some(stage)) = (&held.stay, self.stages.get(index).and_then(Option::as_deref)) {
            let seat = stage.seat(self.places.home(index));
            let what = (held.bytes(), &held.parcel.meta);
            self.recordings.answered(&seat, stay, what, self.now, said);
        }
    }

    /// Returns a frame's new form in memory of its own, or why it is dropped and, where that is no plugin's doing, under which name.
    fn rewritten(&mut self, bytes: &[u8]) -> Result<Block, (Reason, Option<&'static str>)> {
        if bytes.is_empty() {
            return Err((Reason::Empty, None));
        }
        if bytes.len() > FRAME_MAX {
            return Err((Reason::Oversize, None));
        }
        let block = self.lines.take_block(bytes.len());
        let mut block = block.ok_or((Reason::Plugin(0), Some(STORE_FULL)))?;
        block[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        Ok(block)
    }

    /// Returns where a stage is on a path: paths may have changed while a frame waited, but for their numbers.
    fn way_from(&self, index: usize, path: usize) -> Option<(usize, usize, Visit)> {
        if self.ports.get(path / PATHS)?.is_vacant() {
            return None;
        }
        let hops = self.paths.get(path)?.hops.iter().enumerate();
        let mut visits = hops.filter_map(|(k, hop)| match hop {
            Hop::Stage(visit) if visit.stage == index => Some((path, k, *visit)),
            _ => None,
        });
        visits.next()
    }
}
