//! What plugins say: a bounded queue from the packet path to whoever reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use crossbeam_queue::ArrayQueue;
use vnet_abi::{LOG_MAX, log_level};

/// Lines that wait for a reader; what comes after them is counted and lost.
const QUEUE: usize = 64;
/// Lines a plugin may log at once after a silence.
const BURST: u32 = 50;
/// Lines a plugin may log per second in the long run.
const PER_SECOND: u32 = 100;

/// One line that a plugin logged, or that the host logged about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Name of the stage.
    pub stage: String,
    /// Whether the host says it of the plugin, and not the plugin itself.
    pub by_host: bool,
    /// One of [`vnet_abi::log_level`]: 0 error, 1 warn, 2 info, 3 debug.
    pub level: u8,
    /// The line; bytes that are not UTF-8 are replaced.
    pub message: String,
    /// When it was logged.
    pub ts: SystemTime,
}

/// Takes a stage's log lines, from any thread and while the stage runs.
#[derive(Clone, Debug)]
pub struct LogReader(Arc<Shared>);

impl LogReader {
    /// Returns the oldest line that nobody took.
    #[must_use]
    pub fn pop(&self) -> Option<LogRecord> {
        let line = self.0.queue.pop()?;
        Some(LogRecord {
            stage: self.0.stage.clone(),
            by_host: line.by_host,
            level: line.level,
            message: String::from_utf8_lossy(&line.bytes[..usize::from(line.len)]).into_owned(),
            ts: line.ts,
        })
    }

    /// Returns how many lines were lost, to the rate limit or to a full queue.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Shared {
    stage: String,
    queue: ArrayQueue<Line>,
    lost: AtomicU64,
}

struct Line {
    by_host: bool,
    level: u8,
    len: u16,
    ts: SystemTime,
    bytes: [u8; LOG_MAX],
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        String::from_utf8_lossy(&self.bytes[..usize::from(self.len)]).fmt(f)
    }
}

/// The writing end; writes without a lock or an allocation.
#[derive(Debug)]
pub(crate) struct LogWriter {
    shared: Arc<Shared>,
    tokens: u32,
    filled: Instant,
}

impl LogWriter {
    pub(crate) fn new(stage: &str) -> LogWriter {
        LogWriter {
            shared: Arc::new(Shared {
                stage: stage.to_owned(),
                queue: ArrayQueue::new(QUEUE),
                lost: AtomicU64::new(0),
            }),
            tokens: BURST,
            filled: Instant::now(),
        }
    }

    pub(crate) fn reader(&self) -> LogReader {
        LogReader(Arc::clone(&self.shared))
    }

    /// Logs what the guest said; unknown levels count as `debug`.
    pub(crate) fn guest(&mut self, level: i32, message: &[u8]) {
        if self.admit() {
            let level = if (log_level::ERROR..=log_level::DEBUG).contains(&level) {
                level
            } else {
                log_level::DEBUG
            };
            self.push(false, level as u8, message);
        } else {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Logs a fault, which may come with every frame.
    pub(crate) fn fault(&mut self, message: &str) {
        if self.admit() {
            self.host(log_level::ERROR, message);
        } else {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Logs what the host has to say of the plugin; not rate limited, because it is rare.
    pub(crate) fn host(&mut self, level: i32, message: &str) {
        self.push(true, level as u8, message.as_bytes());
    }

    fn push(&mut self, by_host: bool, level: u8, message: &[u8]) {
        let len = message.len().min(LOG_MAX);
        let mut bytes = [0; LOG_MAX];
        bytes[..len].copy_from_slice(&message[..len]);
        let line = Line {
            by_host,
            level,
            len: len as u16,
            ts: SystemTime::now(),
            bytes,
        };
        if self.shared.queue.push(line).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn admit(&mut self) -> bool {
        if self.tokens < BURST {
            let now = Instant::now();
            let fresh = (now - self.filled).as_micros() * u128::from(PER_SECOND) / 1_000_000;
            if fresh > 0 {
                self.tokens = BURST.min(self.tokens.saturating_add(u32::try_from(fresh).unwrap_or(BURST)));
                self.filled = now;
            }
        } else {
            self.filled = Instant::now();
        }
        let admitted = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        admitted
    }
}
