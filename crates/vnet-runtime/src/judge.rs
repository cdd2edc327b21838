//! Turns what a guest answers into what becomes of a frame.

use vnet_abi::{DELAY_MAX_US, FLOOD, HOST_RESERVED, flags, verdict};

use crate::frames::{Fate, Frame, Reason};
use crate::layout::Layout;
use crate::ring::Answer;
use crate::tally::{Offence, Tally};

/// Judges verdicts; knows which ports exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judge {
    pub(crate) ports: u16,
}

impl Judge {
    /// Returns the fate that a verdict means for a frame that arrived on `arrival`; counts a verdict that breaks a rule.
    #[inline]
    pub(crate) fn fate(
        self,
        verdict: u8,
        out_port: u16,
        reason: u16,
        arrival: u16,
        tally: &mut Tally,
    ) -> Fate {
        match verdict {
            verdict::PASS | verdict::UNSET => Fate::Pass,
            verdict::DROP => Fate::Drop(Reason::Plugin(reason)),
            verdict::TX => Fate::Tx,
            verdict::REDIRECT if out_port == FLOOD || (out_port < self.ports && out_port != arrival) => {
                Fate::Redirect(out_port)
            }
            verdict::REDIRECT => {
                tally.offence(Offence::Port);
                Fate::Drop(Reason::BadPort)
            }
            _ => {
                tally.offence(Offence::Verdict);
                Fate::Drop(Reason::BadVerdict)
            }
        }
    }

    /// Settles one frame of the batch form: its place in slot `d`, its flags, its fate.
    ///
    /// `frame.off` counts from the arena's start afterwards, as before.
    pub(crate) fn settle(
        self,
        layout: &Layout,
        d: usize,
        answer: &Answer,
        frame: &mut Frame,
        tally: &mut Tally,
    ) {
        if !take_place(layout, d, answer, frame) {
            tally.offence(Offence::Desc);
            frame.fate = Fate::Drop(Reason::BadDesc);
            return;
        }
        frame.fate = self.fate(answer.verdict, answer.out_port, answer.reason, frame.port, tally);
        if matches!(frame.fate, Fate::Drop(_)) {
            return;
        }
        if frame.len == 0 {
            frame.fate = Fate::Drop(Reason::Empty);
        } else if answer.flags & flags::DELAY == 0 {
            frame.delay_us = 0;
        } else if answer.delay_us <= DELAY_MAX_US {
            frame.delay_us = answer.delay_us;
        } else {
            tally.offence(Offence::Delay);
            frame.fate = Fate::Drop(Reason::BadDelay);
        }
    }

    /// Settles a frame that the plugin appended in slot `d`.
    pub(crate) fn settle_appended(
        self,
        layout: &Layout,
        d: usize,
        answer: &Answer,
        frame: &mut Frame,
        tally: &mut Tally,
    ) {
        if matches!(answer.verdict, verdict::UNSET | verdict::DROP) && take_place(layout, d, answer, frame) {
            tally.offence(Offence::Verdict);
            frame.fate = Fate::Drop(Reason::BadVerdict);
            return;
        }
        self.settle(layout, d, answer, frame, tally);
    }
}

/// Takes over what the guest may change beside the verdict: place, mark, checksum flags.
///
/// Returns `false`, and leaves the frame alone, where the frame left its slot.
#[inline]
pub(crate) fn take_place(layout: &Layout, d: usize, answer: &Answer, frame: &mut Frame) -> bool {
    let start = (layout.arena + d * layout.slot) as u64;
    let off = u64::from(answer.off);
    if off < start + HOST_RESERVED as u64 || off + u64::from(answer.len) > start + layout.slot as u64 {
        return false;
    }
    frame.off = (off - layout.arena as u64) as u32;
    frame.len = answer.len;
    frame.mark = answer.mark;
    frame.csum_dirty |= answer.flags & flags::CSUM_DIRTY != 0;
    let finished = frame.flags & !answer.flags & flags::CSUM_PARTIAL;
    frame.csum_finished |= finished != 0;
    frame.flags &= !finished;
    true
}
