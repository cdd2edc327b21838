//! Reports by value, and what plugins log.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use vnet::Replay;

use crate::convert::{LogLine, NetnsArg, Plugin, log_lines, netns, plain, seconds};
use crate::error::OrRaise;

/// Runs a capture file through plugins.
#[pyfunction]
#[pyo3(signature = (path, *, plugins, out, diff))]
pub(crate) fn replay<'py>(
    py: Python<'py>,
    path: PathBuf,
    plugins: Vec<Bound<'py, Plugin>>,
    out: Option<PathBuf>,
    diff: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let plugins = plugins.iter().map(|plugin| plugin.get().0.clone()).collect();
    let replay = Replay {
        input: path,
        output: out,
        plugins,
        diff,
    };
    plain(py, &py.detach(|| vnet::replay(replay)).or_raise()?)
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
