//! Runs a batch-form plugin: one call judges all frames, which lie in its own memory.

use vnet_abi::{DESC_SIZE, HEADROOM, HOST_RESERVED, export, flags, verdict};

use crate::failure::Failure;
use crate::frames::{Fate, Frame, Frames, Reason};
use crate::guest::allow;
use crate::instance::{Entry, Instance};
use crate::judge::Judge;
use crate::layout::Layout;
use crate::recover::range;
use crate::ring::{Answer, answer};
use crate::stage::{BATCH_BUDGET, Stage};
use crate::tally::{Offence, Tally};

/// Flags that take a frame off the shortest way through [`settle`].
const SPECIAL: u16 = flags::CSUM_DIRTY | flags::DELAY | flags::CSUM_PARTIAL;

impl Stage {
    #[inline]
    pub(crate) fn run_batch(&mut self, frames: &mut Frames) {
        if self.instance.is_none() && !self.move_in(frames) {
            return;
        }
        let n = frames.len();
        if !self.fill(&frames.list, n, |d| d) {
            return self.run_odd(frames);
        }
        if let Err(failure) = self.offer(frames, n, |d| d, usize::MAX) {
            self.recover(frames, (0..n).collect(), failure);
        }
    }

    /// Makes an instance where one is due and moves the frames into it; else settles them without.
    #[cold]
    fn move_in(&mut self, frames: &mut Frames) -> bool {
        if !self.revive_if_due() {
            for frame in &mut frames.list {
                frame.fate = self.fate_without_instance();
                self.tally.count(frame.fate);
            }
            return false;
        }
        if let Some(instance) = &mut self.instance {
            let slots = instance.slots();
            for range in frames
                .list
                .iter()
                .filter_map(|frame| range(frame, self.arena.len()))
            {
                slots[range.clone()].copy_from_slice(&self.arena[range]);
            }
        }
        self.arena = Vec::new();
        true
    }

    #[inline]
    pub(crate) fn fill(&mut self, frames: &[Frame], n: usize, at: impl Fn(usize) -> usize) -> bool {
        let Some(Instance {
            store,
            memory,
            entry: Entry::Batch { ring, .. },
            ..
        }) = &mut self.instance
        else {
            return false;
        };
        ring.fill(memory.data_mut(store), frames, n, at)
    }

    /// Calls the plugin with the `n` frames that were filled in, and settles them and at most `room` appended ones.
    ///
    /// On failure nothing is settled.
    #[inline]
    pub(crate) fn offer(
        &mut self,
        frames: &mut Frames,
        n: usize,
        at: impl Fn(usize) -> usize + Copy,
        room: usize,
    ) -> Result<(), Box<Failure>> {
        let timer = self.timer();
        let Some(Instance {
            store,
            memory,
            entry: Entry::Batch { on_batch, ring },
            ..
        }) = &mut self.instance
        else {
            return Ok(());
        };
        let first = frames.list[at(0)];
        store.data_mut().now_ns = first.ts_ns;
        allow(store, BATCH_BUDGET);
        let returned = match on_batch.call(&mut *store, (ring.layout.ring as i32, n as i32)) {
            Ok(returned) if returned < 0 => return Err(Failure::of_answer(export::ON_BATCH, returned)),
            Ok(returned) => returned as usize,
            Err(error) => return Err(Failure::of_call(export::ON_BATCH, &error)),
        };
        let layout = ring.layout;
        let descs = ring.bytes(memory.data(&*store));
        settle(
            self.judge,
            &mut self.tally,
            &layout,
            descs,
            &mut frames.list,
            n,
            at,
        );
        if returned > 0 {
            append(
                self.judge,
                &mut self.tally,
                &layout,
                descs,
                frames,
                n,
                returned,
                room,
                &first,
            );
        }
        self.timed(timer, n);
        Ok(())
    }

