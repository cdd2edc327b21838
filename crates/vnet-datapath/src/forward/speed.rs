//! Prints what a chain costs per frame; run with
//! `cargo test --release --workspace --lib chains_cost -- --ignored --nocapture`.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use vnet_packet::gso::Offload;

use super::Place;
use super::rig::{Rig, shipped};
use crate::stage::Direction;

/// Frames of one pump: as many as are read in one go.
const FRAMES: usize = 64;

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// A wire with a chain on it, and frames that go through.
struct Chain {
    rig: Rig,
    frame: Vec<u8>,
}

impl Chain {
    fn new(plugins: &[&str], len: usize) -> Self {
        let mut rig = Rig::wire();
        for plugin in plugins {
            rig.attach(Place::Wire(Direction::Ingress), &shipped(plugin));
        }
        let mut frame = vec![2; len];
        frame[12..14].copy_from_slice(&[8, 0]);
        Self { rig, frame }
    }

    /// CPU nanoseconds per frame from port to port.
    fn round(&mut self, pumps: usize) -> f64 {
        let mut took = Duration::ZERO;
        for _ in 0..pumps {
            for _ in 0..FRAMES {
                assert!(self.rig.ends[0].push(&self.frame, Offload::default()));
            }
            let begun = cpu();
            while self.rig.forwarder.pump(0, 1) {}
            took += cpu() - begun;
            for _ in 0..FRAMES {
                assert!(self.rig.ends[1].pop().is_some());
            }
        }
        took.as_nanos() as f64 / (pumps * FRAMES) as f64
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
#[ignore = "prints figures, asserts nothing"]
fn chains_cost() {
    for (plugin, len) in [
        ("drop_bcast.wasm", 1500),
        ("drop_bcast.wasm", 64),
        ("count.wasm", 1500),
    ] {
        let mut sides: Vec<_> = [0, 1, 2, 8]
            .map(|n| (n, Chain::new(&vec![plugin; n], len), Vec::new()))
            .into();
        for _ in 0..41 {
            for (_, chain, rounds) in &mut sides {
                rounds.push(chain.round(20));
            }
        }
        let medians: Vec<_> = sides
            .into_iter()
            .map(|(n, _, rounds)| (n, median(rounds)))
            .collect();
        for (n, ns) in &medians {
            println!(
                "{ns:8.1} ns per frame, {:8.1} of them for the chain  {n} x {plugin}, {len} B",
                ns - medians[0].1
            );
        }
    }
}
