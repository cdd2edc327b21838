//! Times: tc's units in text, seconds as a number, nanoseconds inside.

use super::decimal::{number_and_unit, quotient, scaled};
use crate::{Given, ReadError};

/// The longest time a key takes: an hour is more than any link needs, and sums of times never overflow.
pub(crate) const LONGEST_NS: u64 = 3_600 * SECOND;

const SECOND: u64 = 1_000_000_000;
const FORM: &str = "a time such as \"10ms\", \"200us\", \"1.5s\" or a number of seconds, at most an hour";

/// Reads a time as the keys of an impairment take it, into nanoseconds.
///
/// # Errors
///
/// It is no time, or more than an hour.
pub fn time(given: Given<'_>) -> Result<u64, ReadError> {
    read_time(given).map_err(|form| ReadError::new(format!("time is {given}"), form))
}

/// Writes nanoseconds as [`time`] reads them again: `10ms`.
pub fn time_text(ns: u64) -> String {
    write_time(ns)
}

/// Reads a time into nanoseconds, or says what a time looks like.
pub(crate) fn read_time(given: Given<'_>) -> Result<u64, &'static str> {
    let ns = match given {
        Given::Integer(seconds) => u64::try_from(seconds).ok().and_then(|s| s.checked_mul(SECOND)),
        Given::Float(seconds) => from_seconds(seconds),
        Given::Text(text) => from_text(text.trim()),
    };
    ns.filter(|&ns| ns <= LONGEST_NS).ok_or(FORM)
}

/// Writes nanoseconds in the largest unit that leaves a whole part.
pub(crate) fn write_time(ns: u64) -> String {
    let (scale, unit) = match ns {
        SECOND.. => (SECOND, "s"),
        1_000_000.. => (1_000_000, "ms"),
        1_000.. => (1_000, "us"),
        _ => (1, "ns"),
    };
    quotient(ns, scale) + unit
}

fn from_seconds(seconds: f64) -> Option<u64> {
    let ns = (seconds * SECOND as f64).round();
    (0.0..=LONGEST_NS as f64).contains(&ns).then_some(ns as u64)
}

fn from_text(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" => SECOND,
        "ms" | "msec" | "msecs" => 1_000_000,
        "us" | "usec" | "usecs" | "µs" => 1_000,
        "ns" | "nsec" | "nsecs" => 1,
        _ => return None,
    };
    scaled(number, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tcs_units_and_seconds() {
        for (text, ns) in [
            ("10ms", 10_000_000),
            ("200us", 200_000),
            ("1.5s", 1_500_000_000),
            ("100ns", 100),
            ("3 ms", 3_000_000),
        ] {
            assert_eq!(read_time(Given::Text(text)), Ok(ns), "{text}");
        }
        assert_eq!(read_time(Given::Integer(2)), Ok(2 * SECOND));
        assert_eq!(read_time(Given::Float(0.0125)), Ok(12_500_000));
    }

    #[test]
    fn refuses_what_has_no_unit_or_no_sense() {
        for text in [
            "10",
            "10 meters",
            "-1ms",
            "ms",
            "",
            "1.1.1s",
            "2h",
            "3601s",
            "infs",
        ] {
            assert_eq!(read_time(Given::Text(text)), Err(FORM), "{text}");
        }
        for number in [-0.1, f64::NAN, f64::INFINITY, 3601.0] {
            assert_eq!(read_time(Given::Float(number)), Err(FORM), "{number}");
        }
        assert_eq!(read_time(Given::Integer(i128::MAX)), Err(FORM));
    }

    #[test]
    fn writes_what_reads_back() {
        for (ns, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_500, "1.5us"),
            (10_000_000, "10ms"),
            (90_000_000_000, "90s"),
        ] {
            assert_eq!(write_time(ns), text);
            assert_eq!(read_time(Given::Text(text)), Ok(ns));
        }
    }
}
