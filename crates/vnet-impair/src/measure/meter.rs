//! Everything that is counted while a line works.

use super::bursts::Bursts;
use super::histogram::Histogram;
use super::series::Series;
use super::stats::{DelayStats, LineStats, QueueStats};
use super::throughput::Throughput;
use crate::line::{End, Flying};
use crate::{Dropped, Impairment};

/// Counts what a line does.
pub(crate) struct Meter {
    began: u64,
    counts: Counts,
    queue: QueueStats,
    series: Series,
    asked: Histogram,
    realised: Histogram,
    error: Histogram,
    throughput: Throughput,
    bursts: Bursts,
    /// One more than the latest arrival that has left, by place among those that reached the wire.
    next_in_order: u64,
}

#[derive(Default)]
struct Counts {
    frames_in: u64,
    bytes_in: u64,
    frames_out: u64,
    bytes_out: u64,
    dropped: [u64; Dropped::ALL.len()],
    ecn_marked: u64,
    duplicated: u64,
    reordered: u64,
    overtaken: u64,
    corrupted: u64,
    on_wire: u64,
    lost_on_wire: u64,
}

impl Meter {
    pub(crate) fn new(now: u64) -> Self {
        Meter {
            began: now,
            counts: Counts::default(),
            queue: QueueStats::default(),
            series: Series::new(now),
            asked: Histogram::default(),
            realised: Histogram::default(),
            error: Histogram::default(),
            throughput: Throughput::default(),
            bursts: Bursts::default(),
            next_in_order: 0,
        }
    }

    /// Counts a frame that arrives.
    #[inline]
    pub(crate) fn arrives(&mut self, bytes: u32) {
        self.counts.frames_in += 1;
        self.counts.bytes_in += u64::from(bytes);
    }

    /// Counts a frame that is dropped.
    #[inline]
    pub(crate) fn drops(&mut self, why: Dropped) {
        self.counts.dropped[why as usize] += 1;
    }

    /// Records what waits from `now` on.
    #[inline]
    pub(crate) fn queue(&mut self, now: u64, packets: u64, bytes: u64) {
        self.queue.most_packets = self.queue.most_packets.max(packets);
        self.queue.most_bytes = self.queue.most_bytes.max(bytes);
        self.series.record(now, packets, bytes);
    }

    /// Counts a frame that the wire loses or not.
    #[inline]
    pub(crate) fn reaches_wire(&mut self, lost: bool) {
        self.counts.on_wire += 1;
        self.counts.lost_on_wire += u64::from(lost);
        self.bursts.record(lost);
    }

    /// Counts a frame whose way ends at `now`, and measures its time.
    #[inline]
    pub(crate) fn leaves<T>(&mut self, flying: &Flying<T>, now: u64) {
        if let End::Out { .. } = flying.end {
            self.asked.record(flying.due.saturating_sub(flying.arrived));
            self.realised.record(now.saturating_sub(flying.arrived));
            self.error.record(now.saturating_sub(flying.due));
            // What the wire itself took is no matter of the rate, but lateness is.
            let late = now.saturating_sub(flying.due);
            self.throughput
                .record(flying.run, flying.left.saturating_add(late));
        }
        self.flushes(flying);
    }

    /// Counts a frame whose way is cut short, so that its time says nothing.
    #[inline]
    pub(crate) fn flushes<T>(&mut self, flying: &Flying<T>) {
        match flying.end {
            End::Dropped(why) => self.drops(why),
            End::Out {
                duplicated,
                overtook,
                corrupt,
                mark_ce,
            } => {
                let counts = &mut self.counts;
                counts.frames_out += 1;
                counts.bytes_out += u64::from(flying.bytes);
                counts.duplicated += u64::from(duplicated);
                counts.reordered += u64::from(overtook);
                counts.corrupted += u64::from(corrupt.is_some());
                counts.ecn_marked += u64::from(mark_ce);
                counts.overtaken += u64::from(flying.order < self.next_in_order);
                self.next_in_order = self.next_in_order.max(flying.order + 1);
            }
        }
    }

    /// Returns everything that was counted, with what the line holds.
    pub(crate) fn stats(
        &self,
        asked: &Impairment,
        now: u64,
        in_flight: u64,
        waiting: (u64, u64),
    ) -> LineStats {
        let counts = &self.counts;
        let dropped = |why: Dropped| counts.dropped[why as usize];
        LineStats {
            asked: asked.entries(),
            age_ns: now.saturating_sub(self.began),
            frames_in: counts.frames_in,
            bytes_in: counts.bytes_in,
            frames_out: counts.frames_out,
            bytes_out: counts.bytes_out,
            lost: dropped(Dropped::Loss),
            queue_full: dropped(Dropped::QueueFull),
            codel_drops: dropped(Dropped::CoDel),
            ecn_marked: counts.ecn_marked,
            duplicated: counts.duplicated,
            reordered: counts.reordered,
            overtaken: counts.overtaken,
            corrupted: counts.corrupted,
            flight_full: dropped(Dropped::FlightFull),
            in_flight,
            queue: QueueStats {
                packets: waiting.0,
                bytes: waiting.1,
                ..self.queue
            },
            delay: DelayStats {
                asked: self.asked.spread(),
                realised: self.realised.spread(),
                error: self.error.spread(),
            },
            rate_realised: self.throughput.bits_per_s(),
            loss_asked: asked.loss.mean(),
            loss_realised: (counts.on_wire > 0).then(|| counts.lost_on_wire as f64 / counts.on_wire as f64),
            loss_bursts: self.bursts.summary(),
            queue_series: self.series.samples(now),
        }
    }
}
