//! What a guest asks of the host by the imports that must be granted: timers, and frames to send.

use vnet_abi::import;

/// Most timers of one stage.
const TIMERS_MAX: usize = 256;

/// A timer comes this much later at the earliest, so that one that is set again and again leaves frames their turn.
const TIMER_MIN_NS: u64 = 50_000;

/// Most frames that wait to be sent, and most bytes of them.
const INJECTED_MAX: usize = 1024;
const INJECTED_BYTES_MAX: usize = 4 << 20;

/// The capabilities a stage was granted, of those its plugin asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) random: bool,
    pub(crate) timer: bool,
    pub(crate) inject: bool,
}

impl Granted {
    /// Reads what is both asked for and granted.
    pub(crate) fn new(asked: &[String], granted: &[String]) -> Granted {
        let both =
            |name: &str| asked.iter().any(|other| other == name) && granted.iter().any(|other| other == name);
        Granted {
            random: both(import::RANDOM),
            timer: both(import::TIMER),
            inject: both(import::INJECT),
        }
    }
}

/// When a timer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// At this time.
    At(u64),
    /// So long after the stage learns what time it is: it was set while the plugin started.
    After(u64),
}

/// The timers of one instance, one at most for each id.
#[derive(Debug, Default)]
pub(crate) struct Timers(Vec<(u32, Due)>);

impl Timers {
    /// Sets a timer, or takes it back when `after_ns` is negative; false when there are too many.
    ///
    /// `now` is unknown while the plugin starts.
    pub(crate) fn set(&mut self, id: u32, after_ns: i64, now: Option<u64>) -> bool {
        let known = self.0.iter().position(|(other, _)| *other == id);
        let Ok(after) = u64::try_from(after_ns) else {
            known.map(|at| self.0.swap_remove(at));
            return true;
        };
        let after = after.max(TIMER_MIN_NS);
        let due = now.map_or(Due::After(after), |now| Due::At(now.saturating_add(after)));
        match known {
            Some(at) => self.0[at].1 = due,
            None if self.0.len() < TIMERS_MAX => self.0.push((id, due)),
            None => return false,
        }
        true
    }

    /// Returns when the first one comes, given what time it is.
    pub(crate) fn first(&mut self, now: u64) -> Option<u64> {
        let at = |(_, due): &mut (u32, Due)| match *due {
            Due::At(at) => at,
            Due::After(after) => {
                let at = now.saturating_add(after);
                *due = Due::At(at);
                at
            }
        };
        self.0.iter_mut().map(at).min()
    }

    /// Takes out the one that came first; `None` when none has come.
    pub(crate) fn take_due(&mut self, now: u64) -> Option<u32> {
        let due = |due: &Due| match *due {
            Due::At(at) if at <= now => Some(at),
            _ => None,
        };
        let came = self.0.iter().enumerate();
        let first = came
            .filter_map(|(i, (id, when))| Some((due(when)?, *id, i)))
            .min()?;
        Some(self.0.swap_remove(first.2).0)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Frames that a plugin made, each with the port it is to leave by.
#[derive(Debug, Default)]
pub struct Injected {
    bytes: Vec<u8>,
    /// Port, offset, length.
    list: Vec<(u16, usize, usize)>,
}

impl Injected {
    /// Adds a frame; false when there are too many.
    pub(crate) fn push(&mut self, port: u16, frame: &[u8]) -> bool {
        let at = self.bytes.len();
        if self.list.len() == INJECTED_MAX || at + frame.len() > INJECTED_BYTES_MAX {
            return false;
        }
        self.bytes.extend_from_slice(frame);
        self.list.push((port, at, frame.len()));
        true
    }

    /// Returns the frames in the order they were made, each with its port.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.list
            .iter()
            .map(|(port, at, len)| (*port, &self.bytes[*at..at + len]))
    }

    /// Forgets the frames.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// What a guest asked for and nobody has looked at.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) timers: Timers,
    /// Whether timers were set or taken back.
    pub(crate) is_set: bool,
    pub(crate) injected: Injected,
    /// Frames ever taken to be sent.
    pub(crate) taken: u64,
    /// Frames refused because too many waited.
    pub(crate) full: u64,
}

impl Asked {
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.is_set || !self.injected.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_once_and_in_order() {
        let mut timers = Timers::default();
        assert!(timers.set(7, 3_000_000, Some(1_000_000)));
        assert!(timers.set(8, 1_000_000, Some(1_000_000)));
        assert!(timers.set(9, 500_000, None));
        assert_eq!(timers.first(1_400_000), Some(1_900_000));
        assert_eq!(timers.take_due(1_899_999), None);
        let came: Vec<_> = std::iter::from_fn(|| timers.take_due(5_000_000)).collect();
        assert_eq!(came, [9, 8, 7]);
        assert_eq!(timers.first(5_000_000), None);
    }

    #[test]
    fn a_timer_is_moved_taken_back_and_never_comes_at_once() {
        let mut timers = Timers::default();
        timers.set(1, i64::MAX, Some(u64::MAX - 5));
        timers.set(1, 0, Some(100));
        assert_eq!(timers.first(100), Some(100 + TIMER_MIN_NS));
        timers.set(1, -1, Some(100));
        assert_eq!(timers.first(100), None);
        for id in 0..256 {
            assert!(timers.set(id, 5, Some(0)));
        }
        assert!(!timers.set(256, 5, Some(0)), "256 is the most");
        assert!(timers.set(255, 7, Some(0)), "one that is known may be moved");
    }

    #[test]
    fn frames_wait_up_to_a_limit() {
        let mut injected = Injected::default();
        assert!((0..1024).all(|_| injected.push(1, &[1; 60])));
        assert!(!injected.push(1, &[1; 60]));
        assert_eq!(injected.iter().count(), 1024);
        injected.clear();
        assert!((0..64).all(|_| injected.push(1, &[1; 65_536])));
        assert!(!injected.push(1, &[1; 60]), "4 MiB is the most");
    }
}
