//! What a plugin costs by itself: batches of frames in memory, no device.

use std::path::Path;
use std::time::{Duration, Instant};

use vnet_runtime::{Frame, Frames};

use crate::lab::{Result, stage};

/// What is measured: name, plugin, bytes of a frame.
pub const ROWS: &[(&str, &str, usize)] = &[
    ("drop_bcast", "shipped/drop_bcast.wasm", 64),
    ("drop_bcast in simple form", "drop_bcast/simple.wat", 64),
    ("learning_switch", "shipped/learning_switch.wasm", 64),
    ("count", "shipped/count.wasm", 64),
    ("icmp_echo", "shipped/icmp_echo.wasm", 64),
];

/// Frames in a batch.
const BATCH: usize = 64;

/// Returns nanoseconds per frame of `len` bytes over `time`, batches of 64, cache-hot.
///
/// Filling in the batch's descriptions is part of it, reading and writing frames is not.
pub fn ns_per_packet(file: &Path, len: usize, time: Duration) -> Result<f64> {
    let mut stage = stage(file, 2)?;
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
    for f in &template {
        let at = f.off as usize;
        udp_frame(&mut stage.arena().bytes[at..at + len]);
    }
    let mut frames = Frames::with_capacity(1024);
    let mut run = |rounds: usize| {
        let start = Instant::now();
        for _ in 0..rounds {
            frames.clear();
            for f in &template {
                frames.push(*f);
            }
            stage.run(&mut frames);
        }
        start.elapsed()
    };
    run(1000);
    let mut rounds = 1000;
    loop {
        let took = run(rounds);
        if took >= time {
            return Ok(took.as_nanos() as f64 / (rounds * n) as f64);
        }
        rounds *= 2;
    }
}

/// A UDP packet over IPv4 between two unicast addresses.
fn udp_frame(f: &mut [u8]) {
    f[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
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
