//! The key of one direction's fates.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Returns the key of the fates of a link's direction (`"a-b"` or `"b-a"`) in a network of this seed.
///
/// The same three give the same key everywhere and for ever; any other three give another.
pub fn key(seed: u64, link: &str, direction: &str) -> [u8; 32] {
    // Lengths go in as well, so that no two names run together into the same bytes.
    let mut message = seed.to_le_bytes().to_vec();
    for text in [link, direction] {
        message.extend_from_slice(&(text.len() as u64).to_le_bytes());
        message.extend_from_slice(text.as_bytes());
    }
    message.chunks(32).fold([0; 32], |mut key, chunk| {
        for (byte, more) in key.iter_mut().zip(chunk) {
            *byte ^= more;
        }
        ChaCha8Rng::from_seed(key).fill_bytes(&mut key);
        key
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_part_changes_the_key() {
        let long = "l".repeat(100);
        let keys: HashSet<_> = [
            key(7, "h1-s1", "a-b"),
            key(8, "h1-s1", "a-b"),
            key(7, "h1-s2", "a-b"),
            key(7, "h1-s1", "b-a"),
            key(7, "h1-s1a", "-b"),
            key(7, &long, "a-b"),
            key(7, &(long.clone() + "l"), "a-b"),
        ]
        .into();
        assert_eq!(keys.len(), 7);
    }

    #[test]
    fn is_the_same_for_ever() {
        let hex: String = key(7, "h1-s1", "a-b")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "74200d3227169dbc91b04cf954aeb077aeb6d333e972022e6ff790e7dbc88161"
        );
    }
}
