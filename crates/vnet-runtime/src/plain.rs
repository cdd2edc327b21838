//! Batches as most are: every frame starts behind the headroom of its slot, port and flags are the same, there is no mark.
//!
//! Descriptors of such frames differ by slot, length and time alone, so they are written and compared without looking at the rest of
//! each frame first: what breaks a rule is found afterwards, for all frames in one.

use std::mem::{offset_of, size_of};

use vnet_abi::{DESC_SIZE, HEADROOM, verdict};

use crate::frames::{Fate, Frame};
use crate::layout::Layout;
use crate::ring::{Words, put, word};
use crate::wide;

/// What the descriptors of a plain batch have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain {
    /// Address of the frame in slot 0.
    pub(crate) first: u64,
    /// Bytes from one slot to the next.
    pub(crate) slot: u64,
    /// Where the arena starts.
    pub(crate) arena: u64,
    /// Room behind the headroom of a slot.
    pub(crate) cap: u64,
    pub(crate) port: u16,
    pub(crate) flags: u16,
}

// The order of a frame's words, which are read and compared as such.
const _: () = {
    assert!(size_of::<Frame>() == 40 && DESC_SIZE == 40);
    assert!(offset_of!(Frame, off) == 0 && offset_of!(Frame, len) == 4);
    assert!(
        offset_of!(Frame, port) == 8 && offset_of!(Frame, flags) == 10 && offset_of!(Frame, gso_size) == 12
    );
    assert!(offset_of!(Frame, mark) == 16 && offset_of!(Frame, ts_ns) == 32);
};

/// The bits of a frame's second word that are port, flags and segment size.
const TOLD: u64 = 0xffff_ffff_ffff;

/// What the frames of a batch were found to be, all in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The lower half is 0 where all frames start where they should, the top bit where none is empty.
    pub(crate) above: u64,
    /// The top bit is 0 where none is too long.
    pub(crate) beyond: u64,
    /// Lengths less one, in the upper half.
    pub(crate) lengths: u64,
    /// Bits of the second words that some frame has, and those that all have.
    pub(crate) some: u64,
    pub(crate) all: u64,
    /// Bits of the third words that some frame has.
    pub(crate) marks: u64,
}

impl Plain {
    #[inline(always)]
    pub(crate) fn new(layout: &Layout, port: u16, flags: u16) -> Plain {
        Plain {
            first: (layout.arena + HEADROOM) as u64,
            slot: layout.slot as u64,
            arena: layout.arena as u64,
            cap: (layout.slot - HEADROOM) as u64,
            port,
            flags,
        }
    }

    /// Returns the descriptor of the frame in slot `d`, but for its length and time.
    #[inline(always)]
    pub(crate) fn words(&self, d: usize, verdict: u8) -> Words {
        // Guest memory is far smaller than 32 bits hold.
        let off = self.first.wrapping_add((d as u64).wrapping_mul(self.slot));
        let state = self.cap | u64::from(verdict) << 32 | u64::from(self.flags) << 48;
        [off, state, u64::from(self.port), 0, 0]
    }

    /// Returns where the frame of slot 0 starts within the arena and, in the upper half, the least length.
    #[inline(always)]
    pub(crate) fn least(&self) -> u64 {
        self.first.wrapping_sub(self.arena) | 1 << 32
    }

    /// Returns how much more than that a frame's start and length may be: nothing, and less than the slot's room.
    #[inline(always)]
    pub(crate) fn most(&self) -> u64 {
        self.cap.wrapping_sub(1) << 32
    }

