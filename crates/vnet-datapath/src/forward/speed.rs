//! Prints what a chain and a line cost per frame; run with
//! `cargo test --release --workspace --lib chains_cost -- --ignored --nocapture`, and likewise `lines_cost`.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use vnet_impair::{Chance, Impairment, Loss, Rate, key};
use vnet_packet::gso::Offload;

use super::rig::{Rig, shipped};
use super::{LineAt, Place};
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

/// A wire with a line, and the time on its clock.
struct Lined {
    name: &'static str,
    chain: Chain,
    now: u64,
}

impl Lined {
    fn new(name: &'static str, impairment: Option<Impairment>, len: usize) -> Self {
        let mut chain = Chain::new(&[], len);
        if let Some(impairment) = impairment {
            let ready = impairment.ready(&mut |_| unreachable!()).unwrap();
            let forwarder = &mut chain.rig.forwarder;
            forwarder.set_line(LineAt::From(0), key(1, "l", "a-b"), Some(ready), 1);
        }
        Self { name, chain, now: 1 }
    }

    /// CPU nanoseconds per frame from port to port, 64 of which come, and leave, together.
    fn round(&mut self, pumps: usize) -> f64 {
        let mut took = Duration::ZERO;
        let Chain { rig, frame } = &mut self.chain;
        for _ in 0..pumps {
            for _ in 0..FRAMES {
                assert!(rig.ends[0].push(frame, Offload::default()));
            }
            self.now += 20_000_000;
            let begun = cpu();
            while rig.forwarder.pump(0, self.now) {}
            let late = self.now + 19_000_000;
            while rig.forwarder.next_due().is_some_and(|due| due <= late) {
                rig.forwarder.release(late);
            }
            took += cpu() - begun;
            for _ in 0..FRAMES {
                assert!(rig.ends[1].pop().is_some());
            }
        }
        took.as_nanos() as f64 / (pumps * FRAMES) as f64
    }
}

#[test]
#[ignore = "prints figures, asserts nothing"]
fn lines_cost() {
    let plain = Impairment::default;
    let delay = || Impairment {
        delay_ns: 10_000_000,
        ..plain()
    };
    let jitter = || Impairment {
        jitter_ns: 1_000_000,
        loss: Loss::Random(Chance {
            p: 1e-9,
            correlation: 0.0,
        }),
        ..delay()
    };
    let rate = || Impairment {
        rate: Some(Rate {
            bits_per_s: 1_000_000_000,
            burst: 0,
            overhead: 0,
        }),
        ..plain()
    };
    for len in [64, 1500] {
        let mut sides: Vec<_> = [
            ("no line", None),
            ("a line that does nothing", Some(plain())),
            ("delay 10 ms", Some(delay())),
            ("delay 10 ms, jitter 1 ms, loss", Some(jitter())),
            ("rate 1 Gbit/s", Some(rate())),
        ]
        .map(|(name, impairment)| (Lined::new(name, impairment, len), Vec::new()))
        .into();
        for _ in 0..41 {
            for (lined, rounds) in &mut sides {
                rounds.push(lined.round(20));
            }
        }
        let medians: Vec<_> = sides
            .into_iter()
            .map(|(lined, rounds)| (lined.name, median(rounds)))
            .collect();
        for (name, ns) in &medians {
            println!(
                "{ns:8.1} ns per frame, {:8.1} of them for the line  {name}, {len} B",
                ns - medians[0].1
            );
        }
    }
}
