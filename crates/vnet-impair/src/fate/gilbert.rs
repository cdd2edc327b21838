//! Loss in bursts: the Gilbert-Elliott channel.

use super::draws::{Block, Draw};
use super::event::threshold;

/// A channel that is good or bad, and changes by chance after each frame.
#[derive(Clone, Copy)]
pub(super) struct Channel {
    worsens: u64,
    improves: u64,
    lost_in_bad: u64,
    lost_in_good: u64,
    bad: bool,
}

impl Channel {
    /// Returns a channel in netem's words; it starts good unless another stood bad before it.
    pub(super) fn new(p: f64, r: f64, one_minus_h: f64, one_minus_k: f64, before: Option<Channel>) -> Self {
        Channel {
            worsens: threshold(p),
            improves: threshold(r),
            lost_in_bad: threshold(one_minus_h),
            lost_in_good: threshold(one_minus_k),
            bad: before.is_some_and(|channel| channel.bad),
        }
    }

    /// Says whether the frame with these numbers is lost, and lets the channel change after it.
    pub(super) fn loses(&mut self, block: Block<'_>) -> bool {
        let (lost, changes) = if self.bad {
            (self.lost_in_bad, self.improves)
        } else {
            (self.lost_in_good, self.worsens)
        };
        self.bad ^= block.fraction(Draw::Channel) < changes;
        block.fraction(Draw::Loss) < lost
    }
}
