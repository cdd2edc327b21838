//! Prints what a stage costs per frame; run with `cargo test --release -p vnet-runtime --test speed -- --ignored --nocapture`.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use rustix::time::{ClockId, clock_gettime};
use support::*;
use vnet_runtime::Frame;

/// The thread's CPU time, which a loaded machine changes less than the clock on the wall.
fn cpu_ns() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// CPU nanoseconds per frame: the median of 15 rounds of `runs` runs.
fn cost(text: &str, n: usize, len: usize, runs: usize) -> f64 {
    let mut rig = Rig::new(text);
    let stride = rig.stage.arena().stride;
    for i in 0..n {
        rig.stage.arena().bytes[i * stride + 128..][..len].fill(1);
    }
    let mut rounds: Vec<f64> = (0..15)
        .map(|_| {
            let begun = cpu_ns();
            for _ in 0..runs {
                rig.frames.clear();
                for i in 0..n {
                    let off = (i * stride + 128) as u32;
                    rig.frames.push(Frame {
                        off,
                        len: len as u32,
                        ..Frame::default()
                    });
                }
                rig.stage.run(&mut rig.frames);
            }
            (cpu_ns() - begun) as f64 / (runs * n) as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

#[test]
#[ignore = "prints figures, asserts nothing"]
fn nanoseconds_per_frame() {
    let bcast = Batch {
        ring_len: 128,
        slot: 2048,
        pages: 8,
        ..drop_bcast()
    };
    let big = Batch {
        ring_len: 1024,
        slot: 2048,
        pages: 40,
        ..drop_bcast()
    };
    let nothing = Batch {
        ring_len: 128,
        slot: 2048,
        pages: 8,
        ..Batch::default()
    };
    let pass = simple("", "(i32.const 0)");
    let rows = [
        ("batch drop_bcast, 64 of 64 B", bcast.text(), 64, 64),
        ("batch drop_bcast, 8 of 64 B", bcast.text(), 8, 64),
        ("batch drop_bcast, 1 of 64 B", bcast.text(), 1, 64),
        ("batch drop_bcast, 64 of 64 B, ring of 1024", big.text(), 64, 64),
        ("batch that does nothing, 64 of 64 B", nothing.text(), 64, 64),
        ("simple that passes, 64 of 64 B", pass.clone(), 64, 64),
        ("simple that passes, 64 of 1500 B", pass.clone(), 64, 1500),
        ("simple that passes, 1 of 64 B", pass, 1, 64),
    ];
    for (what, text, n, len) in rows {
        println!(
            "{:8.2} ns per frame  {what}",
            cost(&text, n, len, 128_000 / n / 8)
        );
    }
}
