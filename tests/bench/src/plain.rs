//! The baseline: one thread, two TAPs, epoll, `read` and `write`; no vnet header, so no offloads.
//!
//! It drains up to 64 frames a wake-up, as the engine does, and reuses one buffer.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use vnet_sys::thread::thread_cpu_time;

use crate::lab::{Result, Work};

const DRAIN: usize = 64;

pub struct PlainLoop {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    wake: OwnedFd,
    frames: AtomicU64,
    cpu_ns: AtomicU64,
}

impl PlainLoop {
    pub fn start(a: OwnedFd, b: OwnedFd) -> Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            wake,
            frames: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
        });
        let thread = std::thread::Builder::new().name("plain".into()).spawn({
            let shared = Arc::clone(&shared);
            move || carry(&a, &b, &shared)
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

impl Drop for PlainLoop {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry(a: &OwnedFd, b: &OwnedFd, shared: &Shared) {
    let mut buffer = vec![0u8; 65_600];
    let mut frames = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        let mut fds = [
            PollFd::new(a, PollFlags::IN),
            PollFd::new(b, PollFlags::IN),
            PollFd::new(&shared.wake, PollFlags::IN),
        ];
        if poll(&mut fds, None).is_err() {
            continue;
        }
        let ready = [!fds[0].revents().is_empty(), !fds[1].revents().is_empty()];
        for (ready, from, to) in [(ready[0], a, b), (ready[1], b, a)] {
            if !ready {
                continue;
            }
            for _ in 0..DRAIN {
                let Ok(n) = rustix::io::read(from.as_fd(), &mut buffer[..]) else {
                    break;
                };
                frames += 1;
                // A full or closed interface loses the frame, as any plain loop does.
                let _ = rustix::io::write(to.as_fd(), &buffer[..n]);
            }
        }
        shared.frames.store(frames, Ordering::Relaxed);
        shared
            .cpu_ns
            .store(thread_cpu_time().as_nanos() as u64, Ordering::Relaxed);
    }
}
