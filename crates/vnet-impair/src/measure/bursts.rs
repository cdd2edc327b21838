//! How many frames in a row a wire lost.

use super::LossBursts;

/// Counts runs of lost frames by their length.
#[derive(Default)]
pub(super) struct Bursts {
    /// How many runs had 1, 2, ... frames; the last place also counts all that were longer.
    lengths: Vec<u64>,
    count: u64,
    frames: u64,
    longest: u64,
    /// The length of the run that has not ended.
    current: u64,
}

impl Bursts {
    const LONGEST: usize = 256;

    #[inline]
    pub(super) fn record(&mut self, lost: bool) {
        if lost {
            self.current += 1;
        } else if self.current > 0 {
            self.end();
        }
    }

    /// Returns the runs that have ended.
    pub(super) fn summary(&self) -> LossBursts {
        LossBursts {
            count: self.count,
            mean: (self.count > 0).then(|| self.frames as f64 / self.count as f64),
            longest: self.longest,
            lengths: self.lengths.clone(),
        }
    }

    fn end(&mut self) {
        let length = std::mem::take(&mut self.current);
        let place = (length as usize).min(Bursts::LONGEST) - 1;
        if place >= self.lengths.len() {
            self.lengths.resize(place + 1, 0);
        }
        self.lengths[place] += 1;
        self.count += 1;
        self.frames += length;
        self.longest = self.longest.max(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_runs_that_have_ended() {
        let mut bursts = Bursts::default();
        "..X.XX...XX.XXX".chars().for_each(|c| bursts.record(c == 'X'));
        let summary = bursts.summary();
        assert_eq!(
            (summary.count, summary.longest, summary.lengths),
            (3, 2, vec![1, 2])
        );
        assert_eq!(summary.mean, Some(5.0 / 3.0));
    }

    #[test]
    fn long_runs_share_the_last_place() {
        let mut bursts = Bursts::default();
        (0..1_000).for_each(|_| bursts.record(true));
        bursts.record(false);
        assert_eq!(bursts.summary().lengths.len(), Bursts::LONGEST);
        assert_eq!(bursts.summary().longest, 1_000);
    }
}