    /// Writes the descriptors of frames, the d-th in slot d; returns the frames' bytes, or `None` where the batch is not plain: what
    /// was written means nothing then.
    #[inline(always)]
    pub(crate) fn show(&self, frames: &[Frame], ring: &mut [[u8; DESC_SIZE]]) -> Option<u64> {
        let (seen, done) = wide::show(self, frames, ring);
        let seen = self.show_rest(frames, ring, seen, done);
        let placed = seen.above as u32 == 0 && (seen.above | seen.beyond) >> 63 == 0;
        let same = u64::from(self.port) | u64::from(self.flags) << 16;
        let told = seen.some & TOLD == same && seen.all & TOLD == same && seen.marks as u32 == 0;
        // Frames that are placed lie in one memory, so their lengths add up to less than 32 bits hold.
        (placed && told).then_some((seen.lengths >> 32).wrapping_add(frames.len() as u64))
    }

    /// Lets frames pass, the first of which is in slot `from`, as long as the guest left their descriptors as they were shown, but
    /// with the verdict `passes`; returns how many.
    #[inline(always)]
    pub(crate) fn pass(
        &self,
        frames: &mut [Frame],
        ring: &[[u8; DESC_SIZE]],
        from: usize,
        passes: u8,
    ) -> usize {
        let passed = wide::pass(self, frames, ring, from, passes);
        self.pass_rest(frames, ring, from, passes, passed)
    }

    /// Shows the frames from the `done`-th on, and adds what they are to `seen`.
    #[inline(always)]
    fn show_rest(&self, frames: &[Frame], ring: &mut [[u8; DESC_SIZE]], mut seen: Seen, done: usize) -> Seen {
        for (d, (frame, desc)) in frames.iter().zip(ring).enumerate().skip(done) {
            let least = self.least().wrapping_add((d as u64).wrapping_mul(self.slot));
            seen.add(frame, least, self.most());
            put(desc, self.described(frame, d, verdict::UNSET));
        }
        seen
    }

    /// Does what [`Plain::pass`] does with the frames from the `passed`-th on.
    #[inline(always)]
    fn pass_rest(
        &self,
        frames: &mut [Frame],
        ring: &[[u8; DESC_SIZE]],
        from: usize,
        passes: u8,
        mut passed: usize,
    ) -> usize {
        for (frame, desc) in frames.iter_mut().zip(ring).skip(passed) {
            let found = [
                word::<0>(desc),
                word::<8>(desc),
                word::<16>(desc),
                word::<24>(desc),
                word::<32>(desc),
            ];
            if found != self.described(frame, from + passed, passes) {
                break;
            }
            frame.fate = Fate::Pass;
            passed += 1;
        }
        passed
    }

    /// Returns the descriptor of a frame in slot `d`.
    #[inline(always)]
    fn described(&self, frame: &Frame, d: usize, verdict: u8) -> Words {
        let mut words = self.words(d, verdict);
        words[0] |= u64::from(frame.len) << 32;
        words[4] = frame.ts_ns;
        words
    }
}

impl Seen {
    pub(crate) const NOTHING: Seen = Seen {
        above: 0,
        beyond: 0,
        lengths: 0,
        some: 0,
        all: u64::MAX,
        marks: 0,
    };

