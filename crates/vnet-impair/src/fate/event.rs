//! Whether something that happens by chance happens to a frame.

use super::chain::Chain;
use super::draws::{Block, Draw};
use super::normal::quantile;
use crate::Chance;

/// A chance made ready: one comparison for each frame.
#[derive(Clone, Copy)]
pub(super) struct Event {
    draw: Draw,
    /// Of 2^53 equally likely numbers, those below this one are hits.
    below: u64,
    chain: Option<(Chain, f64)>,
}

impl Event {
    /// Returns the event that `chance` describes, going on from how correlated frames stood `before`.
    pub(super) fn new(draw: Draw, chance: Chance, before: Option<Event>) -> Self {
        let chain = Chain::new(chance.correlation).filter(|_| chance.p > 0.0 && chance.p < 1.0);
        let before = before.and_then(|event| event.chain).map(|(chain, _)| chain);
        Event {
            draw,
            below: threshold(chance.p),
            chain: chain.map(|chain| (chain.after(before), quantile(chance.p))),
        }
    }

    /// Says whether it can happen at all.
    pub(super) fn is_possible(&self) -> bool {
        self.below > 0
    }

    /// Says whether it happens to the frame with these numbers.
    pub(super) fn happens(&mut self, block: Block<'_>) -> bool {
        match &mut self.chain {
            None => block.fraction(self.draw) < self.below,
            Some((chain, below)) => chain.next(block.unit(self.draw)) < *below,
        }
    }
}

/// Returns how many of 2^53 equally likely numbers make up a chance.
pub(super) fn threshold(p: f64) -> u64 {
    (p * (1u64 << 53) as f64).round() as u64
}
