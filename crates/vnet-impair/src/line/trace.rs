//! A trace in mahimahi's format.

/// How many bytes one line of a trace lets through.
pub(super) const OPPORTUNITY: u32 = 1_504;

/// Times at which bytes may leave, over and over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// Milliseconds from the trace's start, in order; the last one is the trace's length.
    times_ms: Box<[u64]>,
}

/// What is wrong with a trace.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TraceError {
    #[error("line {line}: `{text}` is not a whole number of milliseconds")]
    NotATime { line: usize, text: String },
    #[error("line {0}: its time is before the line above")]
    Backwards(usize),
    #[error("its last time is 0, and a trace must last longer than that")]
    Empty,
}

impl Trace {
    /// A year; what is longer is no trace of a link, and sums stay in range.
    const LONGEST_MS: u64 = 366 * 24 * 3_600 * 1_000;

    /// Reads one time a line, in milliseconds, none before the one above; blank lines are skipped.
    pub(crate) fn parse(text: &str) -> Result<Self, TraceError> {
        let mut times_ms: Vec<u64> = Vec::new();
        for (at, text) in text
            .lines()
            .enumerate()
            .filter(|(_, text)| !text.trim().is_empty())
        {
            let time = text.trim().parse().ok().filter(|time| *time <= Trace::LONGEST_MS);
            let time = time.ok_or_else(|| TraceError::NotATime {
                line: at + 1,
                text: text.trim().to_owned(),
            })?;
            if times_ms.last().is_some_and(|last| *last > time) {
                return Err(TraceError::Backwards(at + 1));
            }
            times_ms.push(time);
        }
        match times_ms.last() {
            None | Some(0) => Err(TraceError::Empty),
            Some(_) => Ok(Trace {
                times_ms: times_ms.into(),
            }),
        }
    }

    /// Returns how long the trace is; then it begins again.
    pub(super) fn length_ms(&self) -> u64 {
        self.times_ms[self.times_ms.len() - 1]
    }

    /// Returns how many opportunities one round has.
    pub(super) fn len(&self) -> usize {
        self.times_ms.len()
    }

    /// Returns the time of an opportunity from the start of its round.
    pub(super) fn time_ms(&self, index: usize) -> u64 {
        self.times_ms[index]
    }

    /// Returns the first opportunity of a round that is not before a time of that round.
    pub(super) fn first_at(&self, time_ms: u64) -> usize {
        self.times_ms.partition_point(|time| *time < time_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_time_a_line() {
        let trace = Trace::parse("0\n5\r\n5\n\n12\n").expect("it is a trace");
        assert_eq!((trace.len(), trace.length_ms()), (4, 12));
        assert_eq!([0, 1, 5, 6, 12].map(|time| trace.first_at(time)), [0, 1, 1, 3, 3]);
    }

    #[test]
    fn names_what_is_wrong() {
        let wrong = |text: &str| Trace::parse(text).expect_err("it is no trace").to_string();
        assert_eq!(
            wrong("1\nx\n"),
            "line 2: `x` is not a whole number of milliseconds"
        );
        assert_eq!(
            wrong("1.5"),
            "line 1: `1.5` is not a whole number of milliseconds"
        );
        assert_eq!(wrong("5\n4\n"), "line 2: its time is before the line above");
        assert_eq!(
            wrong("0\n0\n"),
            "its last time is 0, and a trace must last longer than that"
        );
        assert_eq!(
            wrong("\n"),
            "its last time is 0, and a trace must last longer than that"
        );
    }
}
