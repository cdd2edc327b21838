//! The one place where an error becomes a Python exception.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use vnet::{Error, ErrorKind};

/// An error on its way to Python; `?` turns it into the exception.
pub(crate) struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| exception(py, &failure.0).unwrap_or_else(|error| error))
    }
}

/// Lets `Result<T, vnet::Error>` be returned to Python with `?`.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| Failure(error).into())
    }
}

/// Makes the exception of `vnet._errors` for an error, with its details as attributes.
fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let details = PyDict::new(py);
    details.set_item("hint", error.hint())?;
    if let Some(errno) = error.errno() {
        details.set_item("errno", errno)?;
    }
    match error {
        Error::Privilege { reason, fix, .. } => {
            details.set_item("reason", reason)?;
            details.set_item("fix", fix)?;
        }
        Error::Busy { name, owner } => {
            details.set_item("device", name)?;
            details.set_item("owner", owner)?;
        }
        Error::LabFile { file, line, key, .. } => {
            details.set_item("file", file)?;
            // A place in JSON is known by its key alone.
            details.set_item("line", Some(*line).filter(|line| *line > 0))?;
            details.set_item("key", key)?;
        }
        Error::Gone { name } => details.set_item("device", name)?,
        Error::Timeout {
            partial: Some(partial),
            ..
        } => {
            details.set_item("stdout", bytes(py, partial.stdout.as_deref()))?;
            details.set_item("stderr", bytes(py, partial.stderr.as_deref()))?;
        }
        Error::CommandFailed(completed) => {
            details.set_item("returncode", completed.returncode)?;
            details.set_item("cmd", &completed.command)?;
            details.set_item("output", bytes(py, completed.stdout.as_deref()))?;
            details.set_item("stderr", bytes(py, completed.stderr.as_deref()))?;
        }
        Error::PluginRejected { plugin, .. }
        | Error::PluginTimeout { plugin, .. }
        | Error::NoSuchMap { plugin, .. }
        | Error::Map { plugin, .. } => {
            details.set_item("plugin", plugin)?;
        }
        Error::PluginTrap {
            plugin, backtrace, ..
        } => {
            details.set_item("plugin", plugin)?;
            details.set_item("backtrace", backtrace)?;
        }
        _ => {}
    }
    let class = py.import("vnet._errors")?.getattr(class(error.kind()))?;
    let value = class.call((error.to_string(),), Some(&details))?;
    Ok(PyErr::from_value(value))
}

fn bytes<'py>(py: Python<'py>, written: Option<&[u8]>) -> Option<Bound<'py, PyBytes>> {
    written.map(|written| PyBytes::new(py, written))
}

/// Names the class in `vnet._errors` for a kind.
fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "InvalidValue",
        ErrorKind::LabFile => "LabFileError",
        ErrorKind::Privilege => "PrivilegeError",
        ErrorKind::Busy => "DeviceBusy",
        ErrorKind::NotFound => "NotFound",
        ErrorKind::Gone => "Gone",
        ErrorKind::Closed => "Closed",
        ErrorKind::Timeout => "TimeoutError",
        ErrorKind::CommandFailed => "CommandFailed",
        ErrorKind::PluginRejected => "PluginRejected",
        ErrorKind::PluginTrap => "PluginTrap",
        ErrorKind::PluginTimeout => "PluginTimeout",
        ErrorKind::NoSuchMap => "NoSuchMap",
        ErrorKind::Map => "MapError",
        ErrorKind::Unsupported => "Unsupported",
        ErrorKind::System => "SystemFailure",
    }
}
