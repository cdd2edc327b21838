//! `vnet plugin bench`: what a plugin costs by itself, with frames in memory and no device.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use serde_json::Value;
use vnet_abi::{HEADROOM, RING_MAX, flags};
use vnet_packet::Layer;
use vnet_runtime::{Frame, Frames, Module, Stage, StageOptions};

use crate::capture;
use crate::error::KitError;
use crate::frame::FrameSpec;
use crate::native::Native;
use crate::trial::runtime_layer;

/// Says what is measured.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// The plugin's configuration.
    pub config: Value,
    /// Capabilities granted.
    pub grants: Vec<String>,
    /// Lengths of the frames, in bytes.
    pub sizes: Vec<usize>,
    /// How many frames one call gets.
    pub batches: Vec<usize>,
    /// A capture whose frames are judged instead, in order and again from the start.
    pub pcap: Option<PathBuf>,
    /// CPU time of each measurement.
    pub time: Duration,
    /// Name of the plugin that ships with vnet, where it is one: several have a native twin to be compared with.
    pub shipped: Option<String>,
}

impl Default for BenchOptions {
    fn default() -> BenchOptions {
        BenchOptions {
            config: Value::Object(serde_json::Map::new()),
            grants: Vec::new(),
            sizes: vec![64, 512, 1500],
            batches: vec![1, 8, 64],
            pcap: None,
            time: Duration::from_millis(300),
            shipped: None,
        }
    }
}

/// What a plugin costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BenchReport {
    /// Name of the plugin.
    pub plugin: String,
    /// One measurement for each length and batch.
    pub rows: Vec<BenchRow>,
    /// Faults that happened meanwhile, by kind; figures of a plugin that fails mean little.
    pub faults: std::collections::BTreeMap<String, u64>,
}

/// One measurement, in CPU time of the thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BenchRow {
    /// Bytes of a frame; the mean of a capture's.
    pub size: usize,
    /// Frames in one call.
    pub batch: usize,
    /// Frames judged.
    pub frames: u64,
    /// Nanoseconds a packet.
    pub ns_per_packet: f64,
    /// Millions of packets a second on one core.
    pub mpps: f64,
    /// Nanoseconds a packet without a plugin: what filling in a batch costs, and with a capture the copy of its frames.
    pub host_ns: f64,
    /// Nanoseconds a packet of the same rule in Rust, compiled for this machine and judging the same batch; `None` where
    /// the plugin has no such twin.
    pub native_ns: Option<f64>,
    /// WebAssembly instructions a packet, which no machine's speed changes.
    pub fuel_per_packet: Option<f64>,
}

/// Most frames of a capture that are kept in memory.
const FRAMES_MAX: usize = 4_000_000;
const ROUNDS_FIRST: usize = 64;

/// Measures a plugin; `metered` is the same module compiled to count its instructions, where that is wanted. `told` hears again and
/// again which share of the work is done, from 0 to 1.
///
/// # Errors
/// [`KitError::Plugin`] where it does not start, [`KitError::Invalid`] where a frame does not fit it.
pub fn bench(
    module: &Module,
    metered: Option<&Module>,
    options: &BenchOptions,
    told: &mut dyn FnMut(f64),
) -> Result<BenchReport, KitError> {
    let mut report = BenchReport {
        plugin: module.name().to_owned(),
        ..BenchReport::default()
    };
    if options.sizes.contains(&0) || options.batches.contains(&0) {
        return Err(KitError::invalid("sizes and batches are at least 1"));
    }
    let sources = match &options.pcap {
        Some(path) => vec![Supply::capture(path)?],
        None => options
            .sizes
            .iter()
            .map(|size| Supply::made(module, *size))
            .collect(),
    };
    let (mut done, total) = (0, sources.len() * options.batches.len());
    for supply in &sources {
        for &batch in &options.batches {
            let mut bench = Bench::new(module, options, supply, batch)?;
            let mut row = bench.measure(options.time, &mut |share| {
                told((f64::from(done) + share) / total as f64);
            });
            done += 1;
            if let Some(metered) = metered {
                row.fuel_per_packet = Bench::new(metered, options, supply, batch)?.fuel();
            }
            for (kind, n) in bench.stage.stats().faults {
                *report.faults.entry(kind).or_default() += n;
            }
            // A plugin may take fewer at once than was asked for: one row is enough then.
            if !report
                .rows
                .iter()
                .any(|other| (other.size, other.batch) == (row.size, row.batch))
            {
                report.rows.push(row);
            }
        }
    }
    Ok(report)
}

