use std::collections::BTreeMap;

use serde::Serialize;
use vnet_runtime::StageStats;

use crate::port::PortStats;

/// Numbers of one pipeline, by value: `balance()` tells whether every frame is accounted for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PipelineStats {
    /// One entry for each port, in order.
    pub ports: Vec<PortStats>,
    /// One entry for each attached stage.
    pub stages: Vec<StageStats>,
    /// Frames handed in by `send`.
    pub sent_in: u64,
    /// Frames plugins appended.
    pub appended: u64,
    /// Frames added by software segmentation, beyond the one each was cut from.
    pub segmented: u64,
    /// Frames added by flooding: the copies beyond the first of each flooded frame.
    pub flooded: u64,
    /// Frames added by lines: the copies beyond the first of each duplicated frame.
    pub duplicated: u64,
    /// Frames that lines hold, or that plugins have held, at this moment.
    pub held: u64,
    /// Frames whose sender a switch did not remember, because its table was full.
    pub unlearned: u64,
    /// Frames dropped by plugins, by their verdict or a fault.
    pub stage_drops: u64,
    /// Frames delivered to the receive queue.
    pub delivered: u64,
    /// Frames the engine dropped outside any port, by cause.
    pub drops: BTreeMap<String, u64>,
    /// Wake-ups of the worker in which this pipeline had its turn.
    pub wakeups: u64,
    /// Reads that brought at least one frame.
    pub batches: u64,
    /// CPU time the worker used for this pipeline, in nanoseconds: see [`Pipeline::cpu_time`](crate::Pipeline::cpu_time).
    pub worker_cpu_ns: u64,
}

impl PipelineStats {
    /// Frames that came in or were made, less those that went out or were dropped under a name: those that are under way, which
    /// are the ones [`held`](Self::held) while nothing else is.
    #[must_use]
    pub fn balance(&self) -> i64 {
        let port = |f: fn(&PortStats) -> u64| self.ports.iter().map(f).sum::<u64>() as i64;
        let came = port(|p| p.rx_packets)
            + (self.sent_in + self.appended + self.segmented + self.flooded + self.duplicated) as i64;
        let went = port(|p| p.tx_packets)
            + port(|p| p.drops.values().sum())
            + (self.delivered + self.stage_drops + self.drops.values().sum::<u64>()) as i64;
        came - went
    }
}
