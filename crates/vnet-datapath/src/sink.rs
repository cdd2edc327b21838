use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::ring::{FrameReceiver, FrameSender, Tag, ring};

/// Bytes that may wait for a receiver: some 2,700 frames of 1,500 bytes.
const QUEUE: usize = 4 << 20;

/// A frame handed out by a pipeline's receive queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The frame, complete and at most as long as the device's MTU allows.
    pub bytes: Vec<u8>,
    /// When the engine read it, in nanoseconds since the Unix epoch.
    pub ts_ns: u64,
}

pub(crate) struct SinkSender {
    queue: FrameSender,
    shared: Arc<Shared>,
    rung: bool,
}

struct Shared {
    ready: OwnedFd,
    ended: AtomicBool,
}

impl Shared {
    fn ring(&self) {
        // A counter that is already set is ready as well.
        let _ = rustix::io::write(&self.ready, &1u64.to_ne_bytes());
    }
}

/// The receiving half: many threads may wait on it, one at a time takes.
pub(crate) struct SinkReceiver {
    queue: Mutex<FrameReceiver>,
    shared: Arc<Shared>,
}

pub(crate) fn sink() -> io::Result<(SinkSender, SinkReceiver)> {
    let (tx, rx) = ring(QUEUE);
    let ready = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
    let shared = Arc::new(Shared {
        ready,
        ended: AtomicBool::new(false),
    });
    Ok((
        SinkSender {
            queue: tx,
            shared: Arc::clone(&shared),
            rung: true,
        },
        SinkReceiver {
            queue: Mutex::new(rx),
            shared,
        },
    ))
}

impl SinkSender {
    #[must_use]
    pub(crate) fn push(&mut self, frame: &[u8], ts_ns: u64) -> bool {
        let tag = Tag {
            ts_ns,
            ..Tag::default()
        };
        self.push_tagged(&tag, frame)
    }

    /// Queues a frame with all that its tag says.
    #[must_use]
    pub(crate) fn push_tagged(&mut self, tag: &Tag, frame: &[u8]) -> bool {
        self.rung = false;
        self.queue.push(tag, frame)
    }

    /// Wakes receivers when frames came since the last call.
    pub(crate) fn ring(&mut self) {
        if !self.rung {
            self.rung = true;
            self.shared.ring();
        }
    }

    /// Says that no frame will come any more.
    pub(crate) fn end(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.shared.ring();
    }
}

impl Drop for SinkSender {
    fn drop(&mut self) {
        self.end();
    }
}

/// What waiting for a frame came to.
pub(crate) enum Taken<T = Received> {
    Frame(T),
    TimedOut,
    Ended,
}

impl SinkReceiver {
    /// Descriptor that polls readable while frames wait.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.shared.ready.as_fd()
    }

    /// Ends it from this side: whoever waits returns, and what is queued may still be taken.
    pub(crate) fn end(&self) {
        self.shared.ended.store(true, Ordering::Release);
        self.shared.ring();
    }

    pub(crate) fn recv(&self, timeout: Option<Duration>) -> io::Result<Taken> {
        self.recv_tagged(timeout, |tag, bytes| Received {
            bytes,
            ts_ns: tag.ts_ns,
        })
    }

    /// The same, with all that the frame's tag says.
    pub(crate) fn recv_tagged<T>(
        &self,
        timeout: Option<Duration>,
        make: impl Fn(Tag, Vec<u8>) -> T,
    ) -> io::Result<Taken<T>> {
        // A time beyond what the clock can express is for ever.
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        loop {
            if let Some(taken) = self.try_take(&make) {
                return Ok(taken);
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(Taken::TimedOut);
            }
            let wait = left.and_then(|l| Timespec::try_from(l).ok());
            match poll(
                &mut [PollFd::new(&self.shared.ready, PollFlags::IN)],
                wait.as_ref(),
            ) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn try_take<T>(&self, make: &impl Fn(Tag, Vec<u8>) -> T) -> Option<Taken<T>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let pop = |queue: &mut FrameReceiver| queue.pop().map(|(tag, bytes)| Taken::Frame(make(tag, bytes)));
        if let Some(taken) = pop(&mut queue) {
            return Some(taken);
        }
        let ended = self.shared.ended.load(Ordering::Acquire);
        if ended {
            return Some(pop(&mut queue).unwrap_or(Taken::Ended));
        }
        let _ = rustix::io::read(&self.shared.ready, &mut [0u8; 8]);
        let taken = pop(&mut queue);
        // What came between the first look and the clearing has rung in vain.
        if !queue.is_empty() || self.shared.ended.load(Ordering::Acquire) {
            self.shared.ring();
        }
        taken
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn is_ready(receiver: &SinkReceiver, seconds: i64) -> bool {
        let wait = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        poll(&mut [PollFd::new(&receiver.fd(), PollFlags::IN)], Some(&wait)) == Ok(1)
    }

    #[test]
    fn the_descriptor_stays_ready_while_a_frame_waits() {
        const ROUNDS: u32 = 20_000;
        let (mut sender, receiver) = sink().unwrap();
        let asked = AtomicU32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    while asked.load(Ordering::Acquire) < round {
                        std::hint::spin_loop();
                    }
                    assert!(sender.push(&[1], 0) && sender.push(&[2], 0));
                    sender.ring();
                }
            });
            for round in 1..=ROUNDS {
                asked.store(round, Ordering::Release);
                while matches!(receiver.recv(Some(Duration::ZERO)), Ok(Taken::TimedOut)) {}
                // The second frame is there or comes.
                loop {
                    if !is_ready(&receiver, 2) {
                        asked.store(u32::MAX, Ordering::Release);
                        panic!("round {round}: a frame waits and the descriptor does not say so");
                    }
                    if matches!(receiver.recv(Some(Duration::ZERO)), Ok(Taken::Frame(_))) {
                        break;
                    }
                }
            }
        });
    }

    #[test]
    fn the_descriptor_stays_ready_after_the_end() {
        for _ in 0..2000 {
            let (sender, receiver) = sink().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| drop(sender));
                while !matches!(receiver.recv(Some(Duration::ZERO)), Ok(Taken::Ended)) {
                    if receiver.shared.ended.load(Ordering::Acquire) {
                        assert!(
                            is_ready(&receiver, 2),
                            "it ended and the descriptor does not say so"
                        );
                    }
                }
            });
        }
    }
}
