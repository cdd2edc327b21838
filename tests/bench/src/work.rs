//! What each shipped plugin costs at its work: batches in memory whose every frame it has something to do with, 64 conversations
//! at a time. Before anything is measured the verdicts and counters must say that the work is done.

mod frames;
mod rows;

use std::path::Path;
use std::time::Duration;

use vnet_runtime::{Fate, Frame, Frames, Stage};
use vnet_sys::thread::thread_cpu_time;

use crate::lab::{Result, stage};
use frames::Sent;
pub use rows::ROWS;

/// One plugin under one kind of traffic.
pub struct Row {
    /// As the table names it: the plugin, and behind a comma what is special.
    pub name: &'static str,
    config: fn() -> serde_json::Value,
    ports: u16,
    /// What the plugin hears first: what its neighbours are, which conversations there are.
    before: fn() -> Vec<Sent>,
    /// Frame `n` of a batch.
    frame: fn(usize) -> Sent,
    /// What becomes of each of them.
    fate: fn(Fate) -> bool,
    /// The counter that counts each of them, and how far one frame moves it.
    counts: Option<&'static str>,
}

/// Batches between two looks at the clock.
const RUN: usize = 500;
/// Where a frame begins in its slot, as the plugin ABI says.
const HEADROOM: usize = 128;
const NOW_NS: u64 = 1_000_000_000;

/// Returns nanoseconds of the thread's CPU time per frame: the median of as many runs as `time` allows, cache-hot.
///
/// Where the plugin rewrites frames each batch begins with them as they were sent, so that a copy of each is part of the figure:
/// a few nanoseconds. Filling in the batch's descriptions is part of it, too; reading and writing frames is not.
///
/// # Errors
/// When the plugin does not do what the row says.
pub fn ns_per_packet(plugins: &Path, row: &Row, time: Duration) -> Result<f64> {
    let plugin = row.name.split(',').next().unwrap_or(row.name);
    let file = plugins.join("shipped").join(plugin).with_extension("wasm");
    let mut stage = stage(&file, row.ports, (row.config)())?;
    let mut frames = Frames::with_capacity(1024);
    for sent in (row.before)() {
        offer(&mut stage, &mut frames, &[sent]);
    }
    let n = stage.traits().batch.min(64);
    let batch: Vec<Sent> = (0..n).map(row.frame).collect();
    prove(&mut stage, &mut frames, row, &batch)?;
    let rewrites = !is_as_sent(&mut stage, &batch);
    let described = put(&mut stage, &batch);
    let begun = thread_cpu_time();
    let mut runs = Vec::new();
    loop {
        let before = thread_cpu_time();
        for _ in 0..RUN {
            if rewrites {
                let arena = stage.arena();
                for (frame, sent) in described.iter().zip(&batch) {
                    let at = frame.off as usize;
                    arena.bytes[at..at + sent.bytes.len()].copy_from_slice(&sent.bytes);
                }
            }
            frames.clear();
            frames.extend_from_slice(&described);
            stage.run(&mut frames);
        }
        let now = thread_cpu_time();
        runs.push((now - before).as_nanos() as f64 / (RUN * n) as f64);
        if now - begun >= time {
            break;
        }
    }
    runs.sort_by(f64::total_cmp);
    Ok(runs[runs.len() / 2])
}

/// Writes a batch into the arena and returns its description.
fn put(stage: &mut Stage, batch: &[Sent]) -> Vec<Frame> {
    let arena = stage.arena();
    let place = |(slot, sent): (usize, &Sent)| {
        let off = slot * arena.stride + HEADROOM;
        arena.bytes[off..off + sent.bytes.len()].copy_from_slice(&sent.bytes);
        Frame {
            off: off as u32,
            len: sent.bytes.len() as u32,
            port: sent.port,
            ts_ns: NOW_NS,
            ..Frame::default()
        }
    };
    batch.iter().enumerate().map(place).collect()
}

fn is_as_sent(stage: &mut Stage, batch: &[Sent]) -> bool {
    let arena = stage.arena();
    batch.iter().enumerate().all(|(slot, sent)| {
        let off = slot * arena.stride + HEADROOM;
        arena.bytes[off..].starts_with(&sent.bytes)
    })
}

fn offer(stage: &mut Stage, frames: &mut Frames, batch: &[Sent]) {
    let described = put(stage, batch);
    frames.clear();
    frames.extend_from_slice(&described);
    stage.run(frames);
}

/// Says whether the plugin does to each frame what the row promises.
fn prove(stage: &mut Stage, frames: &mut Frames, row: &Row, batch: &[Sent]) -> Result<()> {
    let counted = |stage: &Stage| {
        row.counts
            .and_then(|name| stage.stats().counters.get(name).copied())
    };
    let before = counted(stage);
    offer(stage, frames, batch);
    for frame in &frames.as_slice()[..batch.len()] {
        if !(row.fate)(frame.fate) {
            return Err(format!("{}: a frame's fate is {:?}", row.name, frame.fate).into());
        }
    }
    let (before, after) = (before.unwrap_or(0), counted(stage).unwrap_or(0));
    if row.counts.is_some() && after != before + batch.len() as u64 {
        return Err(format!(
            "{}: counted {} of {} frames",
            row.name,
            after - before,
            batch.len()
        )
        .into());
    }
    let stats = stage.stats();
    if stats.faults.is_empty() {
        return Ok(());
    }
    Err(format!("{}: {:?}", row.name, stats.faults).into())
}
