//! The `random` capability: ChaCha8, seeded so that a run can be repeated.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// A stream of random numbers that depends on lab seed, plugin name and instance alone.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// Starts the stream of one instance.
    pub(crate) fn new(seed: u64, plugin: &str, instance: u32) -> Random {
        let mut key = Sha256::new();
        key.update(b"vnet random 1\0");
        key.update(seed.to_le_bytes());
        key.update(instance.to_le_bytes());
        key.update(plugin.as_bytes());
        Random(ChaCha8Rng::from_seed(key.finalize().into()))
    }

    /// Starts the stream that a guest gets which asks WASI for random bytes without the grant: always the same.
    pub(crate) fn fixed() -> Random {
        Random(ChaCha8Rng::from_seed([0; 32]))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}
