//! Correlation: normal variables of which each depends on the one before.

use super::normal::quantile;

/// A Gaussian first-order autoregression: each value is standard normal, and neighbours correlate as asked.
///
/// What is drawn from it through the normal distribution function (a Gaussian copula) keeps the
/// distribution it should have, whatever the correlation.
#[derive(Clone, Copy)]
pub(super) struct Chain {
    correlation: f64,
    /// How much is left for the fresh part, so that the variance stays 1.
    fresh: f64,
    last: Option<f64>,
}

impl Chain {
    /// Returns a chain of this correlation, `None` where there is no correlation.
    pub(super) fn new(correlation: f64) -> Option<Self> {
        let fresh = libm::sqrt(1.0 - correlation * correlation);
        (correlation > 0.0).then_some(Chain {
            correlation,
            fresh,
            last: None,
        })
    }

    /// Goes on from where another chain stands.
    pub(super) fn after(mut self, before: Option<Chain>) -> Self {
        self.last = before.and_then(|chain| chain.last);
        self
    }

    /// Returns the next value, made from a number between 0 and 1.
    pub(super) fn next(&mut self, unit: f64) -> f64 {
        let fresh = quantile(unit);
        let value = self
            .last
            .map_or(fresh, |last| self.correlation * last + self.fresh * fresh);
        self.last = Some(value);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::super::draws::{Draw, Draws};
    use super::*;

    #[test]
    fn has_the_asked_correlation_and_stays_standard_normal() {
        const FRAMES: u64 = 200_000;
        for correlation in [0.1, 0.25, 0.5, 0.9] {
            let (mut draws, mut chain) = (
                Draws::new([9; 32]),
                Chain::new(correlation).expect("it is positive"),
            );
            let values: Vec<f64> = (0..FRAMES)
                .map(|n| chain.next(draws.block(n).unit(Draw::Loss)))
                .collect();
            let mean = values.iter().sum::<f64>() / FRAMES as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / FRAMES as f64;
            let lag: f64 = values
                .windows(2)
                .map(|w| (w[0] - mean) * (w[1] - mean))
                .sum::<f64>()
                / FRAMES as f64;
            // Five standard errors; correlation makes the mean and the variance worse known.
            let wide = (1.0 + correlation) / (1.0 - correlation) / FRAMES as f64;
            assert!(mean.abs() < 5.0 * wide.sqrt(), "mean {mean} at {correlation}");
            assert!(
                (variance - 1.0).abs() < 5.0 * (2.0 * wide).sqrt(),
                "variance {variance} at {correlation}"
            );
            let error = 5.0 * ((1.0 - correlation * correlation) / FRAMES as f64).sqrt();
            assert!(
                (lag / variance - correlation).abs() < error,
                "lag-1 {} at {correlation}",
                lag / variance
            );
        }
    }
}
