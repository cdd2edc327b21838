//! Goes on after a batch-form plugin failed while it had frames.

use std::ops::Range;

use vnet_abi::{DESC_SIZE, verdict};

use crate::failure::Failure;
use crate::frames::{Fate, Frame, Frames, Reason};
use crate::instance::{Entry, Instance};
use crate::judge::take_place;
use crate::ring::answer;
use crate::stage::Stage;
use crate::tally::Offence;

impl Stage {
    /// Goes on after a failure: the judged frames keep their verdicts, the first unjudged one is dropped, the rest
    /// is offered to a fresh instance. `order[d]` is the frame in slot `d`.
    #[cold]
    pub(crate) fn recover(&mut self, frames: &mut Frames, mut order: Vec<usize>, mut failure: Box<Failure>) {
        let stride = self.stride;
        let offered = order.len();
        // Every frame that lives on waits here, in the slot it had first, while instances come and go.
        let mut spare = vec![0; stride * self.slots];
        let mut home = vec![0; frames.len()];
        for (d, i) in order.iter().enumerate() {
            home[*i] = d;
        }
        loop {
            let (rest, dropped) = self.salvage(frames, &order, &home, &mut spare);
            if !self.replace(&failure, &dropped) {
                for i in rest {
                    let frame = &mut frames.list[i];
                    frame.fate = self.fate_without_instance();
                    self.tally.count(frame.fate);
                }
                self.arena = spare;
                return;
            }
            if rest.is_empty() {
                break;
            }
            let Some(instance) = &mut self.instance else { break };
            for (d, i) in rest.iter().enumerate() {
                carry(&spare, instance.slots(), &mut frames.list[*i], d, stride);
            }
            let known = frames.len();
            match self.offer_some(frames, &rest, self.slots - offered) {
                None => break,
                Some(Ok(())) => {
                    let Some(instance) = &mut self.instance else { break };
                    for i in rest {
                        carry(instance.slots(), &mut spare, &mut frames.list[i], home[i], stride);
                    }
                    for (j, frame) in frames.list[known..].iter_mut().enumerate() {
                        carry(instance.slots(), &mut spare, frame, offered + j, stride);
                    }
                    break;
                }
                Some(Err(again)) => (failure, order) = (again, rest),
            }
        }
        if let Some(instance) = &mut self.instance {
            let slots = instance.slots();
            for frame in frames.list.iter().filter(|frame| lives(frame)) {
                if let Some(range) = range(frame, slots.len()) {
                    slots[range.clone()].copy_from_slice(&spare[range]);
                }
            }
        }
    }

    /// Takes what a failed instance leaves: settles the judged frames and copies all that live on into `spare`.
    ///
    /// Returns the frames to be offered again, and the bytes of the one that was dropped.
    fn salvage(
        &mut self,
        frames: &mut Frames,
        order: &[usize],
        home: &[usize],
        spare: &mut [u8],
    ) -> (Vec<usize>, Vec<u8>) {
        let stride = self.stride;
        let (mut rest, mut dropped) = (Vec::new(), None);
        let Some(Instance {
            store,
            memory,
            entry: Entry::Batch { ring, .. },
            ..
        }) = &mut self.instance
        else {
            return (rest, Vec::new());
        };
        let layout = ring.layout;
        let memory = memory.data(&*store);
        let slots = &memory[layout.arena..layout.arena + layout.slots_len()];
        let descs = ring.bytes(memory).chunks_exact(layout.desc_size);
        for ((d, i), desc) in order.iter().enumerate().zip(descs) {
            let Some(desc) = desc.first_chunk::<DESC_SIZE>() else {
                continue;
            };
            let (answer, frame) = (answer(desc), &mut frames.list[*i]);
            if answer.verdict != verdict::UNSET {
                self.judge.settle(&layout, d, &answer, frame, &mut self.tally);
                self.tally.count(frame.fate);
                carry(slots, spare, frame, home[*i], stride);
                continue;
            }
            let placed = take_place(&layout, d, &answer, frame);
            if dropped.is_none() {
                dropped = Some(
                    range(frame, slots.len())
                        .map(|range| slots[range].to_vec())
                        .unwrap_or_default(),
                );
                frame.fate = Fate::Drop(Reason::Fault);
            } else if !placed {
                self.tally.offence(Offence::Desc);
                frame.fate = Fate::Drop(Reason::BadDesc);
            } else if frame.len == 0 {
                frame.fate = Fate::Drop(Reason::Empty);
            } else {
                carry(slots, spare, frame, home[*i], stride);
                rest.push(*i);
                continue;
            }
            self.tally.count(frame.fate);
        }
        (rest, dropped.unwrap_or_default())
    }
}

fn lives(frame: &Frame) -> bool {
    !matches!(frame.fate, Fate::Drop(_))
}

/// Returns a frame's bytes as a range of an arena, where they lie in it.
pub(crate) fn range(frame: &Frame, arena: usize) -> Option<Range<usize>> {
    let start = frame.off as usize;
    let end = start.checked_add(frame.len as usize)?;
    (end <= arena).then_some(start..end)
}

/// Copies a frame that lives on into slot `slot` of another arena, at the same place within the slot.
fn carry(from: &[u8], to: &mut [u8], frame: &mut Frame, slot: usize, stride: usize) {
    let Some(source) = range(frame, from.len()).filter(|_| lives(frame)) else {
        return;
    };
    let target = slot * stride + source.start % stride;
    to[target..target + source.len()].copy_from_slice(&from[source]);
    frame.off = target as u32;
}
