//! The bare loop at its best: one thread, two TAPs with a virtio-net header and all offloads, drained by `read` and filled
//! by an io_uring, 64 frames in one system call, with the two files registered.
//!
//! Tried and left out, because it cost more here: reads through the ring (1.04 to 1.09 of this loop's CPU time a frame, in
//! each of which the last read is for nothing), registered buffers (no difference: pages of one small frame are pinned as
//! fast as they are looked up).

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use vnet_sys::WriteRing;
use vnet_sys::thread::thread_cpu_time;
use vnet_sys::tun::{OffloadMask, set_offload};
use vnet_sys::uring::{DEPTH, Target};

use crate::lab::{Result, Work};

/// Distance of the buffers: a frame of 64 KiB with its headers.
const STRIDE: usize = 65_792;

/// Batches of one TAP before the other gets its turn.
const ROUNDS: usize = 8;

pub struct UringLoop {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    wake: OwnedFd,
    frames: AtomicU64,
    cpu_ns: AtomicU64,
}

impl UringLoop {
    pub fn start(a: OwnedFd, b: OwnedFd) -> Result<Self> {
        for tap in [&a, &b] {
            set_offload(tap.as_fd(), OffloadMask::ALL)?;
        }
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            frames: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
        });
        // Where there is no io_uring, there is no such side.
        drop(WriteRing::new()?);
        let thread = std::thread::Builder::new().name("uring".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Err(error) = carry(&[a, b], &shared) {
                    eprintln!("error: the io_uring loop ended: {error}");
                }
            }
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    pub fn work(&self) -> Work {
        Work {
            cpu: Duration::from_nanos(self.shared.cpu_ns.load(Ordering::Relaxed)),
            frames: self.shared.frames.load(Ordering::Relaxed),
        }
    }
}

impl Drop for UringLoop {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry(taps: &[OwnedFd; 2], shared: &Shared) -> Result<()> {
    // A ring belongs to the thread that makes it.
    let mut ring = WriteRing::new()?;
    ring.register(&[taps[0].as_fd(), taps[1].as_fd()])?;
    let mut results = [None; DEPTH];
    let mut buffer = vec![0u8; STRIDE * DEPTH];
    let mut lens = [0; DEPTH];
    let mut frames = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        let mut fds = [
            PollFd::new(&taps[0], PollFlags::IN),
            PollFd::new(&taps[1], PollFlags::IN),
            PollFd::new(&shared.wake, PollFlags::IN),
        ];
        if poll(&mut fds, None).is_err() {
            continue;
        }
        let ready = [!fds[0].revents().is_empty(), !fds[1].revents().is_empty()];
        for (from, to) in [(0, 1), (1, 0)] {
            for _ in 0..if ready[from] { ROUNDS } else { 0 } {
                let mut n = 0;
                while n < DEPTH
                    && let Ok(len) = rustix::io::read(&taps[from], &mut buffer[n * STRIDE..(n + 1) * STRIDE])
                {
                    lens[n] = len;
                    n += 1;
                }
                frames += n as u64;
                // A full or closed interface loses the frame, as any plain loop does.
                match n {
                    0 => {}
                    1 => drop(rustix::io::write(&taps[to], &buffer[..lens[0]])),
                    n => {
                        let slots = buffer.chunks_exact(STRIDE).zip(&lens[..n]);
                        let writes = slots.map(|(slot, len)| (Target::Registered(to as u32), &slot[..*len]));
                        ring.write(writes, &mut results)?;
                    }
                }
                if n < DEPTH {
                    break;
                }
            }
        }
        shared.frames.store(frames, Ordering::Relaxed);
        shared
            .cpu_ns
            .store(thread_cpu_time().as_nanos() as u64, Ordering::Relaxed);
    }
    Ok(())
}
