//! Runs a batch-form plugin: one call judges all frames, which lie in its own memory.

use vnet_abi::{DESC_SIZE, HEADROOM, HOST_RESERVED, export, flags};

use crate::failure::Failure;
use crate::frames::{Fate, Frame, Frames, Reason};
use crate::guest::allow;
use crate::instance::{Entry, Instance};
use crate::judge::Judge;
use crate::layout::Layout;
use crate::recover::range;
use crate::ring::{Answer, Ring, answer, word};
use crate::stage::{BATCH_BUDGET, Stage};
use crate::tally::{Offence, Tally};

/// Frames that are settled one by one after one that did not just pass.
const RUN: usize = 16;

impl Stage {
    #[inline]
    pub(crate) fn run_batch(&mut self, frames: &mut Frames) {
        if self.instance.is_none() && !self.move_in(frames) {
            return;
        }
        let Some(bytes) = self.fill(&frames.list) else {
            return self.run_odd(frames);
        };
        self.tally.bytes_in += bytes;
        if let Err(failure) = self.offer(frames, None, usize::MAX) {
            self.recover(frames, (0..frames.len()).collect(), failure);
        }
    }

    /// Makes an instance where one is due and moves the frames into it; else settles them without.
    #[cold]
    fn move_in(&mut self, frames: &mut Frames) -> bool {
        if !self.revive_if_due() {
            self.tally.bytes_in += frames.bytes();
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

    /// Writes the descriptors; returns the frames' bytes, or `None` where not all may be offered.
    #[inline]
    fn fill(&mut self, frames: &[Frame]) -> Option<u64> {
        let Some(Instance {
            store,
            memory,
            entry: Entry::Batch { ring, .. },
            ..
        }) = &mut self.instance
        else {
            return None;
        };
        ring.fill(memory.data_mut(store), frames)
    }

    /// Fills in the frames of `order` and offers them, as [`Stage::offer`] does; `None` where they cannot be offered.
    pub(crate) fn offer_some(
        &mut self,
        frames: &mut Frames,
        order: &[usize],
        room: usize,
    ) -> Option<Result<(), Box<Failure>>> {
        let list: Vec<_> = order.iter().map(|i| frames.list[*i]).collect();
        self.fill(&list).map(|_| self.offer(frames, Some(order), room))
    }

    /// Calls the plugin with the frames that were filled in, and settles them and at most `room` appended ones.
    ///
    /// They are those of `order`, else all. On failure nothing is settled.
    #[inline]
    fn offer(
        &mut self,
        frames: &mut Frames,
        order: Option<&[usize]>,
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
        let n = order.map_or(frames.len(), <[_]>::len);
        let first = frames.list[order.map_or(0, |order| order[0])];
        store.data_mut().now_ns = first.ts_ns;
        allow(store, BATCH_BUDGET);
        let returned = match on_batch.call(&mut *store, (ring.layout.ring as i32, n as i32)) {
            Ok(returned) if returned < 0 => return Err(Failure::of_answer(export::ON_BATCH, returned)),
            Ok(returned) => returned as usize,
            Err(error) => return Err(Failure::of_call(export::ON_BATCH, &error)),
        };
        let memory = memory.data(&*store);
        let (judge, tally) = (self.judge, &mut self.tally);
        match order {
            None => settle(judge, tally, ring, memory, &mut frames.list),
            Some(order) => settle_some(judge, tally, ring, memory, &mut frames.list, order),
        }
        if returned > 0 {
            let (layout, descs) = (ring.layout, ring.bytes(memory));
            append(judge, tally, &layout, descs, frames, n, returned, room, &first);
        }
        self.timed(timer, n);
        Ok(())
    }

    /// Runs a batch in which frames are empty, too long or not in their slot: those are settled here, the others moved together.
    #[cold]
    fn run_odd(&mut self, frames: &mut Frames) {
        let stride = self.stride;
        self.tally.bytes_in += frames.bytes();
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
        if let Some(Err(failure)) = self.offer_some(frames, &order, usize::MAX) {
            self.recover(frames, order, failure);
        }
    }
}

/// Settles the frames of a normal return.
#[inline]
fn settle(judge: Judge, tally: &mut Tally, ring: &mut Ring, memory: &[u8], frames: &mut [Frame]) {
    let layout = ring.layout;
    let descs = ring.bytes(memory);
    if let Some(first) = descs.first_chunk() {
        ring.note(answer(first).verdict);
    }
    let mut done = 0;
    while done < frames.len() {
        let passed = ring.pass(&mut frames[done..], descs, done);
        tally.passed += passed as u64;
        done += passed;
        let end = (done + RUN).min(frames.len());
        let rest = &descs[done * layout.desc_size..];
        settle_each(judge, tally, &layout, rest, done, &mut frames[done..end]);
        done = end;
    }
}

/// Settles those frames of a normal return that `order` names.
#[cold]
fn settle_some(
    judge: Judge,
    tally: &mut Tally,
    ring: &mut Ring,
    memory: &[u8],
    frames: &mut [Frame],
    order: &[usize],
) {
    let mut list: Vec<_> = order.iter().map(|i| frames[*i]).collect();
    settle(judge, tally, ring, memory, &mut list);
    for (i, frame) in order.iter().zip(list) {
        frames[*i] = frame;
    }
}

/// Settles the frames in the slots from `first` on, one by one.
fn settle_each(
    judge: Judge,
    tally: &mut Tally,
    layout: &Layout,
    descs: &[u8],
    first: usize,
    frames: &mut [Frame],
) {
    let (mut passed, mut redirected) = (0_u64, 0_u64);
    let arena = layout.arena as u64;
    let descs = descs.chunks_exact(layout.desc_size);
    for (d, (frame, desc)) in frames.iter_mut().zip(descs).enumerate() {
        let Some(desc) = desc.first_chunk() else { continue };
        let (place, mark) = (word::<0>(desc), word::<24>(desc));
        let (state, ports) = ((word::<8>(desc) >> 32) as u32, word::<16>(desc));
        let told = u64::from(frame.off).wrapping_add(arena) & 0xffff_ffff | u64::from(frame.len) << 32;
        let flags = u32::from(frame.flags) << 16;
        // It lies where it lay, which was checked before the call, and nothing is asked for but a verdict.
        if place == told && state & !0xff == flags && mark == u64::from(frame.mark) {
            let (verdict, out_port, reason) = (state as u8, (ports >> 16) as u16, (ports >> 48) as u16);
            frame.fate = judge.fate(verdict, out_port, reason, frame.port, tally);
            match frame.fate {
                Fate::Pass => passed += 1,
                Fate::Redirect(_) => redirected += 1,
                fate => tally.count(fate),
            }
        } else {
            settle_special(judge, tally, layout, first + d, &answer(desc), frame);
        }
    }
    tally.passed += passed;
    tally.redirected += redirected;
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
