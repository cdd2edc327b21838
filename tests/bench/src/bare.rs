//! What the baselines share: a thread between two TAPs that can be told to end and asked what it did.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use vnet_sys::thread::thread_cpu_time;

use crate::lab::{Result, Work};

/// A running baseline; dropping it ends it and closes its TAPs.
pub struct BareLoop {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread of a baseline looks at.
pub struct Shared {
    stop: AtomicBool,
    wake: OwnedFd,
    frames: AtomicU64,
    cpu_ns: AtomicU64,
}

impl BareLoop {
    /// Starts a thread that carries frames between two TAPs until it is to end.
    pub fn start(
        name: &'static str,
        taps: [OwnedFd; 2],
        carry: impl FnOnce(&[OwnedFd; 2], &Shared) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            frames: AtomicU64::new(0),
            cpu_ns: AtomicU64::new(0),
        });
        let thread = std::thread::Builder::new().name(name.into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Err(error) = carry(&taps, &shared) {
                    eprintln!("error: the {name} loop ended: {error}");
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

impl Drop for BareLoop {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Notes what was done, then waits until a TAP has frames and says which; `None` once the loop is to end.
    pub fn wait(&self, taps: &[OwnedFd; 2], frames: u64) -> Option<[bool; 2]> {
        self.frames.store(frames, Ordering::Relaxed);
        self.cpu_ns
            .store(thread_cpu_time().as_nanos() as u64, Ordering::Relaxed);
        let [a, b] = taps;
        let mut fds = [a, b, &self.wake].map(|fd| PollFd::new(fd, PollFlags::IN));
        while !self.stop.load(Ordering::Relaxed) {
            if poll(&mut fds, None).is_ok() {
                return Some([0, 1].map(|tap: usize| !fds[tap].revents().is_empty()));
            }
        }
        None
    }
}
