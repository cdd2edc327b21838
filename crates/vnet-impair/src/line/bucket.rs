//! A rate: a token bucket, kept as the time until which the line is spoken for.

use crate::Rate;

const BITS_NS: u64 = 8 * 1_000_000_000;
/// No frame is longer, and the products below fit.
const LONGEST: i64 = 1 << 30;

/// A line that carries so many bits a second.
///
/// The time until which frames occupy the line is kept exactly, in nanoseconds and parts of
/// `bits_per_s` of one, so that no rate drifts. A line with a burst may be that many bytes ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    rate: Rate,
    /// How far behind the clock an idle line's time may stay: what `burst` bytes take.
    credit_ns: u64,
    until_ns: u64,
    /// What `until_ns` leaves out, in parts of `bits_per_s` of a nanosecond.
    rest: u64,
}

/// How a frame went through a rate or a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Served {
    /// When its last bit is on the wire.
    pub(super) left: u64,
    /// The line went on from the frame before without a break, so the time between them measures its rate.
    pub(super) busy: bool,
}

impl Bucket {
    /// Returns a line that is occupied until `free`.
    pub(super) fn new(rate: Rate, free: u64) -> Self {
        let credit_ns = rate.burst.saturating_mul(BITS_NS) / rate.bits_per_s.max(1);
        Bucket {
            rate,
            credit_ns,
            until_ns: free,
            rest: 0,
        }
    }

    /// Returns when the line is free for the next frame.
    pub(super) fn free(&self) -> u64 {
        self.until_ns.saturating_add(u64::from(self.rest > 0))
    }

    /// Returns the least time that a frame which waits for the line takes on it.
    pub(super) fn takes_ns(&self, bytes: u32) -> u64 {
        self.length_ns_parts(bytes) / self.rate.bits_per_s
    }

    /// Puts a frame on the line at `now`, when the line is free.
    pub(super) fn serve(&mut self, now: u64, bytes: u32) -> Served {
        // A frame that left ahead of the line's time leaves it behind the clock, so what follows is a break.
        let busy = now == self.free();
        let earliest = now.saturating_sub(self.credit_ns);
        if earliest > self.free() {
            (self.until_ns, self.rest) = (earliest, 0);
        }
        let parts = self.length_ns_parts(bytes);
        let (mut whole, mut rest) = (parts / self.rate.bits_per_s, parts % self.rate.bits_per_s);
        rest += self.rest;
        if rest >= self.rate.bits_per_s {
            rest -= self.rate.bits_per_s;
            whole += 1;
        }
        self.until_ns = self.until_ns.saturating_add(whole);
        self.rest = rest;
        Served {
            left: self.free().max(now),
            busy,
        }
    }

    /// Returns how many bytes a frame takes on the line.
    pub(super) fn length(&self, bytes: u32) -> u32 {
        (i64::from(bytes) + i64::from(self.rate.overhead)).clamp(0, LONGEST) as u32
    }

    fn length_ns_parts(&self, bytes: u32) -> u64 {
        u64::from(self.length(bytes)) * BITS_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bits_per_s: u64, burst: u64, overhead: i32) -> Bucket {
        Bucket::new(
            Rate {
                bits_per_s,
                burst,
                overhead,
            },
            0,
        )
    }

    #[test]
    fn never_drifts_at_any_rate() {
        for bits_per_s in [
            1,
            7,
            999_983,
            1_000_000,
            10_000_000,
            100_000_000,
            1_000_000_000,
            33_333_333_333,
        ] {
            let mut line = line(bits_per_s, 0, 0);
            let mut left = 0;
            for _ in 0..100_000 {
                left = line.serve(line.free(), 1_499).left;
            }
            let exact = (100_000u128 * 1_499 * u128::from(BITS_NS)).div_ceil(u128::from(bits_per_s));
            // Waiting for the whole nanosecond before the next frame never adds up.
            assert_eq!(u128::from(left), exact, "at {bits_per_s} bit/s");
        }
    }

    #[test]
    fn an_idle_line_takes_the_time_of_the_bits() {
        let mut line = line(1_000_000, 0, 0);
        assert_eq!(
            line.serve(5_000_000_000, 125),
            Served {
                left: 5_001_000_000,
                busy: false
            }
        );
        assert_eq!(
            line.serve(line.free(), 125),
            Served {
                left: 5_002_000_000,
                busy: true
            }
        );
    }

    #[test]
    fn a_burst_goes_at_once_and_no_byte_more() {
        let mut line = line(1_000_000, 250, 0);
        let now = 5_000_000_000;
        assert_eq!(line.serve(now, 125).left, now);
        assert_eq!(line.serve(now, 125).left, now);
        assert_eq!(line.serve(now, 125).left, now + 1_000_000);
    }

    #[test]
    fn overhead_counts_and_may_be_negative() {
        assert_eq!(line(8_000, 0, 38).serve(0, 62).left, 100_000_000);
        assert_eq!(line(8_000, 0, -14).serve(0, 114).left, 100_000_000);
        assert_eq!(line(8_000, 0, -114).serve(0, 100).left, 0);
    }
}