    /// Runs a batch in which frames are empty, too long or not in their slot: those are settled here, the others moved together.
    #[cold]
    fn run_odd(&mut self, frames: &mut Frames) {
        let stride = self.stride;
        let mut order = Vec::new();
        let Some(instance) = &mut self.instance else {
            return;
        };
        let slots = instance.slots();
        for (i, frame) in frames.list.iter_mut().enumerate() {
            let (slot, inside) = (frame.off as usize / stride, frame.off as usize % stride);
            let d = order.len();
            let reason = if frame.len == 0 {
                Reason::Empty
            } else if inside + frame.len as usize > stride {
                Reason::Oversize
            } else if inside < HOST_RESERVED || slot < d || slot * stride >= slots.len() {
                Reason::BadDesc
            } else {
                let target = d * stride + inside;
                let off = frame.off as usize;
                slots.copy_within(off..off + frame.len as usize, target);
                frame.off = target as u32;
                order.push(i);
                continue;
            };
            frame.fate = Fate::Drop(reason);
            self.tally.count(frame.fate);
        }
        let n = order.len();
        if n > 0 && self.fill(&frames.list, n, |d| order[d]) {
            let offered = self.offer(frames, n, |d| order[d], usize::MAX);
            if let Err(failure) = offered {
                self.recover(frames, order, failure);
            }
        }
    }
}

/// Settles the `n` frames of a normal return.
#[inline]
fn settle(
    judge: Judge,
    tally: &mut Tally,
    layout: &Layout,
    descs: &[u8],
    frames: &mut [Frame],
    n: usize,
    at: impl Fn(usize) -> usize,
) {
    let (mut passed, mut dropped) = (0_u64, 0_u64);
    let (arena, slot) = (layout.arena as u64, layout.slot as u64);
    let mut start = arena;
    for (d, desc) in descs.chunks_exact(layout.desc_size).take(n).enumerate() {
        let Some(desc) = desc.first_chunk::<DESC_SIZE>() else {
            continue;
        };
        let answer = answer(desc);
        let frame = &mut frames[at(d)];
        let inside = u64::from(answer.off).wrapping_sub(start);
        // A frame before its slot wraps to a number beyond any slot.
        let placed = inside >= HOST_RESERVED as u64
            && inside < slot
            && inside + u64::from(answer.len) <= slot
            && answer.len != 0
            && (answer.flags ^ frame.flags) & SPECIAL == 0;
        start = start.wrapping_add(slot);
        let passes = answer.verdict == verdict::PASS || answer.verdict == verdict::UNSET;
        let drops = answer.verdict == verdict::DROP && answer.reason == 0;
        if placed && (passes || drops) {
            frame.off = u64::from(answer.off).wrapping_sub(arena) as u32;
            frame.len = answer.len;
            frame.mark = answer.mark;
            frame.fate = if passes {
                Fate::Pass
            } else {
                Fate::Drop(Reason::Plugin(0))
            };
            passed += u64::from(passes);
            dropped += u64::from(drops);
        } else {
            settle_special(judge, tally, layout, d, &answer, frame);
        }
    }
    tally.passed += passed;
    tally.dropped += dropped;
    tally.plain += dropped;
}

#[inline(never)]
fn settle_special(
    judge: Judge,
    tally: &mut Tally,
    layout: &Layout,
    d: usize,
    answer: &Answer,
    frame: &mut Frame,
) {
    judge.settle(layout, d, answer, frame, tally);
    tally.count(frame.fate);
}

/// Takes the frames that the plugin appended.
#[expect(clippy::too_many_arguments, reason = "the parts of a stage, borrowed apart")]
#[inline(never)]
fn append(
    judge: Judge,
    tally: &mut Tally,
    layout: &Layout,
    descs: &[u8],
    frames: &mut Frames,
    n: usize,
    appended: usize,
    room: usize,
    first: &Frame,
) {
    if appended > (layout.ring_len - n).min(room) {
        tally.offence(Offence::Append);
        return;
    }
    for (d, desc) in descs
        .chunks_exact(layout.desc_size)
        .enumerate()
        .skip(n)
        .take(appended)
    {
        let Some(desc) = desc.first_chunk::<DESC_SIZE>() else {
            continue;
        };
        let mut frame = Frame {
            off: (d * layout.slot + HEADROOM) as u32,
            port: first.port,
            flags: first.flags & (flags::L3 | flags::EGRESS),
            ts_ns: first.ts_ns,
            appended: true,
            ..Frame::default()
        };
        judge.settle_appended(layout, d, &answer(desc), &mut frame, tally);
        tally.appended += 1;
        tally.count(frame.fate);
        frames.list.push(frame);
    }
}
