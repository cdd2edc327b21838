//! When to search a table for entries that are too old.

use crate::state::State;

/// Says, at most once in a while, that it is time to search a table for entries to forget.
///
/// A plugin has no clock of its own: entries grow old while no frame comes. So each entry carries when it was last used,
/// one that is too old counts as absent, and now and then a search gives its slot back.
///
/// ```
/// use vnet_plugin::{Map, Sweep};
///
/// static SEEN: Map<6, 8, 1024> = Map::new();
/// static SWEEP: Sweep = Sweep::every(5_000_000_000);
///
/// fn forget_old(now: u64) {
///     if SWEEP.is_due(now) {
///         SEEN.retain(|_, seen| now.saturating_sub(u64::from_le_bytes(*seen)) < 60_000_000_000);
///     }
/// }
/// ```
pub struct Sweep {
    every_ns: u64,
    last_ns: State<u64>,
}

impl Sweep {
    /// Makes one that is due every so many nanoseconds.
    #[must_use]
    pub const fn every(every_ns: u64) -> Sweep {
        Sweep {
            every_ns,
            last_ns: State::new(0),
        }
    }

    /// Says whether the time has come, and if so starts it anew.
    #[inline]
    pub fn is_due(&'static self, now_ns: u64) -> bool {
        if now_ns.saturating_sub(self.last_ns.get()) < self.every_ns {
            return false;
        }
        self.last_ns.set(now_ns);
        true
    }
}
