//! One thing at one moment.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use vnet_datapath::PipelineStats;
use vnet_impair::LineStats;
use vnet_lab::{At, Count, InterfaceRow, LinkRow, NetworkStats};
use vnet_runtime::StageStats;

use crate::device::DeviceStats;

/// What has passed one thing in one direction until one moment; all counters begin when the thing does.
///
/// | `kind` | is about | `direction` | named by |
/// |---|---|---|---|
/// | `link` | a link | `a>b`, `b>a` | `link`, and `node` and `interface` of the end that sends |
/// | `port` | an interface of a node, or a device | `rx`, `tx` | `node`, `interface`, and `link` behind it |
/// | `stage` | a plugin | none | `stage`, and `link`, or `node` and `interface`, it is on |
/// | `engine` | a part whose frames the engine moves | none | `link`, or the switch as `node` |
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// When, in nanoseconds since 1970 (UTC).
    pub time_ns: i64,
    /// What it is about: `link`, `port`, `stage` or `engine`.
    pub kind: String,
    /// The node.
    pub node: Option<String>,
    /// Its interface.
    pub interface: Option<String>,
    /// The link.
    pub link: Option<String>,
    /// The plugin.
    pub stage: Option<String>,
    /// Which way.
    pub direction: Option<String>,
    /// `kernel`, `engine` or `down` for a link; `up`, `down` or `no-carrier` for an interface; the state of a plugin.
    pub state: Option<String>,
    /// Frames that came to it; a segmentation-offload frame is one.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that it dropped.
    pub drops: u64,
    /// The same by reason, without those that never happened.
    pub reasons: BTreeMap<String, u64>,
    /// Frames that wait in it just now; nothing for what has no queue.
    pub queue: Option<u64>,
    /// Time in the plugin for each frame it has seen so far.
    pub ns_per_packet: Option<f64>,
    /// CPU time it has used: the plugin's own, or that of the engine's thread.
    pub cpu_ns: Option<u64>,
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Returns a sample of a network: links first, then node interfaces, plugins, and the engine's parts.
pub(crate) fn rows(stats: &NetworkStats, stages: &[(At, StageStats)]) -> Vec<Row> {
    let time_ns = now();
    let mut rows = Vec::with_capacity(2 * (stats.links.len() + stats.interfaces.len()) + stages.len());
    for link in &stats.links {
        rows.extend(link_rows(link, stats));
    }
    rows.extend(stats.interfaces.iter().flat_map(interface_rows));
    for (at, stage) in stages {
        rows.push(placed(at, stage_row(stage)));
    }
    for island in &stats.islands {
        let mut row = engine_row(&island.stats);
        match island.name.split_once(' ') {
            Some(("link", name)) => row.link = Some(name.to_owned()),
            Some((_, name)) => row.node = Some(name.to_owned()),
            None => row.node = Some(island.name.clone()),
        }
        rows.push(row);
    }
    for row in &mut rows {
        row.time_ns = time_ns;
    }
    rows
}

/// Returns a sample of devices and the plugins on them, where no network is.
#[must_use]
pub fn rows_of_devices(devices: &[DeviceStats], stages: &[StageStats]) -> Vec<Row> {
    let time_ns = now();
    let (mut rows, mut seen) = (Vec::new(), Vec::new());
    for device in devices {
        let kernel = &device.kernel;
        let row = |direction: &str, frames, bytes, drops: &[(&str, u64)]| Row {
            kind: "port".into(),
            interface: Some(device.name.clone()),
            direction: Some(direction.into()),
            frames,
            bytes,
            drops: drops.iter().map(|(_, count)| count).sum(),
            reasons: named(drops.iter().copied()),
            ..Row::default()
        };
        let (rx, tx) = (
            [("rx_dropped", kernel.rx_dropped), ("rx_errors", kernel.rx_errors)],
            [("tx_dropped", kernel.tx_dropped), ("tx_errors", kernel.tx_errors)],
        );
        rows.push(row("rx", kernel.rx_packets, kernel.rx_bytes, &rx));
        rows.push(row("tx", kernel.tx_packets, kernel.tx_bytes, &tx));
        // Both devices of a wire have its numbers.
        let names = |engine: &PipelineStats| {
            engine
                .ports
                .iter()
                .map(|port| port.name.clone())
                .collect::<Vec<_>>()
        };
        if let Some(engine) = &device.engine
            && !seen.contains(&names(engine))
        {
            seen.push(names(engine));
            rows.push(Row {
                interface: Some(device.name.clone()),
                ..engine_row(engine)
            });
        }
    }
    rows.extend(stages.iter().map(stage_row));
    for row in &mut rows {
        row.time_ns = time_ns;
    }
    rows
}

