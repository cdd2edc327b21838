//! One plugin, started afresh, under a thousand batches.

use std::collections::BTreeMap;
use std::fmt;

use vnet_abi::{HEADROOM, RING_MAX};
use vnet_packet::Layer;
use vnet_runtime::{Fate, Frame, Frames, Module, Stage, StageOptions, StageStats};

use crate::frames::{Offered, Source};
use crate::plugins::{Setup, stations};
use crate::random::Random;

const BATCHES: usize = 1_000;
/// Most steps of time between two batches: with some of them time-outs come true.
const STEPS_NS: [u64; 6] = [0, 1_000, 1_000_000, 50_000_000, 1_000_000_000, 400_000_000_000];

pub struct Round {
    stage: Stage,
    source: Source,
    now_ns: u64,
    pub frames: u64,
}

impl Round {
    pub fn start(module: &Module, setup: &Setup, random: Random) -> Round {
        let options = StageOptions {
            config: setup.config.clone(),
            layer: setup.layer,
            ports: setup.ports,
            trip: None,
            grants: module.manifest().capabilities.clone(),
            ..StageOptions::default()
        };
        let stage = Stage::new(module, options).unwrap_or_else(|error| panic!("{setup}: {error}"));
        let layer = match setup.layer {
            vnet_runtime::Layer::L2 => Layer::L2,
            vnet_runtime::Layer::L3 => Layer::L3,
        };
        Round {
            source: Source::new(
                random,
                layer,
                stage.traits(),
                setup.ports,
                stations(module.name()),
            ),
            stage,
            now_ns: 1_000_000_000,
            frames: 0,
        }
    }

    /// Runs all batches.
    ///
    /// # Errors
    /// Says which rule the plugin broke, and shows the batch.
    pub fn run(&mut self) -> Result<(), String> {
        let mut frames = Frames::with_capacity(RING_MAX);
        for _ in 0..BATCHES {
            let n = 1 + self.source.random.below(self.stage.traits().batch);
            self.now_ns += self.source.random.pick(&STEPS_NS);
            let batch: Vec<Offered> = (0..n).map(|_| self.source.next()).collect();
            frames.clear();
            self.fill(&batch, &mut frames);
            self.stage.run(&mut frames);
            self.frames += n as u64;
            let stats = self.stage.stats();
            let judged = stats.passed + stats.dropped + stats.redirected + stats.tx;
            if !stats.faults.is_empty() || stats.packets_in + stats.appended != judged {
                return Err(told(&stats, &batch));
            }
            self.learn(&frames);
        }
        Ok(())
    }

    fn fill(&mut self, batch: &[Offered], frames: &mut Frames) {
        let arena = self.stage.arena();
        for (slot, offered) in batch.iter().enumerate() {
            let off = slot * arena.stride + HEADROOM;
            arena.bytes[off..off + offered.bytes.len()].copy_from_slice(&offered.bytes);
            frames.push(Frame {
                off: off as u32,
                len: offered.bytes.len() as u32,
                port: offered.port,
                flags: offered.flags,
                gso_size: offered.gso_size,
                ts_ns: self.now_ns,
                ..Frame::default()
            });
        }
    }

    /// Keeps some of what left the plugin: what it rewrote or made comes back to it as an answer.
    fn learn(&mut self, frames: &Frames) {
        for frame in frames.as_slice() {
            if matches!(frame.fate, Fate::Drop(_)) || !self.source.random.once_in(8) {
                continue;
            }
            let at = frame.off as usize;
            if let Some(bytes) = self.stage.arena().bytes.get(at..at + frame.len as usize) {
                let bytes = bytes[..bytes.len().min(2000)].to_vec();
                self.source.keep(&bytes);
            }
        }
    }

    pub fn stats(&self) -> StageStats {
        self.stage.stats()
    }
}

fn told(stats: &StageStats, batch: &[Offered]) -> String {
    let mut text = format!("{:?}\n", stats.faults);
    if let Some(fault) = &stats.last_fault {
        text += &format!(
            "{}: {}\n{}{}\n",
            fault.kind, fault.message, fault.backtrace, fault.hexdump
        );
    }
    for (number, frame) in batch.iter().enumerate() {
        let bytes: String = frame.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        text += &format!(
            "{number}: port {}, flags {:#x}, gso {}: {bytes}\n",
            frame.port, frame.flags, frame.gso_size
        );
    }
    text
}

/// Frames by verdict, over all rounds.
#[derive(Default)]
pub struct Verdicts(BTreeMap<&'static str, u64>);

impl Verdicts {
    pub fn add(&mut self, stats: &StageStats) {
        let all = [
            ("passed", stats.passed),
            ("dropped", stats.dropped),
            ("redirected", stats.redirected),
            ("sent back", stats.tx),
            ("made", stats.appended),
        ];
        for (name, n) in all {
            *self.0.entry(name).or_default() += n;
        }
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .0
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        f.write_str(&parts.join(", "))
    }
}
