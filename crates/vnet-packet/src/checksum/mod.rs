//! Internet checksums (RFC 1071) of a buffer, of a frame, and after a change.

mod delta;
mod fix;
mod partial;

pub use delta::Delta;
pub use fix::fix;
pub use partial::{complete, locate, seed};

use core::net::{Ipv4Addr, Ipv6Addr};

/// Returns the ones' complement sum of a buffer's 16-bit words, at most 0xffff; an odd last byte
/// counts as if a zero followed. Sums of pieces of even length may be added.
#[must_use]
pub fn sum(bytes: &[u8]) -> u32 {
    // The sum does not depend on byte order (RFC 1071, 2 (B)), so that words are added as they
    // lie in memory, 32 bits at a time, and only the result is turned round. Two accumulators of
    // 64 bits cannot overflow below 2^34 bytes.
    let (chunks, rest) = bytes.as_chunks::<8>();
    let (mut low, mut high) = (0_u64, 0_u64);
    for &[a, b, c, d, e, f, g, h] in chunks {
        low = low.wrapping_add(u64::from(u32::from_ne_bytes([a, b, c, d])));
        high = high.wrapping_add(u64::from(u32::from_ne_bytes([e, f, g, h])));
    }
    let mut tail = [0; 8];
    tail[..rest.len()].copy_from_slice(rest);
    let [a, b, c, d, e, f, g, h] = tail;
    low = low.wrapping_add(u64::from(u32::from_ne_bytes([a, b, c, d])));
    high = high.wrapping_add(u64::from(u32::from_ne_bytes([e, f, g, h])));
    let total = low.wrapping_add(high);
    let total = (total >> 32) + (total & 0xffff_ffff);
    let total = (total >> 32) + (total & 0xffff_ffff);
    u32::from(fold(total as u32).to_be())
}

/// Returns a sum with its carries added in, not complemented.
#[must_use]
pub const fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    sum as u16
}

/// Returns the Internet checksum of a buffer, which is 0 where the buffer holds a right one.
#[must_use]
pub fn internet(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// Returns the sum of the IPv4 pseudo-header (RFC 9293, 3.1); `len` is that of L4 header and
/// payload.
#[must_use]
pub fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, len: u16) -> u32 {
    sum(&src.octets()) + sum(&dst.octets()) + u32::from(protocol) + u32::from(len)
}

/// Returns the sum of the IPv6 pseudo-header (RFC 8200, 8.1); `len` is that of L4 header and
/// payload.
#[must_use]
pub fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, len: u32) -> u32 {
    sum(&src.octets()) + sum(&dst.octets()) + u32::from(protocol) + (len >> 16) + (len & 0xffff)
}

/// Returns a checksum after a 16-bit word that it covers changed (RFC 1624, equation 3).
#[must_use]
pub const fn update16(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(!checksum as u32 + !old as u32 + new as u32)
}

/// Returns a checksum after a 32-bit word that it covers, at an even offset, changed: an IPv4
/// address, say.
#[must_use]
pub const fn update32(checksum: u16, old: u32, new: u32) -> u16 {
    let high = update16(checksum, (old >> 16) as u16, (new >> 16) as u16);
    update16(high, old as u16, new as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071's definition, word by word.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([pair[0], low]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn sums_the_example_of_rfc_1071() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
        assert_eq!(internet(&[]), 0xffff);
    }

    #[test]
    fn largest_super_frame_of_all_ones_does_not_overflow() {
        assert_eq!(internet(&std::vec![0xff; 262_144]), 0);
    }

    #[test]
    fn updates_the_example_of_rfc_1624() {
        // Section 4: the result must be 0x0000, not 0xffff.
        assert_eq!(update16(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    proptest! {
        #[test]
        fn equals_the_definition(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(internet(&bytes), naive(&bytes));
        }

        #[test]
        fn update_equals_recomputation(
            mut bytes in proptest::collection::vec(any::<u8>(), 8..64),
            new in any::<u32>(),
        ) {
            bytes[0] = 0x45; // Not all zero, as in any header: there 0 and 0xffff would differ.
            let before = internet(&bytes);
            let old = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            bytes[4..8].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(update32(before, old, new), internet(&bytes));
        }
    }
}
