//! A histogram of times that keeps its relative error, whatever they are.

use super::Spread;

/// Values that share their leading bits are counted together: 64 classes between each power of two and the next.
///
/// A quantile is off by 0.8 % at most. Classes are made where values fall, so an unused histogram
/// holds nothing.
#[derive(Default)]
pub(super) struct Histogram {
    octaves: Vec<Option<Box<[u64; CLASSES]>>>,
    count: u64,
    sum: u64,
    least: u64,
    most: u64,
}

const CLASSES: usize = 64;
const BITS: u32 = CLASSES.ilog2();

impl Histogram {
    #[inline]
    pub(super) fn record(&mut self, value: u64) {
        let (octave, class) = place(value);
        match self.octaves.get_mut(octave) {
            Some(Some(classes)) => classes[class] += 1,
            _ => self.begin(octave)[class] += 1,
        }
        self.least = if self.count == 0 {
            value
        } else {
            self.least.min(value)
        };
        self.most = self.most.max(value);
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
    }

    #[cold]
    fn begin(&mut self, octave: usize) -> &mut [u64; CLASSES] {
        if octave >= self.octaves.len() {
            self.octaves.resize_with(octave + 1, || None);
        }
        self.octaves[octave].get_or_insert_with(|| Box::new([0; CLASSES]))
    }

    /// Returns the summary; `None` where nothing was recorded.
    pub(super) fn spread(&self) -> Option<Spread> {
        (self.count > 0).then(|| Spread {
            count: self.count,
            mean_ns: self.sum / self.count,
            min_ns: self.least,
            p50_ns: self.quantile(0.50),
            p99_ns: self.quantile(0.99),
            max_ns: self.most,
        })
    }

    fn quantile(&self, share: f64) -> u64 {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count);
        let mut below = 0;
        for (octave, classes) in self.octaves.iter().enumerate() {
            for (class, count) in classes.iter().flat_map(|classes| classes.iter().enumerate()) {
                below += count;
                if below >= rank {
                    return middle(octave, class).clamp(self.least, self.most);
                }
            }
        }
        self.most
    }
}

/// Returns the octave and the class in it where a value is counted.
fn place(value: u64) -> (usize, usize) {
    // Below 64 each value has a class of its own; above, the leading 7 bits choose.
    let octave = (u64::BITS - value.leading_zeros()).saturating_sub(BITS);
    let class = (value >> octave.saturating_sub(1)) % CLASSES as u64;
    (octave as usize, class as usize)
}

fn middle(octave: usize, class: usize) -> u64 {
    let Some(shift) = octave.checked_sub(1) else {
        return class as u64;
    };
    ((CLASSES + class) as u64) << shift | (1 << shift >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_within_a_percent() {
        for value in (0..64)
            .flat_map(|bit| [1u64 << bit, (1 << bit) + (1 << bit) / 3, u64::MAX >> bit])
            .chain([0])
        {
            let (octave, class) = place(value);
            let error = middle(octave, class).abs_diff(value);
            assert!(
                error as f64 <= value as f64 * 0.008,
                "{value} is counted as {}",
                middle(octave, class)
            );
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.spread(), None);
        (1..=10_000)
            .rev()
            .for_each(|value| histogram.record(value * 1_000));
        let spread = histogram.spread().expect("it has values");
        assert_eq!(
            (spread.count, spread.min_ns, spread.max_ns, spread.mean_ns),
            (10_000, 1_000, 10_000_000, 5_000_500)
        );
        assert!(
            spread.p50_ns.abs_diff(5_000_000) < 40_000,
            "p50 {}",
            spread.p50_ns
        );
        assert!(
            spread.p99_ns.abs_diff(9_900_000) < 80_000,
            "p99 {}",
            spread.p99_ns
        );
    }
}
