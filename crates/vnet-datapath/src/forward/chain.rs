//! Chains: what a batch costs on its way from one stage to the next.
//!
//! A batch in which frames passed or were dropped, and nothing else, goes to the next stage of its path as a whole.
//! Where the two arenas are the same pages, it stays where it is.

use std::io;
use std::sync::atomic::{Ordering, compiler_fence};

use vnet_packet::Layer;
use vnet_runtime::{Fate, Frame, SharedArena};

use super::Forwarder;
use crate::frame::{self, Arrival, HEADROOM, Meta};
use crate::offload;
use crate::path::{Hop, Visit};
use crate::stage::StageBox;

/// The neighbours of a stage on all paths.
#[derive(Clone, Copy, Default, PartialEq)]
enum Neighbour {
    #[default]
    None,
    One(usize),
    Several,
}

impl Neighbour {
    fn meet(&mut self, stage: usize) {
        *self = match *self {
            Neighbour::None => Neighbour::One(stage),
            Neighbour::One(same) if same == stage => return,
            _ => Neighbour::Several,
        };
    }
}

impl Forwarder {
    /// Hands a judged batch to the next stage, where it can go as a whole; returns that stage, which must run at once.
    ///
    /// Otherwise everything is as it was.
    pub(super) fn hand_over(&mut self, stage: &mut StageBox) -> Option<usize> {
        let (&first, n) = (stage.metas.first()?, stage.metas.len());
        let hops = &self.paths[first.path as usize].hops;
        let Some(&Hop::Stage(visit)) = hops.get(usize::from(first.hop) + 1) else {
            return None;
        };
        let heir = self.stages[visit.stage].as_deref()?;
        if !stage.stage.shares_arena_with(&heir.stage) {
            self.clear_arena(visit.stage);
        }
        let heir = self.stages[visit.stage].as_deref_mut()?;
        let goes_along = |(frame, meta): (&Frame, &Meta)| match frame.fate {
            Fate::Drop(_) => true,
            Fate::Pass | Fate::Unset => {
                meta.path == first.path
                    && meta.hop == first.hop
                    && meta.sent_by != Some(visit.stage as u32)
                    && frame.len as usize <= heir.max_frame
            }
            _ => false,
        };
        let frames = stage.frames.as_slice();
        if !heir.metas.is_empty()
            || !heir.takes_all_of(stage)
            || frames.len() != n
            || n > heir.slots
            || !frames.iter().zip(&stage.metas).all(goes_along)
        {
            return None;
        }
        self.ledger.stage_drops += move_on(stage, heir, visit, self.layer);
        stage.clear();
        (!heir.metas.is_empty()).then_some(visit.stage)
    }

    /// Gives the stages of each chain the same arena, and takes it from those that are in none.
    ///
    /// A chain is a row of stages each of which follows the one before it on every path that has both, and no other.
    pub(super) fn share_arenas(&mut self) {
        let mut chains = self.chains();
        chains.retain(|chain| chain.len() > 1);
        for (index, stage) in self.stages.iter_mut().enumerate() {
            if let Some(stage) = stage
                && !chains.iter().flatten().any(|member| *member == index)
            {
                stage.stage.unshare_arena();
            }
        }
        for chain in chains {
            if let Err(error) = self.share(&chain) {
                tracing::debug!("the stages of a chain do not share their arena: {error}");
                for member in chain {
                    if let Some(stage) = &mut self.stages[member] {
                        stage.stage.unshare_arena();
                    }
                }
            }
        }
    }

    fn share(&mut self, chain: &[usize]) -> io::Result<()> {
        let mut members = chain.iter().filter_map(|member| self.stages[*member].as_ref());
        let is_shared = members
            .next()
            .is_some_and(|first| members.all(|stage| stage.stage.shares_arena_with(&first.stage)));
        if is_shared {
            return Ok(());
        }
        let mut pages = None;
        for member in chain {
            let Some(stage) = &mut self.stages[*member] else {
                continue;
            };
            if pages.is_none() {
                let shape = stage.stage.arena_shape();
                pages = shape.map(SharedArena::new).transpose()?;
            }
            if let Some(pages) = &pages {
                stage.stage.share_arena(pages)?;
            }
        }
        Ok(())
    }

