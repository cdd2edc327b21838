//! What a chain costs by itself: frames carried along a wire with it, less the same along a wire without.

use std::path::Path;
use std::time::Duration;

use vnet_datapath::LocalWire;
use vnet_sys::thread::thread_cpu_time;

use crate::lab::{Result, stage};

/// Frames that wait at a port when the engine comes to it: as many as it takes in one go.
const FRAMES: usize = 64;
const BYTES: usize = 1500;
/// Batches between two changes of the wire.
const RUN: usize = 20;

/// A wire with a chain, and one without.
pub struct Chain {
    with: LocalWire,
    without: LocalWire,
    frame: [u8; BYTES],
}

impl Chain {
    /// Puts a plugin `n` times on one of the wires.
    pub fn new(plugin: &Path, n: usize) -> Result<Self> {
        let chain = (0..n)
            .map(|_| stage(plugin, 1, serde_json::json!({})))
            .collect::<Result<_>>()?;
        let mut frame = [0; BYTES];
        frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        frame[14] = 0x45;
        Ok(Self {
            with: LocalWire::new(chain)?,
            without: LocalWire::new(Vec::new())?,
            frame,
        })
    }

    /// Returns nanoseconds of the thread's CPU time that the chain takes per frame: the difference of the medians of as many runs as
    /// `time` allows, in which the two wires take turns.
    pub fn ns_per_packet(&mut self, time: Duration) -> Result<f64> {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        let begun = thread_cpu_time();
        loop {
            with.push(carried(&mut self.with, &self.frame)?);
            without.push(carried(&mut self.without, &self.frame)?);
            if thread_cpu_time() - begun >= time {
                break;
            }
        }
        Ok(median(with) - median(without))
    }
}

/// Returns nanoseconds per frame from port to port.
fn carried(wire: &mut LocalWire, frame: &[u8]) -> Result<f64> {
    let mut took = Duration::ZERO;
    for _ in 0..RUN {
        for _ in 0..FRAMES {
            if !wire.push(frame) {
                return Err("a port in memory holds no batch".into());
            }
        }
        let begun = thread_cpu_time();
        wire.carry(1);
        took += thread_cpu_time() - begun;
        for _ in 0..FRAMES {
            if wire.pop().is_none() {
                return Err("a frame was lost in the chain".into());
            }
        }
    }
    Ok(took.as_nanos() as f64 / (RUN * FRAMES) as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
