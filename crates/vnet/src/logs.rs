//! Collects what plugins log, away from the packet path.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::fork_lock::{ForkLock, Held, lock};
use vnet_runtime::LogReader;
pub use vnet_runtime::LogRecord;

/// Lines an attachment remembers for [`Attachment::logs`](crate::Attachment::logs).
const TAIL: usize = 256;
/// Lines kept for [`next_logs`] when nobody asks for them; the oldest go first.
const PENDING: usize = 4096;
/// How often waiting queues are looked at. The packet thread must not be made to wake anybody for a log line.
const LOOK: Duration = Duration::from_millis(50);

struct Hub {
    sources: Vec<Weak<LogTail>>,
    pending: VecDeque<LogRecord>,
}

static HUB: Mutex<Hub> = Mutex::new(Hub {
    sources: Vec::new(),
    pending: VecDeque::new(),
});

/// Waits up to `timeout` and returns the lines that plugins of this process logged since the last call.
///
/// An empty list means that the time is over. Each line is returned once, whatever thread asks.
#[must_use]
pub fn next_logs(timeout: Duration) -> Vec<LogRecord> {
    let deadline = Instant::now() + timeout;
    loop {
        let lines = drain();
        let left = deadline.saturating_duration_since(Instant::now());
        if !lines.is_empty() || left.is_zero() {
            return lines;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

thread_local! {
    static HELD: Held<Hub> = const { RefCell::new(None) };
}

static LOCK: ForkLock<Hub> = ForkLock::new(&HUB, &HELD);

/// Keeps all other threads from collecting lines until [`release`]. The tails are locked under the hub's lock alone.
pub(crate) fn hold() {
    LOCK.hold();
}

/// Ends [`hold`].
pub(crate) fn release() {
    LOCK.release();
}

fn drain() -> Vec<LogRecord> {
    // A tail whose last owner this is asks for the hub when it ends: after the work.
    let sources = LOCK.with(|hub| {
        hub.sources.retain(|source| source.strong_count() > 0);
        hub.sources.iter().filter_map(Weak::upgrade).collect::<Vec<_>>()
    });
    LOCK.with(|hub| {
        for source in &sources {
            source.pull(&mut hub.pending);
        }
        hub.pending.drain(..).collect()
    })
}

/// Last lines of one attachment.
pub(crate) struct LogTail {
    /// Of the plugin at work, and never locked but under the hub's lock.
    reader: Mutex<LogReader>,
    tail: Mutex<VecDeque<LogRecord>>,
}

impl LogTail {
    /// Starts to collect from `reader`.
    pub(crate) fn follow(reader: LogReader) -> Arc<Self> {
        let tail = Arc::new(Self {
            reader: Mutex::new(reader),
            tail: Mutex::new(VecDeque::new()),
        });
        LOCK.with(|hub| hub.sources.push(Arc::downgrade(&tail)));
        tail
    }

    /// Collects from another plugin, which took the place of the one before.
    pub(crate) fn follow_on(&self, reader: LogReader) {
        LOCK.with(|hub| {
            self.pull(&mut hub.pending);
            *lock(&self.reader) = reader;
        });
    }

    pub(crate) fn lines(&self) -> Vec<LogRecord> {
        LOCK.with(|hub| {
            self.pull(&mut hub.pending);
            lock(&self.tail).iter().cloned().collect()
        })
    }

    fn pull(&self, pending: &mut VecDeque<LogRecord>) {
        let mut tail = lock(&self.tail);
        let reader = lock(&self.reader);
        while let Some(record) = reader.pop() {
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(record.clone());
            if pending.len() == PENDING {
                pending.pop_front();
            }
            pending.push_back(record);
        }
    }
}

impl Drop for LogTail {
    fn drop(&mut self) {
        LOCK.with(|hub| self.pull(&mut hub.pending));
    }
}
