//! The thread that advances wasmtime's epoch while guests run, and sleeps when none does.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, compiler_fence, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{Builder, Thread};
use std::time::Duration;

use rustix::thread::{MembarrierCommand, membarrier};
use rustix::time::{ClockId, clock_gettime};
use wasmtime::Engine;

/// One epoch.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a guest after which the thread sleeps.
const IDLE_TICKS: u32 = 50;

/// Advances the epoch once a millisecond while a stage is between [`Runner::enter`] and [`Runner::leave`].
pub(crate) struct Ticker {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
    runners: Mutex<Vec<Arc<Turns>>>,
    pid: u32,
    /// The ticker can put a barrier into all threads of the process (`membarrier(2)`), so that stages need none of their own.
    barrier: bool,
}

/// How often one stage went into a guest and came out again: odd while it is inside.
///
/// Each has its own cache line, so that stages on different cores do not slow each other.
#[derive(Default)]
#[repr(align(128))]
struct Turns(AtomicU64);

/// A stage's way to keep the ticker awake.
pub(crate) struct Runner {
    ticker: &'static Ticker,
    turns: Arc<Turns>,
}

static CURRENT: Mutex<Option<&'static Ticker>> = Mutex::new(None);

impl Runner {
    /// Registers with this process's ticker, which is started where there is none.
    ///
    /// A process made by fork has none of its parent's threads, so it gets a ticker of its own.
    pub(crate) fn new(engine: &Engine) -> std::io::Result<Runner> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = std::process::id();
        let ticker = match *current {
            Some(ticker) if ticker.pid == pid => ticker,
            _ => Ticker::start(engine, pid)?,
        };
        *current = Some(ticker);
        let turns = Arc::<Turns>::default();
        ticker.runners().push(Arc::clone(&turns));
        Ok(Runner { ticker, turns })
    }

    /// Says that a guest runs until [`Runner::leave`].
    #[inline]
    pub(crate) fn enter(&mut self) {
        let turns = self.turns.0.load(Ordering::Relaxed);
        self.turns.0.store(turns | 1, Ordering::Release);
        // Either this thread reads that the ticker sleeps, or the ticker reads the turn before it does.
        if self.ticker.barrier {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
        if self.ticker.asleep.load(Ordering::Acquire) {
            self.ticker.wake();
        }
    }

    /// Says that no guest runs.
    #[inline]
    pub(crate) fn leave(&mut self) {
        let turns = self.turns.0.load(Ordering::Relaxed);
        self.turns.0.store((turns | 1).wrapping_add(1), Ordering::Release);
    }
}

impl Ticker {
    fn start(engine: &Engine, pid: u32) -> std::io::Result<&'static Ticker> {
        let ticker: &'static Ticker = Box::leak(Box::new(Ticker {
            asleep: AtomicBool::new(false),
            thread: OnceLock::new(),
            runners: Mutex::new(Vec::new()),
            pid,
            barrier: membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok(),
        }));
        let engine = engine.clone();
        let thread = Builder::new().name("vnet-epoch".into()).stack_size(256 << 10);
        let handle = thread.spawn(move || ticker.tick(&engine))?;
        let _ = ticker.thread.set(handle.thread().clone());
        Ok(ticker)
    }

    fn runners(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Turns>>> {
        self.runners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cold]
    fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Returns the sum of all turns, and whether a guest runs.
    fn look(&self) -> (u64, bool) {
        let mut runners = self.runners();
        runners.retain(|turns| Arc::strong_count(turns) > 1);
        runners
            .iter()
            .map(|turns| turns.0.load(Ordering::SeqCst))
            .fold((0, false), |(sum, busy), turns| {
                (sum.wrapping_add(turns), busy || turns % 2 == 1)
            })
    }

    /// Makes what this thread wrote visible to all others, and what they wrote to it; false where that cannot be had.
    fn all_see(&self) -> bool {
        fence(Ordering::SeqCst);
        !self.barrier || membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }

    fn tick(&self, engine: &Engine) {
        let mut idle = 0;
        let mut seen = self.look();
        loop {
            std::thread::sleep(TICK);
            engine.increment_epoch();
            let now = self.look();
            idle = if now == seen && !now.1 { idle + 1 } else { 0 };
            seen = now;
            if idle < IDLE_TICKS {
                continue;
            }
            // A guest that enters after this store sees it and wakes this thread; one that entered
            // before is seen by the look after it.
            self.asleep.store(true, Ordering::SeqCst);
            if !self.all_see() || self.look() != seen {
                self.asleep.store(false, Ordering::SeqCst);
                continue;
            }
            while self.asleep.load(Ordering::SeqCst) {
                std::thread::park();
            }
            idle = 0;
        }
    }
}

/// CPU time that one call into the guest may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    limit: Duration,
    /// Thread CPU time at the first tick of the call; the clock is a system call, so it is not read before.
    start: Option<Duration>,
}

/// The error that stops a guest which used its budget up.
#[derive(Debug, thiserror::Error)]
#[error("used more than {} ms of CPU time", .0.as_millis())]
pub(crate) struct OutOfTime(pub(crate) Duration);

impl Budget {
    pub(crate) fn new(limit: Duration) -> Budget {
        Budget { limit, start: None }
    }

    /// Looks at the clock; the epoch callback calls this once a tick while the guest runs.
    pub(crate) fn check(&mut self) -> Result<(), OutOfTime> {
        let now = thread_cpu_time();
        match self.start {
            None => self.start = Some(now),
            Some(start) if now.saturating_sub(start) >= self.limit => return Err(OutOfTime(self.limit)),
            Some(_) => {}
        }
        Ok(())
    }
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
