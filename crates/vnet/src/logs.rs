//! Collects what plugins log, away from the packet path.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nobody collects lines while this lives. The tails are locked under the hub's lock alone.
pub(crate) struct HubLock {
    _hub: MutexGuard<'static, Hub>,
}

/// Waits until no thread collects lines, and keeps it so.
pub(crate) fn hold() -> HubLock {
    HubLock { _hub: lock(&HUB) }
}

fn drain() -> Vec<LogRecord> {
    // Outlives the guard: a tail whose last owner this is locks the hub when it ends.
    let sources: Vec<Arc<LogTail>>;
    let mut hub = lock(&HUB);
    hub.sources.retain(|source| source.strong_count() > 0);
    sources = hub.sources.iter().filter_map(Weak::upgrade).collect();
    for source in &sources {
        source.pull(&mut hub.pending);
    }
    let lines = hub.pending.drain(..).collect();
    drop(hub);
    lines
}

/// Last lines of one attachment.
pub(crate) struct LogTail {
    reader: LogReader,
    tail: Mutex<VecDeque<LogRecord>>,
}

impl LogTail {
    /// Starts to collect from `reader`.
    pub(crate) fn follow(reader: LogReader) -> Arc<Self> {
        let tail = Arc::new(Self {
            reader,
            tail: Mutex::new(VecDeque::new()),
        });
        lock(&HUB).sources.push(Arc::downgrade(&tail));
        tail
    }

    pub(crate) fn lines(&self) -> Vec<LogRecord> {
        let mut hub = lock(&HUB);
        self.pull(&mut hub.pending);
        lock(&self.tail).iter().cloned().collect()
    }

    fn pull(&self, pending: &mut VecDeque<LogRecord>) {
        let mut tail = lock(&self.tail);
        while let Some(record) = self.reader.pop() {
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
        self.pull(&mut lock(&HUB).pending);
    }
}
