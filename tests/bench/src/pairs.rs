//! Medians of paired runs, with bootstrap intervals.

use serde::Serialize;

/// Resamples drawn for an interval.
const RESAMPLES: usize = 4000;

/// The middle of a ratio's distribution.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Estimate {
    pub median: f64,
    /// Bounds of the 95 % bootstrap interval of the median.
    pub low: f64,
    pub high: f64,
}

/// Returns the median; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Returns the median of values measured in rounds with a percentile-bootstrap interval. The draws are the same in
/// every run.
pub fn estimate(values: &[f64]) -> Estimate {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize
    };
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sample: Vec<f64> = values.iter().map(|_| values[draw() % values.len()]).collect();
            median(&sample)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    Estimate {
        median: median(values),
        low: medians[RESAMPLES / 40],
        high: medians[RESAMPLES - 1 - RESAMPLES / 40],
    }
}

/// Returns `a / b`, round by round.
pub fn ratios(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a / b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_median_and_shrinks_to_a_constant() {
        let e = estimate(&[1.0, 2.0, 3.0, 4.0, 100.0]);
        assert_eq!(e.median, 3.0);
        assert!(e.low <= 3.0 && e.high >= 3.0 && e.low >= 1.0 && e.high <= 100.0);
        let e = estimate(&[2.5; 7]);
        assert_eq!((e.low, e.median, e.high), (2.5, 2.5, 2.5));
    }
}
