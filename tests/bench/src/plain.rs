//! The baseline: one thread, two TAPs, poll, `read` and `write`; no vnet header, so no offloads.
//!
//! It drains up to 64 frames a wake-up, as the engine does, and reuses one buffer.

use std::os::fd::OwnedFd;

use crate::bare::{BareLoop, Shared};
use crate::lab::Result;

const DRAIN: usize = 64;

pub fn start(a: OwnedFd, b: OwnedFd) -> Result<BareLoop> {
    BareLoop::start("plain", [a, b], carry)
}

fn carry(taps: &[OwnedFd; 2], shared: &Shared) -> Result<()> {
    let mut buffer = vec![0u8; 65_600];
    let mut frames = 0;
    while let Some(ready) = shared.wait(taps, frames) {
        for (from, to) in [(0, 1), (1, 0)] {
            for _ in 0..if ready[from] { DRAIN } else { 0 } {
                let Ok(n) = rustix::io::read(&taps[from], &mut buffer[..]) else {
                    break;
                };
                frames += 1;
                // A full or closed interface loses the frame, as any plain loop does.
                let _ = rustix::io::write(&taps[to], &buffer[..n]);
            }
        }
    }
    Ok(())
}
