//! Random numbers by frame number: one ChaCha8 block for each frame, whatever is switched on.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a frame's random numbers are for; each kind has its own place in the frame's block for ever.
#[derive(Clone, Copy)]
pub(super) enum Draw {
    Loss,
    Channel,
    Duplicate,
    Reorder,
    Corrupt,
    Bit,
    Delay,
}

/// One frame's random numbers.
#[derive(Clone, Copy)]
pub(super) struct Block<'a>(&'a [u8; BLOCK]);

impl Block<'_> {
    /// Returns 64 random bits.
    pub(super) fn bits(self, draw: Draw) -> u64 {
        let at = draw as usize * 8;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    /// Returns 53 random bits, which is what chances are compared with.
    pub(super) fn fraction(self, draw: Draw) -> u64 {
        self.bits(draw) >> 11
    }

    /// Returns a number between 0 and 1, neither of which it ever is.
    pub(super) fn unit(self, draw: Draw) -> f64 {
        ((self.bits(draw) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }
}

const BLOCK: usize = 64;
/// The generator makes four blocks at a time, so four are fetched at a time.
const AHEAD: u64 = 4;

/// The random numbers of all frames of a line.
pub(super) struct Draws {
    rng: ChaCha8Rng,
    blocks: [[u8; BLOCK]; AHEAD as usize],
    /// Which group of four `blocks` holds.
    group: Option<u64>,
}

impl Draws {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Draws {
            rng: ChaCha8Rng::from_seed(key),
            blocks: [[0; BLOCK]; AHEAD as usize],
            group: None,
        }
    }

    /// Returns the numbers of frame `n`.
    #[inline]
    pub(super) fn block(&mut self, n: u64) -> Block<'_> {
        let (group, at) = (n / AHEAD, n % AHEAD);
        if self.group != Some(group) {
            self.fetch(group);
        }
        Block(&self.blocks[at as usize])
    }

    fn fetch(&mut self, group: u64) {
        let follows = match self.group {
            None => group == 0,
            Some(last) => group == last + 1,
        };
        if !follows {
            const WORDS: u128 = (BLOCK / 4) as u128;
            self.rng
                .set_word_pos(u128::from(group) * u128::from(AHEAD) * WORDS);
        }
        self.rng.fill_bytes(self.blocks.as_flattened_mut());
        self.group = Some(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_numbers_whatever_was_drawn_before() {
        let mut in_order = Draws::new([3; 32]);
        let all: Vec<u64> = (0..40).map(|n| in_order.block(n).bits(Draw::Delay)).collect();
        let mut jumping = Draws::new([3; 32]);
        for n in [39, 0, 7, 8, 21, 4, 4, 38] {
            assert_eq!(jumping.block(n).bits(Draw::Delay), all[n as usize], "frame {n}");
        }
    }

    #[test]
    fn units_stay_inside() {
        let (none, all) = ([0; BLOCK], [0xff; BLOCK]);
        assert!(Block(&none).unit(Draw::Loss) > 0.0);
        assert!(Block(&all).unit(Draw::Loss) < 1.0);
    }
}
