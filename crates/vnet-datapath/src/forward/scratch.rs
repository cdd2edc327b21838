//! What a worker lends the pipeline at work.

use vnet_runtime::Frames;

use crate::frame::{BATCH, FRAME_MAX, HEADROOM, Meta, SPILL};
use crate::port::Outbox;
use crate::turn::Turns;

/// Distance of the slots of the worker's own arena.
pub(super) const STRIDE: usize = (HEADROOM + FRAME_MAX + 64).next_multiple_of(64);

/// Memory that is empty between two turns: a worker has one and lends it to whichever pipeline is at work, so that a
/// pipeline by itself is small.
///
/// [`Scratch::default`] holds and allocates nothing; it is what lies in a pipeline that is not at work.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(super) own: Own,
    pub(super) spill: Vec<u8>,
    /// Where segments are cut.
    pub(super) segment: Vec<u8>,
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
    pub frames: Frames,
    pub metas: Vec<Meta>,
}

/// Reads of one port in a turn that keeps nobody waiting but other ports.
const ROUNDS: usize = 8;

impl Scratch {
    /// Has turns be short, for frames that are to be released on time.
    pub(crate) fn keep_turns_short(&mut self, short: bool) {
        self.rounds = if short { 1 } else { ROUNDS };
    }

    pub(super) fn rounds(&self) -> usize {
        self.rounds
    }

    pub(crate) fn new() -> Self {
        Self {
            own: Own {
                bytes: vec![0; STRIDE * BATCH],
                frames: Frames::with_capacity(BATCH),
                metas: Vec::with_capacity(BATCH),
            },
            spill: vec![0; SPILL],
            segment: vec![0; HEADROOM + FRAME_MAX],
            turns: Turns::new(),
            spare_turns: Turns::new(),
            outbox: Outbox::new(),
            rounds: ROUNDS,
        }
    }
}
