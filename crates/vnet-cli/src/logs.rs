//! What plugins and the library log, on standard error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::live::Above;
use crate::output;

/// How long the thread sleeps at most before it sees that it is to end.
const LATENCY: Duration = Duration::from_millis(40);
/// Names of the ABI's log levels.
const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

/// The thread that writes plugins' lines; dropping it writes what is left and ends it.
pub(crate) struct Logs {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Sends the library's own log (`VNET_LOG` as in `tracing`, else `verbose`) and all plugins' lines to standard error.
///
/// # Errors
/// [`Failure::Os`] when there can be no thread for it: the user's limit is reached.
pub(crate) fn start(verbose: u8) -> Result<Logs, Failure> {
    let level = ["warn", "info", "debug", "trace"][usize::from(verbose.min(3))];
    let filter = EnvFilter::try_from_env("VNET_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colour = output::Paint::stderr().is_on();
    // A process that already has a subscriber keeps it.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Above)
        .with_ansi(colour)
        .without_time()
        .try_init();
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let thread = thread::Builder::new()
        .name("vnet-logs".into())
        .spawn(move || write_lines(&asked))
        .map_err(|source| Failure::Os {
            what: "start the thread that writes what plugins log",
            source,
        })?;
    Ok(Logs {
        stop,
        thread: Some(thread),
    })
}

fn write_lines(stop: &AtomicBool) {
    loop {
        let last = stop.load(Ordering::Acquire);
        let wait = if last { Duration::ZERO } else { LATENCY };
        for line in vnet::next_logs(wait) {
            let level = LEVELS.get(usize::from(line.level)).copied().unwrap_or("debug");
            output::note(&format!("{}: {level}: {}", line.stage, line.message));
        }
        if last {
            return;
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic there was already reported by the panic hook.
            let _ = thread.join();
        }
    }
}
