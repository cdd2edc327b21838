//! What a worker lends the pipeline at work.

use vnet_runtime::Frames;

use crate::frame::{BATCH, BIG_FRAME_MAX, FRAME_MAX, HEADROOM, Meta, SPILL};
use crate::port::Outbox;
use crate::turn::Turns;

/// Distance of the slots of the worker's own arena.
const STRIDE: usize = (HEADROOM + FRAME_MAX + 64).next_multiple_of(64);

/// Slots for frames beyond [`FRAME_MAX`].
const BIG_SLOTS: usize = 16;

/// Memory that is empty between two turns: a worker has one and lends it to whichever pipeline is at work, so that a
/// pipeline by itself is small.
///
/// [`Scratch::default`] holds and allocates nothing; it is what lies in a pipeline that is not at work.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(super) own: Own,
    /// The same with fewer and larger slots, once a port needs them.
    pub(super) big: Own,
    pub(super) spill: Vec<u8>,
    /// Where segments are cut.
    pub(super) segment: Vec<u8>,
    /// Frames of a stage whose arena may become another's.
    pub(super) aside: Vec<u8>,
    pub(super) turns: Turns,
    /// Takes the place of `turns` while those are carried on.
    pub(super) spare_turns: Turns,
    /// Frames that wait to be written together; empty whenever nobody's bytes are at hand.
    pub(super) outbox: Outbox,
    /// Reads of one port before others get their turn.
    rounds: usize,
}

/// The worker's own arena, for ports whose first stage cannot be read into directly.
#[derive(Default)]
pub(super) struct Own {
    pub bytes: Vec<u8>,
    pub stride: usize,
    pub slots: usize,
    pub frames: Frames,
    pub metas: Vec<Meta>,
}

/// Reads of one port in a turn that keeps nobody waiting but other ports.
const ROUNDS: usize = 8;

impl Own {
    fn new(stride: usize, slots: usize) -> Self {
        Self {
            bytes: vec![0; stride * slots],
            stride,
            slots,
            frames: Frames::with_capacity(slots),
            metas: Vec::with_capacity(slots),
        }
    }

    /// The longest frame a slot holds.
    pub(super) fn max_frame(&self) -> usize {
        if self.slots == BIG_SLOTS {
            BIG_FRAME_MAX
        } else {
            FRAME_MAX
        }
    }
}

impl Scratch {
    /// Takes the arena that frames of up to `longest` bytes are read into; [`give_own`](Self::give_own) gives it back.
    pub(super) fn take_own(&mut self, longest: usize) -> Own {
        if longest <= FRAME_MAX {
            return std::mem::take(&mut self.own);
        }
        if self.big.slots == 0 {
            let stride = (HEADROOM + BIG_FRAME_MAX + 64).next_multiple_of(64);
            self.big = Own::new(stride, BIG_SLOTS);
        }
        std::mem::take(&mut self.big)
    }

    pub(super) fn give_own(&mut self, own: Own) {
        if own.slots == BIG_SLOTS {
            self.big = own;
        } else {
            self.own = own;
        }
    }

    /// Has turns be short, for frames that are to be released on time.
    pub(crate) fn keep_turns_short(&mut self, short: bool) {
        self.rounds = if short { 1 } else { ROUNDS };
    }

    pub(super) fn rounds(&self) -> usize {
        self.rounds
    }

    pub(crate) fn new() -> Self {
        Self {
            own: Own::new(STRIDE, BATCH),
            big: Own::default(),
            spill: vec![0; SPILL],
            segment: vec![0; HEADROOM + FRAME_MAX],
            aside: Vec::with_capacity(2 * BATCH * STRIDE),
            turns: Turns::new(),
            spare_turns: Turns::new(),
            outbox: Outbox::new(),
            rounds: ROUNDS,
        }
    }
}