    #[inline(always)]
    fn add(&mut self, frame: &Frame, least: u64, most: u64) {
        let more = (u64::from(frame.off) | u64::from(frame.len) << 32).wrapping_sub(least);
        self.above |= more;
        self.beyond |= most.wrapping_sub(more);
        self.lengths = self.lengths.wrapping_add(more);
        let told = u64::from(frame.port) | u64::from(frame.flags) << 16 | u64::from(frame.gso_size) << 32;
        self.some |= told;
        self.all &= told;
        self.marks |= u64::from(frame.mark);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use vnet_abi::{RING_MAX, flags};

    use super::*;

    const SLOT: usize = 256;

    fn plain() -> Plain {
        let layout = Layout {
            ring: 64,
            desc_size: DESC_SIZE,
            ring_len: 128,
            arena: 8192,
            arena_len: 128 * SLOT,
            slot: SLOT,
            flags: 0,
        };
        Plain::new(&layout, 3, flags::EGRESS)
    }

    /// Frames that are plain but for at most a few, each of which breaks one rule.
    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let frame = (1..=(SLOT - HEADROOM) as u32, any::<u64>(), any::<bool>());
        let odd = (any::<prop::sample::Index>(), 0..8, any::<u32>());
        (vec(frame, 1..70), vec(odd, 0..3)).prop_map(|(list, odd)| {
            let mut frames: Vec<Frame> = (0..)
                .zip(list)
                .map(|(i, (len, ts_ns, csum_dirty))| Frame {
                    off: i * SLOT as u32 + HEADROOM as u32,
                    len,
                    port: 3,
                    flags: flags::EGRESS,
                    ts_ns,
                    csum_dirty,
                    // Neither is a matter of the plugin's before the call.
                    delay_us: ts_ns as u32,
                    fate: Fate::Redirect(ts_ns as u16),
                    ..Frame::default()
                })
                .collect();
            for (at, rule, value) in odd {
                let frame = at.get_mut(&mut frames);
                match rule {
                    0 => frame.off = frame.off.wrapping_add(value),
                    1 => frame.len = 0,
                    2 => frame.len = value,
                    3 => frame.port = value as u16,
                    4 => frame.flags = value as u16,
                    5 => frame.gso_size = value as u16,
                    6 => frame.mark = value,
                    _ => frame.off = frame.off.wrapping_sub(1),
                }
            }
            frames
        })
    }

    fn is_plain(frames: &[Frame]) -> bool {
        frames.iter().enumerate().all(|(i, frame)| {
            frame.off as usize == i * SLOT + HEADROOM
                && (1..=SLOT - HEADROOM).contains(&(frame.len as usize))
                && (frame.port, frame.flags, frame.gso_size, frame.mark) == (3, flags::EGRESS, 0, 0)
        })
    }

    proptest! {
        #[test]
        fn shows_frames_and_knows_plain_batches_with_and_without_wide_registers(frames in frames()) {
            let plain = plain();
            let (mut ring, mut one_by_one) = ([[0xee; DESC_SIZE]; RING_MAX], [[0xee; DESC_SIZE]; RING_MAX]);
            let bytes = plain.show(&frames, &mut ring);
            let total = frames.iter().map(|frame| u64::from(frame.len)).sum();
            prop_assert_eq!(bytes, is_plain(&frames).then_some(total));
            plain.show_rest(&frames, &mut one_by_one, Seen::NOTHING, 0);
            prop_assert!(ring == one_by_one);
            prop_assert!(ring[frames.len()..].iter().flatten().all(|byte| *byte == 0xee), "behind the frames");
        }

        #[test]
        fn lets_pass_up_to_the_first_change(
            list in frames(),
            from in 0..9_usize,
            passes in prop::sample::select(vec![verdict::PASS, verdict::UNSET]),
            change in prop::option::of((any::<prop::sample::Index>(), 0..DESC_SIZE, 1..=u8::MAX)),
        ) {
            let plain = plain();
            let from = from.min(list.len() - 1);
            let mut ring = [[0; DESC_SIZE]; RING_MAX];
            plain.show(&list, &mut ring);
            for desc in &mut ring[..list.len()] {
                desc[12] = passes;
            }
            let mut changed = list.len();
            if let Some((at, byte, bits)) = change {
                changed = from + at.index(list.len() - from);
                ring[changed][byte] ^= bits;
            }
            let mut frames = list.clone();
            let passed = plain.pass(&mut frames[from..], &ring[from..], from, passes);
            prop_assert_eq!(passed, changed - from);
            let mut one_by_one = list.clone();
            plain.pass_rest(&mut one_by_one[from..], &ring[from..], from, passes, 0);
            prop_assert_eq!(&frames, &one_by_one);
            for (i, (frame, before)) in frames.iter().zip(&list).enumerate() {
                let fate = if (from..changed).contains(&i) { Fate::Pass } else { before.fate };
                prop_assert_eq!(frame, &Frame { fate, ..*before });
            }
        }
    }
}
