//! The rate a line really had while it was busy.

/// Bytes and the time they took, over the periods in which the line had no break.
#[derive(Default)]
pub(super) struct Throughput {
    bytes: u64,
    ns: u64,
    last: u64,
}

impl Throughput {
    /// Records a frame that leaves at `now`; the line carried so many bytes without a break since the frame before, or 0.
    #[inline]
    pub(super) fn record(&mut self, now: u64, carried: u32) {
        if carried > 0 {
            self.bytes += u64::from(carried);
            self.ns += now.saturating_sub(self.last);
        }
        self.last = now;
    }

    /// Returns bit/s; `None` where the line was never busy.
    pub(super) fn bits_per_s(&self) -> Option<f64> {
        (self.ns > 0).then(|| self.bytes as f64 * 8e9 / self.ns as f64)
    }
}
