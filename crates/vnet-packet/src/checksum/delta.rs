//! The change of a checksum when several words it covers change together.

use super::fold;

/// How much a checksum changes (RFC 1624, equation 3), summed over any number of changed words.
///
/// ```
/// use vnet_packet::checksum::Delta;
///
/// // The example of RFC 1624, section 4.
/// assert_eq!(Delta::new().word16(0x5555, 0x3285).apply(0xdd2f), 0x0000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta(u32);

impl Delta {
    /// Nothing changed.
    #[must_use]
    pub const fn new() -> Delta {
        Delta(0)
    }

    /// Adds a word that changed from `old` to `new`; a few thousand words fit one change.
    #[inline]
    #[must_use]
    pub const fn word16(self, old: u16, new: u16) -> Delta {
        Delta(self.0 + !old as u32 + new as u32)
    }

    /// Adds two words at an even offset: an IPv4 address, say.
    #[inline]
    #[must_use]
    pub const fn word32(self, old: u32, new: u32) -> Delta {
        self.word16((old >> 16) as u16, (new >> 16) as u16)
            .word16(old as u16, new as u16)
    }

    /// Adds another change.
    #[inline]
    #[must_use]
    pub const fn and(self, other: Delta) -> Delta {
        Delta(self.0 + other.0)
    }

    /// Returns a checksum after the change.
    #[inline]
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        !fold(fold(self.0) as u32 + !checksum as u32)
    }

    /// Returns a UDP checksum after the change: 0 means that there is none and stays, and one that comes out as 0 is
    /// written as 0xffff (RFC 768).
    #[inline]
    #[must_use]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        if checksum == 0 {
            return 0;
        }
        match self.apply(checksum) {
            0 => 0xffff,
            checksum => checksum,
        }
    }

    /// Returns a partial checksum, which is the sum of the pseudo-header alone and not complemented, after a change of the
    /// pseudo-header.
    #[inline]
    #[must_use]
    pub const fn apply_partial(self, sum: u16) -> u16 {
        fold(fold(self.0) as u32 + sum as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{fold, internet, sum, update16, update32};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_one_update_after_another(check in any::<u16>(), a in any::<(u32, u32)>(), b in any::<(u16, u16)>()) {
            let one_by_one = update16(update32(check, a.0, a.1), b.0, b.1);
            let at_once = Delta::new().word32(a.0, a.1).word16(b.0, b.1).apply(check);
            // Both are zero in ones' complement.
            prop_assert_eq!(at_once % 0xffff, one_by_one % 0xffff);
        }

        #[test]
        fn a_partial_sum_follows_its_pseudo_header(mut words in proptest::collection::vec(any::<u8>(), 12), new in any::<u32>()) {
            words[0] = 1;
            let before = fold(sum(&words));
            let old = u32::from_be_bytes([words[4], words[5], words[6], words[7]]);
            words[4..8].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(Delta::new().word32(old, new).apply_partial(before), fold(sum(&words)));
            let _ = internet(&words);
        }
    }

    #[test]
    fn an_absent_udp_checksum_stays_absent() {
        assert_eq!(Delta::new().word16(1, 2).apply_udp(0), 0);
        assert_eq!(Delta::new().word16(0x5555, 0x3285).apply_udp(0xdd2f), 0xffff);
    }
}