fn link_rows(link: &LinkRow, stats: &NetworkStats) -> [Row; 2] {
    let state = match (link.up, link.engine) {
        (false, _) => "down",
        (true, true) => "engine",
        (true, false) => "kernel",
    };
    let row = |direction: &str, end: &str, sent: Count, line: Option<&LineStats>| {
        let (node, interface) = end.rsplit_once(':').unwrap_or((end, ""));
        let reasons = line.map(lost).unwrap_or_default();
        Row {
            kind: "link".into(),
            node: Some(node.to_owned()),
            interface: Some(interface.to_owned()),
            link: Some(link.name.clone()),
            direction: Some(direction.into()),
            state: Some(state.into()),
            frames: sent.packets,
            bytes: sent.bytes,
            drops: reasons.values().sum(),
            reasons,
            // A link in the kernel is a pair of veths, which have no queue.
            queue: line.map(|line| line.queue.packets + line.in_flight).or(Some(0)),
            cpu_ns: engine_of(link, stats),
            ..Row::default()
        }
    };
    [
        row("a>b", &link.a, link.from_a, link.a_to_b.as_ref()),
        row("b>a", &link.b, link.from_b, link.b_to_a.as_ref()),
    ]
}

fn engine_of(link: &LinkRow, stats: &NetworkStats) -> Option<u64> {
    let found = stats
        .islands
        .iter()
        .find(|island| island.name.strip_prefix("link ") == Some(&link.name));
    found.map(|island| island.stats.worker_cpu_ns)
}

/// What a line has dropped, by netem's and our words for it.
fn lost(line: &LineStats) -> BTreeMap<String, u64> {
    named([
        ("loss", line.lost),
        ("queue_full", line.queue_full),
        ("codel", line.codel_drops),
        ("flight_full", line.flight_full),
    ])
}

fn named<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
    counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

fn interface_rows(found: &InterfaceRow) -> [Row; 2] {
    let kernel = &found.kernel;
    let row = |direction: &str, frames, bytes, drops: [(&str, u64); 2]| Row {
        kind: "port".into(),
        node: Some(found.node.clone()),
        interface: Some(found.interface.clone()),
        link: found.link.clone(),
        direction: Some(direction.into()),
        state: Some(found.state.clone()),
        frames,
        bytes,
        drops: drops.iter().map(|(_, count)| count).sum(),
        reasons: named(drops),
        ..Row::default()
    };
    let rx = [("rx_dropped", kernel.rx_dropped), ("rx_errors", kernel.rx_errors)];
    let tx = [("tx_dropped", kernel.tx_dropped), ("tx_errors", kernel.tx_errors)];
    [
        row("rx", kernel.rx_packets, kernel.rx_bytes, rx),
        row("tx", kernel.tx_packets, kernel.tx_bytes, tx),
    ]
}

fn stage_row(stage: &StageStats) -> Row {
    Row {
        kind: "stage".into(),
        stage: Some(stage.name.clone()),
        state: Some(stage.state.clone()),
        frames: stage.packets_in,
        bytes: stage.bytes_in,
        drops: stage.dropped,
        reasons: named(stage.drops.iter().map(|(name, count)| (name.as_str(), *count))),
        ns_per_packet: (stage.packets_in > 0).then_some(stage.ns_per_packet),
        cpu_ns: Some(stage.guest_ns),
        ..Row::default()
    }
}

fn placed(at: &At, row: Row) -> Row {
    match at {
        At::Link(link) => Row {
            link: Some(link.clone()),
            ..row
        },
        At::Switch(node) => Row {
            node: Some(node.clone()),
            ..row
        },
        At::Interface { node, interface } => Row {
            node: Some(node.clone()),
            interface: Some(interface.clone()),
            ..row
        },
    }
}

fn engine_row(stats: &PipelineStats) -> Row {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for (name, count) in stats
        .drops
        .iter()
        .chain(stats.ports.iter().flat_map(|port| &port.drops))
    {
        if *count > 0 {
            *reasons.entry(name.clone()).or_default() += count;
        }
    }
    let kernel = stats.ports.iter().map(|port| port.kernel_drops).sum();
    for (name, count) in [("plugins", stats.stage_drops), ("kernel", kernel)] {
        if count > 0 {
            reasons.insert(name.to_owned(), count);
        }
    }
    Row {
        kind: "engine".into(),
        frames: stats.ports.iter().map(|port| port.rx_packets).sum(),
        bytes: stats.ports.iter().map(|port| port.rx_bytes).sum(),
        drops: reasons.values().sum(),
        reasons,
        queue: Some(stats.held),
        cpu_ns: Some(stats.worker_cpu_ns),
        ..Row::default()
    }
}
