//! What is set in an impairment, as text that reads back.

use super::distribution::write_path;
use super::{Impairment, Rate};
use crate::units::{write_bitrate, write_percent, write_size, write_time};

impl Impairment {
    /// Returns each key that is set with its canonical text, which [`Impairment::set`] reads again, in the order of [`Impairment::KEYS`].
    ///
    /// A path that is not UTF-8 is written with replacement characters.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let Rate {
            bits_per_s,
            burst,
            overhead,
        } = self.rate.unwrap_or_default();
        let chance = |chance: super::Chance| (!chance.is_none()).then(|| chance.write());
        let time = |ns: u64| (ns > 0).then(|| write_time(ns));
        let all = [
            ("delay", time(self.delay_ns)),
            ("jitter", time(self.jitter_ns)),
            ("distribution", self.distribution.write()),
            (
                "correlation",
                (self.correlation > 0.0).then(|| write_percent(self.correlation)),
            ),
            ("loss", self.loss.write()),
            ("duplicate", chance(self.duplicate)),
            ("reorder", chance(self.reorder)),
            ("gap", (self.gap > 0).then(|| self.gap.to_string())),
            ("corrupt", chance(self.corrupt)),
            ("rate", (bits_per_s > 0).then(|| write_bitrate(bits_per_s))),
            ("burst", (burst > 0).then(|| write_size(burst))),
            ("overhead", (overhead != 0).then(|| overhead.to_string())),
            ("queue", self.queue.map(|limit| limit.write())),
            ("discipline", self.discipline.write()),
            ("trace", self.trace.as_deref().map(write_path)),
        ];
        all.into_iter()
            .filter_map(|(key, text)| Some((key, text?)))
            .collect()
    }
}
