use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::IperfInterval;

/// The finest part of the time that is counted by itself, and that of a measurement that takes longer than [`LONG`].
const GRAIN: Duration = Duration::from_millis(10);
const COARSE: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_secs(3_600);

/// The longest measurement; its parts take 3 MB.
pub(super) const LONGEST: Duration = Duration::from_secs(86_400);

/// Counts what arrives, over time, from several threads.
pub(super) struct Meter {
    start: Instant,
    grain: Duration,
    grains: Vec<AtomicU64>,
    /// The last arrival, in nanoseconds from the start.
    last: AtomicU64,
    /// Says that the time is over or something failed.
    stop: AtomicBool,
}

impl Meter {
    /// Begins to count, for [`LONGEST`] at most; what comes much later than `duration` counts for its last part.
    pub(super) fn start(duration: Duration) -> Self {
        let grain = if duration > LONG { COARSE } else { GRAIN };
        let grains = duration.min(LONGEST).as_nanos().div_ceil(grain.as_nanos()) + 1;
        Self {
            start: Instant::now(),
            grain,
            grains: (0..grains).map(|_| AtomicU64::new(0)).collect(),
            last: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }

    pub(super) fn add(&self, bytes: usize) {
        let at = self.start.elapsed();
        let grain = (at.as_nanos() / self.grain.as_nanos()) as usize;
        self.grains[grain.min(self.grains.len() - 1)].fetch_add(bytes as u64, Ordering::Relaxed);
        self.last.fetch_max(nanos(at), Ordering::Relaxed);
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.grains
            .iter()
            .map(|grain| grain.load(Ordering::Relaxed))
            .sum()
    }

    /// From the start to the last arrival.
    pub(super) fn duration_ns(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// The counts in parts of the length given; what is over goes to the last.
    pub(super) fn intervals(&self, length: Duration) -> Vec<IperfInterval> {
        let end = self.duration_ns();
        let length = nanos(length.max(self.grain)) / nanos(self.grain) * nanos(self.grain);
        let parts = end.div_ceil(length).max(1);
        let mut intervals: Vec<IperfInterval> = (0..parts)
            .map(|part| IperfInterval {
                start_ns: part * length,
                end_ns: ((part + 1) * length).min(end),
                bytes: 0,
                bits_per_second: 0.0,
            })
            .collect();
        for (grain, bytes) in self.grains.iter().enumerate() {
            let part = grain as u64 * nanos(self.grain) / length;
            let part = part.min(parts - 1) as usize;
            intervals[part].bytes += bytes.load(Ordering::Relaxed);
        }
        for interval in &mut intervals {
            interval.bits_per_second =
                rate(interval.bytes, interval.end_ns.saturating_sub(interval.start_ns));
        }
        intervals
    }
}

/// Bits a second.
pub(super) fn rate(bytes: u64, ns: u64) -> f64 {
    if ns == 0 {
        return 0.0;
    }
    bytes as f64 * 8e9 / ns as f64
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_time_takes_no_more_memory_than_an_hour() {
        for (duration, grains) in [
            (LONG, 360_001),
            (LONGEST, 345_601),
            (Duration::from_secs(1_000_000_000), 345_601),
        ] {
            assert_eq!(Meter::start(duration).grains.len(), grains);
        }
    }

    #[test]
    fn intervals_add_up() {
        let meter = Meter::start(Duration::from_millis(100));
        for (grain, bytes) in [(0, 100), (3, 10), (9, 1)] {
            meter.grains[grain].store(bytes, Ordering::Relaxed);
        }
        meter.last.store(95_000_000, Ordering::Relaxed);
        let parts = meter.intervals(Duration::from_millis(40));
        let bytes: Vec<u64> = parts.iter().map(|part| part.bytes).collect();
        assert_eq!(bytes, [110, 0, 1]);
        assert_eq!(parts[2].end_ns, 95_000_000);
        assert_eq!(meter.bytes(), 111);
        assert!((rate(1_000_000, 1_000_000_000) - 8e6).abs() < 1.0);
    }
}
