//! The rate a line really had while it was busy.

/// How far the line has come without a break.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    /// When the last bit of its first frame left the line.
    pub(crate) since: u64,
    /// Bytes of those behind it, lost ones among them.
    pub(crate) bytes: u64,
}

/// Bytes and the time they took, over the periods in which the line had no break.
///
/// Frames may be reported in any order: of each run the one that came furthest counts.
#[derive(Default)]
pub(super) struct Throughput {
    /// Of the runs before.
    bytes: u64,
    ns: u64,
    /// The latest, and when what is known of it had left.
    run: Run,
    until: u64,
}

impl Throughput {
    /// Records that the line had come so far at `left`.
    #[inline]
    pub(super) fn record(&mut self, run: Run, left: u64) {
        if run.bytes == 0 || run.since < self.run.since {
            return;
        }
        if run.since > self.run.since {
            self.bytes += self.run.bytes;
            self.ns = self.ns.saturating_add(self.run_ns());
        } else if run.bytes <= self.run.bytes {
            return;
        }
        self.run = run;
        self.until = left;
    }

    /// Returns bit/s; `None` where the line was never busy.
    pub(super) fn bits_per_s(&self) -> Option<f64> {
        let ns = self.ns.saturating_add(self.run_ns());
        (ns > 0).then(|| (self.bytes + self.run.bytes) as f64 * 8e9 / ns as f64)
    }

    fn run_ns(&self) -> u64 {
        self.until.saturating_sub(self.run.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_reports_and_breaks_between_runs_do_not_matter() {
        let mut throughput = Throughput::default();
        let run = |since, bytes| Run { since, bytes };
        // 1,000 bytes in each 1,000 ns, twice three of them, with a long break.
        for (since, order) in [(5_000, [2, 0, 1, 3]), (900_000, [3, 1, 2, 0])] {
            for n in order {
                throughput.record(run(since, n * 1_000), since + n * 1_000);
            }
        }
        assert_eq!(throughput.bits_per_s(), Some(8e9));
        // What comes late of a run that is over changes nothing.
        throughput.record(run(5_000, 4_000), 1_000_000);
        assert_eq!(throughput.bits_per_s(), Some(8e9));
    }
}
