//! Consistent hashing after Maglev (Eisenbud et al., NSDI 2016, section 3.4).

use vnet_plugin::abi::fnv1a;

/// Most servers.
pub const SERVERS: usize = 64;
/// Places of the table: a prime, some hundreds for each server.
pub const PLACES: usize = 16_381;

/// For each place the server, by index, that flows with such a hash go to.
pub type Places = [u8; PLACES];

/// Fills the table: each server in turn takes the next place of its own order that is free, as often in a round as its weight says.
///
/// A server that comes or goes so moves few of the others' flows. `names` are what makes a server itself: address and port.
pub fn fill(places: &mut Places, names: &[[u8; 18]], weights: &[u8]) {
    const FREE: u8 = u8::MAX;
    places.fill(FREE);
    let mut next = [0_u32; SERVERS];
    let mut skip = [1_u32; SERVERS];
    for ((name, next), skip) in names.iter().zip(&mut next).zip(&mut skip) {
        let hash = mix(fnv1a(name));
        *next = hash % PLACES as u32;
        *skip = mix(hash ^ 0x9e37_79b9) % (PLACES as u32 - 1) + 1;
    }
    let mut taken = 0;
    while taken < PLACES && !names.is_empty() {
        let before = taken;
        for (server, ((next, skip), weight)) in next.iter_mut().zip(&skip).zip(weights).enumerate().take(names.len()) {
            for _ in 0..*weight {
                if taken == PLACES {
                    return;
                }
                while let Some(place) = places.get_mut(*next as usize) {
                    *next = (*next + skip) % PLACES as u32;
                    if *place == FREE {
                        *place = server as u8;
                        taken += 1;
                        break;
                    }
                }
            }
        }
        if taken == before {
            return;
        }
    }
}

/// Spreads the bits of a hash, so that neighbouring ports go far apart (MurmurHash3's last step).
pub const fn mix(hash: u32) -> u32 {
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(servers: &[u8], weights: &[u8]) -> Vec<u8> {
        let names: Vec<[u8; 18]> = servers.iter().map(|server| [*server; 18]).collect();
        let mut places = [0; PLACES];
        fill(&mut places, &names, weights);
        places.iter().map(|place| servers[usize::from(*place)]).collect()
    }

    fn share(places: &[u8], server: u8) -> f64 {
        places.iter().filter(|place| **place == server).count() as f64 / PLACES as f64
    }

    #[test]
    fn every_server_gets_its_share() {
        let even = filled(&[1, 2, 3, 4], &[1; 4]);
        assert!((1..=4).all(|server| (share(&even, server) - 0.25).abs() < 0.001));
        let weighted = filled(&[1, 2, 3], &[1, 2, 5]);
        assert!((share(&weighted, 1) - 0.125).abs() < 0.001 && (share(&weighted, 3) - 0.625).abs() < 0.001);
        let many: Vec<u8> = (0..SERVERS as u8).collect();
        let places = filled(&many, &[1; SERVERS]);
        assert!(many.iter().all(|server| share(&places, *server) > 0.015));
    }

    #[test]
    fn a_server_that_goes_takes_little_else_along() {
        let before = filled(&[1, 2, 3, 4, 5], &[1; 5]);
        let after = filled(&[1, 2, 4, 5], &[1; 4]);
        let moved = before.iter().zip(&after).filter(|(a, b)| **a != 3 && a != b).count();
        assert!((moved as f64) < 0.1 * PLACES as f64, "{moved} of {PLACES} moved");
    }
}
