//! Reports by value, and what plugins log.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use vnet::{Changes, Error, Impairment, Replay};

use crate::convert::{LogLine, NetnsArg, Plugin, log_lines, netns, plain, seconds};
use crate::error::OrRaise;
use crate::maps::kept;

/// Longest time a signal waits for its answer while a replay runs.
const SLICE: Duration = Duration::from_millis(50);

/// Runs a capture file through plugins.
#[pyfunction]
#[pyo3(signature = (path, *, plugins, out, diff, impair, seed))]
pub(crate) fn replay<'py>(
    py: Python<'py>,
    path: PathBuf,
    plugins: Vec<Bound<'py, Plugin>>,
    out: Option<PathBuf>,
    diff: bool,
    impair: &str,
    seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let plugins = plugins.iter().map(|plugin| plugin.get().0.clone()).collect();
    let mut both = <[Impairment; 2]>::default();
    let changes = Changes::from_json(impair).map_err(Error::from).or_raise()?;
    let applied = changes.apply("of the replay", &mut both);
    applied.map_err(Error::from).or_raise()?;
    let [impair, _] = both;
    let replay = Replay {
        input: path,
        output: out,
        plugins,
        diff,
        impair,
        seed,
        ..Replay::default()
    };
    let stop = Arc::clone(&replay.stop);
    let (report, reported) = sync_channel(1);
    // Only this thread ever takes it; the lock tells the compiler so.
    let reported = Mutex::new(reported);
    let worker = std::thread::spawn(move || drop(report.send(vnet::replay(replay))));
    loop {
        let wait = || {
            let reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
            reported.recv_timeout(SLICE)
        };
        match py.detach(wait) {
            Ok(result) => {
                let mut report = result.or_raise()?;
                let maps = std::mem::take(&mut report.maps);
                let maps: Vec<_> = maps
                    .into_iter()
                    .map(|maps| kept(py, maps))
                    .collect::<PyResult<_>>()?;
                let read = plain(py, &report)?;
                read.set_item("maps", maps)?;
                return Ok(read);
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("the thread of the replay panicked"));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Err(interrupt) = py.check_signals() {
            stop.store(true, Ordering::Relaxed);
            // Its result is of no interest any more; the file it wrote is closed when it has ended.
            let _ = py.detach(|| worker.join());
            return Err(interrupt);
        }
    }
}

/// Says what works here.
#[pyfunction]
#[pyo3(signature = (netns))]
pub(crate) fn doctor(py: Python<'_>, netns: Option<NetnsArg>) -> PyResult<(Bound<'_, PyAny>, String)> {
    let netns = self::netns(netns)?;
    let report = py.detach(|| vnet::doctor(&netns)).or_raise()?;
    Ok((plain(py, &report)?, report.to_string()))
}

/// Removes interfaces that dead vnet processes left behind.
#[pyfunction]
#[pyo3(signature = (netns))]
pub(crate) fn remove_stale(py: Python<'_>, netns: Option<NetnsArg>) -> PyResult<usize> {
    let netns = self::netns(netns)?;
    py.detach(|| vnet::doctor(&netns)?.remove_stale()).or_raise()
}

/// Returns an AppArmor profile for the helper.
#[pyfunction]
pub(crate) fn apparmor_profile() -> String {
    vnet::apparmor_profile()
}

/// Returns a seccomp profile for containers.
#[pyfunction]
pub(crate) fn seccomp_profile() -> &'static str {
    vnet::seccomp_profile()
}

/// Says once that this process's sandbox was made.
#[pyfunction]
pub(crate) fn sandbox_announcement() -> Option<String> {
    vnet::sandbox_announcement()
}

/// Ends this process's sandbox.
#[pyfunction]
pub(crate) fn close_sandbox(py: Python<'_>) -> PyResult<()> {
    py.detach(vnet::close_sandbox).or_raise()
}

/// Waits for lines that plugins log.
#[pyfunction]
pub(crate) fn next_logs(py: Python<'_>, timeout: f64) -> PyResult<Vec<LogLine>> {
    let timeout = seconds(timeout)?;
    Ok(log_lines(py.detach(|| vnet::next_logs(timeout))))
}

/// Lists the plugins that ship with vnet.
#[pyfunction]
pub(crate) fn shipped(py: Python<'_>) -> Vec<(&'static str, &'static str, Bound<'_, PyBytes>)> {
    let plugin = |plugin: &vnet::Shipped| (plugin.name, plugin.description, PyBytes::new(py, plugin.bytes));
    vnet::shipped().iter().map(plugin).collect()
}
