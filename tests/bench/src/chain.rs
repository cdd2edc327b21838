//! What a chain costs by itself: a capture in memory replayed through it, less the same through none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vnet_datapath::{ReplayOptions, replay};
use vnet_sys::thread::thread_cpu_time;

use crate::lab::{Result, stage};

const FRAMES: usize = 20_000;
const BYTES: usize = 1500;

/// A capture of [`FRAMES`] UDP frames of [`BYTES`] bytes. Dropping it removes the file.
pub struct Capture(PathBuf);

impl Capture {
    pub fn write() -> Result<Self> {
        let capture = Self(std::env::temp_dir().join(format!("vnet-bench-{}.pcap", std::process::id())));
        let mut frame = [0; BYTES];
        frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]);
        frame[14] = 0x45;
        // Of pcap: magic, version 2.4, time zone, accuracy, snaplen, linktype Ethernet.
        let mut bytes: Vec<u8> = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        for number in 0..FRAMES as u32 {
            let header = [number / 1000, number % 1000, BYTES as u32, BYTES as u32];
            bytes.extend(header.into_iter().flat_map(u32::to_le_bytes));
            bytes.extend(frame);
        }
        std::fs::write(&capture.0, bytes)?;
        Ok(capture)
    }

    /// Returns nanoseconds per frame that `n` times the plugin take.
    pub fn ns_per_packet(&self, plugin: &Path, n: usize) -> Result<f64> {
        let (with, without) = (self.replayed(plugin, n)?, self.replayed(plugin, 0)?);
        Ok(with - without)
    }

    fn replayed(&self, plugin: &Path, n: usize) -> Result<f64> {
        let options = ReplayOptions {
            input: self.0.clone(),
            output: None,
            stages: (0..n)
                .map(|_| stage(plugin, 1, serde_json::json!({})))
                .collect::<Result<_>>()?,
            diff: false,
            line: None,
            stop: Arc::new(AtomicBool::new(false)),
        };
        let begun = thread_cpu_time();
        let report = replay(options)?;
        let took = thread_cpu_time() - begun;
        if report.frames_out != FRAMES as u64 {
            return Err(format!("{} of {FRAMES} frames left the chain", report.frames_out).into());
        }
        Ok(took.as_nanos() as f64 / FRAMES as f64)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
