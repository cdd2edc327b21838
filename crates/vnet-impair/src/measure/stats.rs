//! What a line did, as a value.

use serde::{Serialize, Serializer};

/// What a line did since it started; a snapshot by value.
///
/// `frames_in` is always `frames_out` and all the drops and what is still held, which is `in_flight` and `queue.packets`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LineStats {
    /// What is asked for, as [`Impairment::entries`](crate::Impairment::entries) writes it.
    #[serde(serialize_with = "as_map")]
    pub asked: Vec<(&'static str, String)>,
    /// How long the line exists, in nanoseconds.
    pub age_ns: u64,
    /// Frames that arrived.
    pub frames_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Frames that left; a duplicated frame counts once.
    pub frames_out: u64,
    /// Their bytes, copies apart.
    pub bytes_out: u64,
    /// Frames that the wire lost.
    pub lost: u64,
    /// Frames that found the queue full.
    pub queue_full: u64,
    /// Frames that CoDel dropped.
    pub codel_drops: u64,
    /// Frames that CoDel marked.
    pub ecn_marked: u64,
    /// Frames that left twice.
    pub duplicated: u64,
    /// Frames that took no delay, by `reorder`.
    pub reordered: u64,
    /// Frames that left after one that had arrived later, for whatever reason (RFC 4737's reordered packets).
    pub overtaken: u64,
    /// Frames with a bit flipped.
    pub corrupted: u64,
    /// Frames dropped because 64 MiB were on the wire.
    pub flight_full: u64,
    /// Frames behind the queue that have not left.
    pub in_flight: u64,
    /// What waits in front of the rate.
    pub queue: QueueStats,
    /// How long frames took, and how late they were.
    pub delay: DelayStats,
    /// Bit/s while the line was busy, overhead included; `None` without a rate, or while it never was busy.
    ///
    /// Taken from when frames really left, less the delay that each was to have.
    pub rate_realised: Option<f64>,
    /// The share of frames to be lost in the long run.
    pub loss_asked: f64,
    /// The share of frames lost of those that reached the wire; `None` where none did.
    pub loss_realised: Option<f64>,
    /// Runs of lost frames.
    pub loss_bursts: LossBursts,
    /// The most that waited, in equal spans from the line's start; empty where nothing ever did.
    pub queue_series: Vec<QueueSample>,
}

/// What waits in front of a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueStats {
    /// Packets that wait.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The most packets that ever waited.
    pub most_packets: u64,
    /// The most bytes that ever waited.
    pub most_bytes: u64,
}

/// The most that waited in one span of time, which lasts until the next sample's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct QueueSample {
    /// When the span begins, in nanoseconds since the line's start.
    pub t_ns: u64,
    /// The most packets that waited.
    pub packets: u64,
    /// The most bytes that waited.
    pub bytes: u64,
}

/// How long frames took that left, from their arrival; each `None` where no frame has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DelayStats {
    /// As they should: queue, rate and delay.
    pub asked: Option<Spread>,
    /// As they did.
    pub realised: Option<Spread>,
    /// How much later they left than they should.
    pub error: Option<Spread>,
}

/// A distribution of times in nanoseconds; quantiles are exact to 0.8 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: u64,
    /// Their mean.
    pub mean_ns: u64,
    /// The least.
    pub min_ns: u64,
    /// The median.
    pub p50_ns: u64,
    /// The 99th percentile.
    pub p99_ns: u64,
    /// The most.
    pub max_ns: u64,
}

/// Runs of frames lost in a row, of those that have ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LossBursts {
    /// How many there were.
    pub count: u64,
    /// Their mean length; `None` where there were none.
    pub mean: Option<f64>,
    /// The longest.
    pub longest: u64,
    /// How many had 1, 2, ... frames; the 256th place also counts those that had more.
    pub lengths: Vec<u64>,
}

fn as_map<S: Serializer>(entries: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(key, text)| (key, text)))
}
