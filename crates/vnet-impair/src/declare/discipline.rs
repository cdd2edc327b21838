//! What a queue does with frames that wait.

use crate::Given;
use crate::units::{read_time, write_time};

pub(super) const DISCIPLINE: &str =
    "\"droptail\", \"codel\" or \"codel 5ms 100ms ecn\" (target, interval, mark instead of drop)";

/// What the queue in front of the rate does with frames that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discipline {
    /// It drops what does not fit.
    #[default]
    DropTail,
    /// It keeps the queue short besides: CoDel, RFC 8289.
    CoDel {
        /// How long a frame may wait when the queue stands, in nanoseconds.
        target_ns: u64,
        /// How long the queue may stand before the first drop, in nanoseconds.
        interval_ns: u64,
        /// Marks frames that know ECN instead of dropping them.
        ecn: bool,
    },
}

impl Discipline {
    const TARGET_NS: u64 = 5_000_000;
    const INTERVAL_NS: u64 = 100_000_000;

    /// Returns CoDel with the times of RFC 8289, which drops and does not mark.
    pub fn codel() -> Self {
        Discipline::CoDel {
            target_ns: Discipline::TARGET_NS,
            interval_ns: Discipline::INTERVAL_NS,
            ecn: false,
        }
    }

    pub(super) fn read(given: Given<'_>) -> Result<Self, &'static str> {
        let Given::Text(text) = given else {
            return Err(DISCIPLINE);
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let (words, ecn) = match words.as_slice() {
            [rest @ .., "ecn"] => (rest, true),
            all => (all, false),
        };
        let time = |word: &str| {
            read_time(Given::Text(word))
                .ok()
                .filter(|ns| *ns > 0)
                .ok_or(DISCIPLINE)
        };
        match *words {
            ["droptail"] if !ecn => Ok(Discipline::DropTail),
            ["codel"] => Ok(Discipline::CoDel {
                target_ns: Discipline::TARGET_NS,
                interval_ns: Discipline::INTERVAL_NS,
                ecn,
            }),
            ["codel", target] => Ok(Discipline::CoDel {
                target_ns: time(target)?,
                interval_ns: Discipline::INTERVAL_NS,
                ecn,
            }),
            ["codel", target, interval] => Ok(Discipline::CoDel {
                target_ns: time(target)?,
                interval_ns: time(interval)?,
                ecn,
            }),
            _ => Err(DISCIPLINE),
        }
    }

    pub(super) fn write(self) -> Option<String> {
        match self {
            Discipline::DropTail => None,
            Discipline::CoDel {
                target_ns,
                interval_ns,
                ecn,
            } => {
                let ecn = if ecn { " ecn" } else { "" };
                Some(format!(
                    "codel {} {}{ecn}",
                    write_time(target_ns),
                    write_time(interval_ns)
                ))
            }
        }
    }
}
