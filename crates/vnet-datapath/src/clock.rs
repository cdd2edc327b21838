use rustix::time::{ClockId, clock_gettime};

/// The lab's clock: nanoseconds since the Unix epoch that never run backwards.
///
/// It starts at the system's wall clock and then follows CLOCK_MONOTONIC, so that a clock step does not reorder frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: i128,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            offset: nanos(ClockId::Realtime) - nanos(ClockId::Monotonic),
        }
    }

    pub(crate) fn now(self) -> u64 {
        u64::try_from(nanos(ClockId::Monotonic) + self.offset).unwrap_or(0)
    }

    /// Returns the time now, and what has to be added to a time of the system's wall clock, as that goes just now, to make it
    /// one of this clock.
    pub(crate) fn beside_realtime(self) -> (u64, i128) {
        let now = self.now();
        (now, i128::from(now) - nanos(ClockId::Realtime))
    }
}

fn nanos(id: ClockId) -> i128 {
    let t = clock_gettime(id);
    i128::from(t.tv_sec) * 1_000_000_000 + i128::from(t.tv_nsec)
}