/// Frames in one piece of memory.
struct Supply {
    layer: Layer,
    bytes: Vec<u8>,
    /// Where each starts and how long it is.
    at: Vec<(usize, usize)>,
    /// One frame again and again: it is left where it lies.
    is_one: bool,
}

impl Supply {
    /// A UDP datagram between two hosts, cut or padded to `size`.
    fn made(module: &Module, size: usize) -> Supply {
        let is_l2 = module.manifest().layers.contains(&vnet_runtime::Layer::L2);
        let eth = if is_l2 { "\"eth\": {}, " } else { "" };
        let headers = 28 + if is_l2 { 14 } else { 0 };
        let payload = "x".repeat(size.saturating_sub(headers));
        let text = format!(
            "{{{eth}\"ipv4\": {{}}, \"udp\": {{\"src\": 4660, \"dst\": 22136}}, \"payload\": \"{payload}\"}}"
        );
        let spec: Option<FrameSpec> = serde_json::from_str(&text).ok();
        let mut bytes = spec.and_then(|spec| spec.bytes().ok()).unwrap_or_default();
        bytes.resize(size, 0);
        Supply {
            layer: if is_l2 { Layer::L2 } else { Layer::L3 },
            at: vec![(0, size)],
            bytes,
            is_one: true,
        }
    }

    fn capture(path: &Path) -> Result<Supply, KitError> {
        let capture = capture::read(path, FRAMES_MAX)?;
        if capture.frames.is_empty() {
            return Err(KitError::invalid(format!(
                "capture {} holds no frame",
                path.display()
            )));
        }
        let mut supply = Supply {
            layer: capture.layer,
            bytes: Vec::new(),
            at: Vec::with_capacity(capture.frames.len()),
            is_one: false,
        };
        for frame in capture.frames {
            supply.at.push((supply.bytes.len(), frame.len()));
            supply.bytes.extend(frame);
        }
        Ok(supply)
    }

    fn longest(&self) -> usize {
        self.at.iter().map(|(_, len)| *len).max().unwrap_or(0)
    }
}

struct Bench<'a> {
    stage: Stage,
    supply: &'a Supply,
    batch: usize,
    frames: Frames,
    template: Vec<Frame>,
    next: usize,
    native: Option<Native>,
}

/// Who judges the frames of a round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judge {
    Nobody,
    Plugin,
    Native,
}

