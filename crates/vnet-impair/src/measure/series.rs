//! The queue's length over time, in bounded memory.

use super::QueueSample;

/// The most that waited in each span of time, from the line's start until today.
///
/// All spans are equally long. When there is no room for another, two become one.
pub(super) struct Series {
    began: u64,
    /// A span is 2^shift ns long.
    shift: u32,
    spans: Vec<Most>,
    last: Most,
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Most {
    packets: u64,
    bytes: u64,
}

impl Most {
    fn max(self, other: Most) -> Most {
        Most {
            packets: self.packets.max(other.packets),
            bytes: self.bytes.max(other.bytes),
        }
    }
}

impl Series {
    const MOST_SPANS: usize = 1_024;
    /// 1.05 ms, so that the first second is seen in full.
    const FIRST_SHIFT: u32 = 20;

    pub(super) fn new(began: u64) -> Self {
        Series {
            began,
            shift: Series::FIRST_SHIFT,
            spans: Vec::new(),
            last: Most::default(),
        }
    }

    /// Records what waits from `now` on.
    pub(super) fn record(&mut self, now: u64, packets: u64, bytes: u64) {
        let most = Most { packets, bytes };
        if most == self.last {
            return;
        }
        let at = self.reach(now);
        self.spans[at] = self.spans[at].max(most);
        self.last = most;
    }

    /// Returns the spans until `now`.
    pub(super) fn samples(&self, now: u64) -> Vec<QueueSample> {
        if self.spans.is_empty() {
            return Vec::new();
        }
        let mut until = Series {
            spans: self.spans.clone(),
            ..*self
        };
        until.reach(now);
        let sample = |(at, most): (usize, &Most)| QueueSample {
            t_ns: (at as u64) << until.shift,
            packets: most.packets,
            bytes: most.bytes,
        };
        until.spans.iter().enumerate().map(sample).collect()
    }

    /// Returns the index of the span of a time, after the spans before it are filled with what waited.
    fn reach(&mut self, now: u64) -> usize {
        let since = now.saturating_sub(self.began);
        while since >> self.shift >= Series::MOST_SPANS as u64 {
            self.halve();
        }
        let at = (since >> self.shift) as usize;
        if at >= self.spans.len() {
            self.spans.resize(at + 1, self.last);
        }
        at
    }

    fn halve(&mut self) {
        self.spans = self
            .spans
            .chunks(2)
            .map(|pair| pair.iter().fold(Most::default(), |a, b| a.max(*b)))
            .collect();
        self.shift += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn keeps_the_most_of_each_span_and_what_lasts() {
        let mut series = Series::new(5 * MS);
        series.record(5 * MS, 3, 300);
        series.record(5 * MS + 10, 7, 700);
        series.record(5 * MS + 20, 2, 200);
        series.record(10 * MS, 0, 0);
        let packets: Vec<u64> = series
            .samples(12 * MS)
            .iter()
            .map(|sample| sample.packets)
            .collect();
        assert_eq!(packets, [7, 2, 2, 2, 2, 0, 0]);
    }

    #[test]
    fn halves_its_resolution_and_never_loses_the_peak() {
        let mut series = Series::new(0);
        for ms in 0..3_600_000 {
            series.record(ms * MS, if ms == 1_800_123 { 999 } else { ms % 3 }, 0);
        }
        let samples = series.samples(3_600_000 * MS);
        assert!(
            (Series::MOST_SPANS / 2..=Series::MOST_SPANS).contains(&samples.len()),
            "{} spans",
            samples.len()
        );
        let peak = samples
            .iter()
            .max_by_key(|sample| sample.packets)
            .expect("there are samples");
        let span = samples[1].t_ns;
        assert_eq!(peak.packets, 999);
        assert!((peak.t_ns..peak.t_ns + span).contains(&(1_800_123 * MS)));
    }

    #[test]
    fn an_empty_series_costs_nothing() {
        assert!(Series::new(0).samples(u64::MAX).is_empty());
    }
}
