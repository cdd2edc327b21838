//! Timestamps in the units of their interface.

const NS_PER_S: u128 = 1_000_000_000;

/// The unit and origin of an interface's timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolution {
    /// The option `if_tsresol`: a negative power of 10, or of 2 with the highest bit set.
    pub unit: u8,
    /// The option `if_tsoffset`, in seconds.
    pub offset_s: i64,
}

impl Resolution {
    /// Microseconds: what holds without options.
    pub const DEFAULT: Resolution = Resolution { unit: 6, offset_s: 0 };
    pub const NANOSECONDS: Resolution = Resolution { unit: 9, offset_s: 0 };

    /// Returns nanoseconds since 1970, or `None` where 64 bits do not hold them.
    pub fn ns(self, units: u64) -> Option<u64> {
        let units = u128::from(units);
        let exponent = u32::from(self.unit & 0x7f);
        let ns = if self.unit & 0x80 != 0 {
            (units * NS_PER_S) >> exponent
        } else if exponent <= 9 {
            units * 10_u128.pow(9 - exponent)
        } else {
            // A divisor beyond 128 bits leaves nothing.
            10_u128
                .checked_pow(exponent - 9)
                .map_or(0, |divisor| units / divisor)
        };
        let ns = i128::try_from(ns).ok()? + i128::from(self.offset_s) * NS_PER_S as i128;
        ns.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(unit: u8, offset_s: i64, units: u64) -> Option<u64> {
        Resolution { unit, offset_s }.ns(units)
    }

    #[test]
    fn converts_powers_of_ten_and_of_two() {
        assert_eq!(ns(6, 0, 1_500_000), Some(1_500_000_000));
        assert_eq!(ns(9, 0, 7), Some(7));
        assert_eq!(ns(0, 0, 3), Some(3_000_000_000));
        assert_eq!(ns(12, 0, 5_999), Some(5));
        assert_eq!(ns(0x80 | 10, 0, 1536), Some(1_500_000_000));
        assert_eq!(ns(127, 0, u64::MAX), Some(0));
        assert_eq!(ns(0xff, 0, u64::MAX), Some(0));
    }

    #[test]
    fn adds_the_offset_and_refuses_what_64_bits_do_not_hold() {
        assert_eq!(ns(6, 10, 1), Some(10_000_001_000));
        assert_eq!(ns(6, -1, 1_000_000), Some(0));
        assert_eq!(ns(6, -2, 1_000_000), None);
        assert_eq!(ns(0, 0, u64::MAX), None);
        assert_eq!(ns(0, i64::MIN, u64::MAX), None);
    }
}