    /// Returns the rows of stages that can share an arena, a lone stage among them as a row of one.
    fn chains(&mut self) -> Vec<Vec<usize>> {
        let shapes: Vec<_> = self
            .stages
            .iter_mut()
            .map(|stage| stage.as_mut().and_then(|stage| stage.stage.arena_shape()))
            .collect();
        let mut next = vec![Neighbour::None; self.stages.len()];
        let mut before = next.clone();
        for hops in self.paths.iter().map(|path| &path.hops) {
            for pair in hops.windows(2) {
                if let [Hop::Stage(a), Hop::Stage(b)] = pair {
                    next[a.stage].meet(b.stage);
                    before[b.stage].meet(a.stage);
                }
            }
        }
        let follower = |a: usize| {
            let Neighbour::One(b) = next[a] else { return None };
            let is_only = before[b] == Neighbour::One(a) && shapes[a].is_some() && shapes[a] == shapes[b];
            let (first, second) = (self.stages[a].as_ref()?, self.stages[b].as_ref()?);
            (is_only && second.takes_all_of(first)).then_some(b)
        };
        let mut is_led = vec![false; self.stages.len()];
        for b in (0..self.stages.len()).filter_map(follower) {
            is_led[b] = true;
        }
        (0..self.stages.len())
            .filter(|index| !is_led[*index])
            .map(|head| std::iter::successors(Some(head), |a| follower(*a)).collect())
            .collect()
    }

    /// Sees to it that no other stage has frames where this one is about to get its first.
    pub(super) fn clear_arena(&mut self, index: usize) {
        while let Some(other) = self.holder(index) {
            self.run(other);
        }
    }

    /// Returns a stage that has frames in the pages of one that has none itself.
    fn holder(&self, index: usize) -> Option<usize> {
        let stage = self.stages[index].as_deref()?;
        if !stage.stage.shares_arena() || !stage.metas.is_empty() {
            return None;
        }
        self.stages.iter().position(|other| {
            other
                .as_deref()
                .is_some_and(|other| !other.metas.is_empty() && other.stage.shares_arena_with(&stage.stage))
        })
    }
}

/// Brings the frames that a stage let live into a buffer and settles what they lack, so that its arena may be another's.
pub(super) fn set_aside(stage: &mut StageBox, aside: &mut Vec<u8>, layer: Layer) {
    aside.clear();
    let from = stage.stage.arena().bytes;
    for (i, frame) in stage.frames.as_mut_slice().iter_mut().enumerate() {
        if matches!(frame.fate, Fate::Drop(_)) {
            continue;
        }
        let at = aside.len() + HEADROOM;
        if let Some(meta) = stage.metas.get_mut(i) {
            offload::settle(from, frame, meta, layer);
            (frame.csum_dirty, frame.csum_finished) = (false, false);
            (meta.off, meta.len) = (at as u32, frame.len);
        }
        aside.resize(at, 0);
        aside.extend_from_slice(&from[frame.off as usize..][..frame.len as usize]);
        frame.off = at as u32;
    }
}

/// Moves the frames that passed to the next stage, and returns how many were dropped.
fn move_on(stage: &mut StageBox, heir: &mut StageBox, visit: Visit, layer: Layer) -> u64 {
    let in_place = stage.stage.shares_arena_with(&heir.stage);
    std::mem::swap(&mut stage.frames, &mut heir.frames);
    std::mem::swap(&mut stage.metas, &mut heir.metas);
    let from = stage.stage.arena().bytes;
    let StageBox {
        stage: plugin,
        frames,
        metas,
        stride,
        ..
    } = heir;
    let mut kept = 0;
    let mut target = HEADROOM;
    for i in 0..metas.len() {
        let (frame, meta) = (&mut frames.as_mut_slice()[i], &mut metas[i]);
        if matches!(frame.fate, Fate::Drop(_)) {
            continue;
        }
        offload::settle(from, frame, meta, layer);
        meta.note_delay(frame, stage.id);
        meta.hop += 1;
        let (off, len) = (frame.off as usize, frame.len as usize);
        if !in_place {
            plugin.arena().bytes[target..target + len].copy_from_slice(&from[off..off + len]);
        } else if off != target {
            // Slots ascend, so this one is the frame's own or that of a frame which has gone.
            from.copy_within(off..off + len, target);
        }
        let arrival = Arrival {
            port: visit.port,
            flags: visit.flags | meta.flags(),
            ts_ns: frame.ts_ns,
            path: meta.path,
        };
        let arrived = Frame {
            mark: frame.mark,
            ..frame::frame(target, len, &arrival, &meta.offload)
        };
        frames.as_mut_slice()[kept] = arrived;
        if kept != i {
            metas[kept] = metas[i];
        }
        kept += 1;
        target += *stride;
    }
    let dropped = metas.len() - kept;
    frames.truncate(kept);
    metas.truncate(kept);
    // What was written by way of one mapping is read by way of another.
    compiler_fence(Ordering::SeqCst);
    dropped as u64
}