impl<'a> Bench<'a> {
    fn new(
        module: &Module,
        options: &BenchOptions,
        supply: &'a Supply,
        batch: usize,
    ) -> Result<Bench<'a>, KitError> {
        let ethernet = if supply.layer == Layer::L2 { 14 } else { 0 };
        let stage = StageOptions {
            config: options.config.clone(),
            grants: options.grants.clone(),
            layer: runtime_layer(supply.layer),
            ports: 2,
            mtu: supply.longest().saturating_sub(ethernet).min(1500) as u32,
            trip: None,
            ..StageOptions::default()
        };
        let mut stage = Stage::new(module, stage)?;
        let most = stage.traits().max_frame as usize;
        if supply.longest() > most {
            return Err(KitError::invalid(format!(
                "plugin {} takes frames of {most} bytes; the longest here has {}",
                module.name(),
                supply.longest()
            )));
        }
        let batch = batch.min(stage.traits().batch);
        let arena = stage.arena();
        let template: Vec<Frame> = (0..batch)
            .map(|i| Frame {
                off: (i * arena.stride + HEADROOM) as u32,
                len: supply.at[0].1 as u32,
                flags: if supply.layer == Layer::L3 { flags::L3 } else { 0 },
                ts_ns: 1_000_000_000,
                ..Frame::default()
            })
            .collect();
        let mut bench = Bench {
            stage,
            supply,
            batch,
            frames: Frames::with_capacity(RING_MAX),
            template,
            next: 0,
            native: options
                .shipped
                .as_deref()
                .and_then(|name| Native::of(name, &options.config)),
        };
        if supply.is_one {
            bench.copy();
        }
        Ok(bench)
    }

    /// Puts the next frames into the arena, as reading them from a device would.
    fn copy(&mut self) {
        let arena = self.stage.arena();
        for frame in &mut self.template {
            let (start, len) = self.supply.at[self.next];
            let off = frame.off as usize;
            arena.bytes[off..off + len].copy_from_slice(&self.supply.bytes[start..start + len]);
            frame.len = len as u32;
            self.next += 1;
            if self.next == self.supply.at.len() {
                self.next = 0;
            }
        }
    }

    /// CPU time of `rounds` calls.
    fn rounds(&mut self, rounds: usize, judge: Judge) -> Duration {
        let begun = cpu();
        for _ in 0..rounds {
            if !self.supply.is_one {
                self.copy();
            }
            self.frames.clear();
            self.frames.extend_from_slice(&self.template);
            match (judge, &mut self.native) {
                (Judge::Plugin, _) => self.stage.run(&mut self.frames),
                (Judge::Native, Some(native)) => native.run(&mut self.frames, self.stage.arena().bytes),
                (Judge::Native, None) | (Judge::Nobody, _) => {}
            }
            std::hint::black_box(&mut self.frames);
        }
        cpu() - begun
    }

    /// Returns the median of several rounds, each long enough to be measured; `told` hears which share of them is done.
    fn measure(&mut self, time: Duration, told: &mut dyn FnMut(f64)) -> BenchRow {
        const PARTS: u32 = 9;
        let mut rounds = ROUNDS_FIRST;
        while self.rounds(rounds, Judge::Plugin) < time / PARTS / 2 {
            rounds *= 2;
        }
        let frames = (rounds * self.batch) as f64;
        let judges = [Judge::Plugin, Judge::Nobody, Judge::Native];
        let mut done = 0;
        let mut median = |judge| {
            let mut parts: Vec<f64> = (0..PARTS)
                .map(|_| {
                    let took = self.rounds(rounds, judge);
                    done += 1;
                    told(f64::from(done) / f64::from(PARTS * judges.len() as u32));
                    took.as_nanos() as f64 / frames
                })
                .collect();
            parts.sort_by(f64::total_cmp);
            parts[PARTS as usize / 2]
        };
        let [ns, host_ns, native_ns] = judges.map(&mut median);
        let total: usize = self.supply.at.iter().map(|(_, len)| len).sum();
        BenchRow {
            size: total / self.supply.at.len(),
            batch: self.batch,
            frames: u64::from(PARTS) * (rounds * self.batch) as u64,
            ns_per_packet: ns,
            mpps: 1e3 / ns,
            host_ns,
            native_ns: self.native.is_some().then_some(native_ns),
            fuel_per_packet: None,
        }
    }

    /// Instructions a packet over as many frames as there are, at most some thousand.
    fn fuel(&mut self) -> Option<f64> {
        const ROUNDS: usize = 64;
        let rounds = if self.supply.is_one {
            ROUNDS
        } else {
            self.supply.at.len().div_ceil(self.batch).min(ROUNDS * ROUNDS)
        };
        self.rounds(1, Judge::Plugin);
        let before = self.stage.instructions()?;
        self.rounds(rounds, Judge::Plugin);
        let used = self.stage.instructions()? - before;
        Some(used as f64 / (rounds * self.batch) as f64)
    }
}

/// CPU time of this thread, which a loaded machine changes less than the clock on the wall.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
