//! Impairments on the command line.

use clap::Args;
use vnet::{Changes, Impairment};

use crate::failure::Failure;

/// What befalls the packets on their way, in netem's words and units.
#[derive(Args, Debug, Default)]
#[command(
    next_help_heading = "Impairments (a value, or two with a comma: from A to B, from B to A; none for nothing)"
)]
pub(crate) struct ImpairOptions {
    /// Time on the way, such as 10ms or 200us
    #[arg(long, value_name = "TIME")]
    delay: Option<String>,
    /// How far delays spread
    #[arg(long, value_name = "TIME")]
    jitter: Option<String>,
    /// How they spread: uniform, normal, pareto, paretonormal, or a table in netem's .dist format
    #[arg(long, value_name = "NAME|FILE")]
    distribution: Option<String>,
    /// How much a delay depends on the one before, such as 25%
    #[arg(long, value_name = "CHANCE")]
    correlation: Option<String>,
    /// Which are lost: 1%, "1% 25%" (with correlation), or "gemodel P R 1-H 1-K"
    #[arg(long, value_name = "CHANCE")]
    loss: Option<String>,
    /// Which arrive twice
    #[arg(long, value_name = "CHANCE")]
    duplicate: Option<String>,
    /// Which leave at once, ahead of those that are delayed
    #[arg(long, value_name = "CHANCE")]
    reorder: Option<String>,
    /// Lets every N-th at most leave ahead
    #[arg(long, value_name = "N")]
    gap: Option<String>,
    /// Which have one bit flipped
    #[arg(long, value_name = "CHANCE")]
    corrupt: Option<String>,
    /// How fast they go on the wire, such as 10mbit
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// What may go at once when the wire was idle, such as 15kb
    #[arg(long, value_name = "SIZE")]
    burst: Option<String>,
    /// Bytes that each one takes on the wire besides its own
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    overhead: Option<String>,
    /// What may wait in front of the rate: packets, or a size such as 30kb
    #[arg(long, value_name = "PACKETS|SIZE", alias = "limit")]
    queue: Option<String>,
    /// What the queue does: droptail, codel, or "codel 5ms 100ms ecn"
    #[arg(long, value_name = "NAME")]
    discipline: Option<String>,
    /// When they may go on the wire, in place of a rate: a trace in mahimahi's format
    #[arg(long, value_name = "FILE")]
    trace: Option<String>,
    /// Seed of all that is random in these [default: drawn by chance and told at the end; 0 in a replay]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
}

impl ImpairOptions {
    /// Returns what was asked for, for both directions.
    pub fn changes(&self) -> Result<Changes, Failure> {
        let given = [
            ("delay", &self.delay),
            ("jitter", &self.jitter),
            ("distribution", &self.distribution),
            ("correlation", &self.correlation),
            ("loss", &self.loss),
            ("duplicate", &self.duplicate),
            ("reorder", &self.reorder),
            ("gap", &self.gap),
            ("corrupt", &self.corrupt),
            ("rate", &self.rate),
            ("burst", &self.burst),
            ("overhead", &self.overhead),
            ("queue", &self.queue),
            ("discipline", &self.discipline),
            ("trace", &self.trace),
        ];
        let mut changes = Changes::default();
        for (key, text) in given {
            let Some(text) = text else { continue };
            let (there, back) = text.split_once(',').unwrap_or((text, text));
            let set = changes.set(key, [there.trim(), back.trim()]);
            set.map_err(vnet::Error::from)?;
        }
        Ok(changes)
    }

    /// Returns what was asked for, for the one direction there is.
    pub fn one_way(&self) -> Result<Impairment, Failure> {
        let mut impair = <[Impairment; 2]>::default();
        let applied = self.changes()?.apply("of the replay", &mut impair);
        applied.map_err(vnet::Error::from)?;
        let [there, _] = impair;
        Ok(there)
    }
}
