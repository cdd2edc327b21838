//! What a plugin costs by itself: batches of frames in memory, no device.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use vnet_runtime::{Frame, Frames, Stage};
use vnet_sys::thread::thread_cpu_time;

use crate::lab::{Result, stage};

/// What is measured.
pub struct Row {
    pub name: &'static str,
    /// Below `plugins/`.
    file: &'static str,
    /// Bytes of a frame.
    len: usize,
    config: fn() -> Value,
    /// The plugin rewrites frames: each round gets them as they were, which costs a nanosecond or two.
    rewrites: bool,
    /// How many stations send, in turn, each to another one, all of which were heard on the second port.
    stations: usize,
}

const fn plain(name: &'static str, file: &'static str) -> Row {
    configured(name, file, || json!({}))
}

const fn configured(name: &'static str, file: &'static str, config: fn() -> Value) -> Row {
    Row {
        name,
        file,
        len: 64,
        config,
        rewrites: false,
        stations: 1,
    }
}

pub const ROWS: &[Row] = &[
    plain("drop_bcast", "shipped/drop_bcast.wasm"),
    plain("drop_bcast in simple form", "drop_bcast/simple.wat"),
    Row {
        stations: 8,
        ..plain("learning_switch", "shipped/learning_switch.wasm")
    },
    plain("count", "shipped/count.wasm"),
    plain("icmp_echo", "shipped/icmp_echo.wasm"),
    Row {
        rewrites: true,
        ..configured(
            "nat",
            "shipped/nat.wasm",
            || json!({"address": "203.0.113.1", "inside": "10.0.0.1/32"}),
        )
    },
    configured("acl, 100 rules", "shipped/acl.wasm", hundred_rules),
    configured(
        "stateful_firewall",
        "shipped/stateful_firewall.wasm",
        || json!({"zones": {"inside": [0], "outside": [1]}, "allow": [{"from": "inside"}]}),
    ),
    configured("arp_guard", "shipped/arp_guard.wasm", || json!({})),
    configured(
        "rate_limit",
        "shipped/rate_limit.wasm",
        || json!({"packets": 1_000_000_000, "by": "source"}),
    ),
];

/// Rules of which the packet matches none, each by another field.
fn hundred_rules() -> Value {
    let rules: Vec<Value> = (0..100)
        .map(|n| match n % 3 {
            0 => json!({"action": "deny", "src": format!("172.16.{n}.0/24")}),
            1 => json!({"action": "deny", "protocol": "tcp", "dst": "10.0.0.0/8", "dport": 1000 + n}),
            _ => json!({"action": "deny", "protocol": "udp", "dst": "10.0.0.0/8", "dport": format!("{n}-{}", n + 9)}),
        })
        .collect();
    json!({"rules": rules, "default": "permit"})
}

/// Frames in a batch.
const BATCH: usize = 64;

/// Batches between two looks at the clock.
const RUN: usize = 1000;

/// Returns nanoseconds of the thread's CPU time per frame of a row: the median of as many runs as `time` allows, in
/// batches of 64, cache-hot.
///
/// Describing frames to the plugin is part of it; reading, taking note of and writing them is the engine's.
pub fn ns_per_packet(plugins: &Path, row: &Row, time: Duration) -> Result<f64> {
    let len = row.len;
    let mut stage = stage(&plugins.join(row.file), 2, (row.config)())?;
    let traits = stage.traits();
    let n = BATCH.min(traits.batch);
    let stride = stage.arena().stride;
    let template: Vec<Frame> = (0..n)
        .map(|i| Frame {
            off: (i * stride) as u32 + 128,
            len: len as u32,
            ..Frame::default()
        })
        .collect();
    let original: Vec<Vec<u8>> = (0..n)
        .map(|i| {
            let mut frame = vec![0; len];
            udp_frame(&mut frame, (i % row.stations) as u8);
            frame
        })
        .collect();
    let mut frames = Frames::with_capacity(1024);
    // The receivers are heard first, where it matters.
    let heard = if row.stations > 1 { row.stations } else { 0 };
    for (f, bytes) in template.iter().zip(&original).take(heard) {
        let at = f.off as usize;
        let arena = stage.arena().bytes;
        arena[at..at + len].copy_from_slice(bytes);
        arena[at..at + 12].rotate_left(6);
        frames.push(Frame { port: 1, ..*f });
    }
    stage.run(&mut frames);
    let lay = |stage: &mut Stage| {
        let arena = stage.arena().bytes;
        for (f, bytes) in template.iter().zip(&original) {
            let at = f.off as usize;
            arena[at..at + len].copy_from_slice(bytes);
        }
    };
    lay(&mut stage);
    frames.clear();
    frames.extend_from_slice(&template);
    let begun = thread_cpu_time();
    let mut runs = Vec::new();
    loop {
        let before = thread_cpu_time();
        for _ in 0..RUN {
            if row.rewrites {
                lay(&mut stage);
                frames.clear();
                frames.extend_from_slice(&template);
            } else {
                frames.truncate(n);
            }
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

/// A UDP packet over IPv4 from a station to another one, which is that of no sender.
fn udp_frame(f: &mut [u8], station: u8) {
    f[..12].copy_from_slice(&[2, 0, 0, 0, 1, station, 2, 0, 0, 0, 0, station]);
    f[12..14].copy_from_slice(&[8, 0]);
    f[14] = 0x45;
    let total = (f.len() - 14) as u16;
    f[16..18].copy_from_slice(&total.to_be_bytes());
    f[22] = 64;
    f[23] = 17;
    f[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    f[34..38].copy_from_slice(&[0x12, 0x34, 0x56, 0x78]);
    f[38..40].copy_from_slice(&(total - 20).to_be_bytes());
    vnet_packet::checksum::fix(f, vnet_packet::Layer::L2);
}
