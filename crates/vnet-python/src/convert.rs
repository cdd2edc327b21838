//! Values on their way in and out.

use std::ops::RangeInclusive;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde::Serialize;
use serde_json::Value;
use vnet::{Config, Direction, Error, Given, LogRecord, Netns, OnFault, Trip};

use crate::error::OrRaise;
use crate::node::Node;

/// A namespace as Python names it: a text, a descriptor, a node of a network, or nothing for the current one.
#[derive(FromPyObject)]
pub(crate) enum NetnsArg {
    #[pyo3(transparent)]
    Node(Py<Node>),
    #[pyo3(transparent)]
    Fd(RawFd),
    #[pyo3(transparent)]
    Text(String),
}

/// Reads a namespace; a descriptor is duplicated.
pub(crate) fn netns(arg: Option<NetnsArg>) -> PyResult<Netns> {
    match arg {
        None => Ok(Netns::Current),
        Some(NetnsArg::Node(node)) => Python::attach(|py| node.get().netns(py)),
        Some(NetnsArg::Text(text)) => text.parse().or_raise(),
        Some(NetnsArg::Fd(fd)) if fd < 0 => Err(invalid(format!("{fd} is not a file descriptor"))),
        Some(NetnsArg::Fd(fd)) => {
            // SAFETY: `fd` is not negative. It is only duplicated, by a call that answers EBADF when it is not open; the
            // borrow ends with this statement.
            let copy = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
            let fd = copy.map_err(|error| invalid(format!("file descriptor {fd}: {error}")))?;
            Ok(Netns::Fd(Arc::new(fd)))
        }
    }
}

/// The longest time that is told apart from for ever: no clock counts much further.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a time in seconds; a longer one than 100 years, and infinity, is 100 years.
pub(crate) fn seconds(value: f64) -> PyResult<Duration> {
    if value.is_nan() || value < 0.0 {
        return Err(invalid(format!("{value} is not a time: give seconds, 0 or more")));
    }
    Ok(Duration::try_from_secs_f64(value).map_or(LONGEST, |time| time.min(LONGEST)))
}

/// A time as impairments have it: a text with its unit, or a number of seconds.
#[derive(FromPyObject)]
pub(crate) enum Time {
    #[pyo3(transparent)]
    Text(String),
    #[pyo3(transparent)]
    Seconds(f64),
}

impl Time {
    /// Returns it as a duration; `argument` is what the user calls it.
    pub(crate) fn duration(&self, argument: &str) -> PyResult<Duration> {
        let given = match self {
            Self::Text(text) => Given::Text(text),
            Self::Seconds(seconds) => Given::Float(*seconds),
        };
        let read = vnet::time(given).map_err(|error| {
            let what = format!("{argument} is {given}; expected {}", error.expected);
            Error::Invalid { what, hint: None }
        });
        read.map(Duration::from_nanos).or_raise()
    }
}

/// A whole number of whatever size, as Python has them.
pub(crate) struct Int {
    /// `None` where 64 bits do not hold it.
    value: Option<i64>,
    text: String,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Int {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let value = match object.extract::<i64>() {
            Ok(value) => Some(value),
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => None,
            Err(error) => return Err(error),
        };
        let text = object.str()?.to_string();
        Ok(Self { value, text })
    }
}

impl Int {
    /// Returns the number when it is in the range; `argument` is what the user calls it.
    pub(crate) fn within<T: TryFrom<i64>>(&self, argument: &str, range: RangeInclusive<i64>) -> PyResult<T> {
        let value = self.value.filter(|value| range.contains(value));
        value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            invalid(format!(
                "{argument} is {}; it is a number from {least} to {most}",
                self.text
            ))
        })
    }
}

/// What an MTU may be in bytes; the kernel knows what the device can.
pub(crate) const MTU: RangeInclusive<i64> = 68..=65_535;

/// What a port of TCP or UDP may be; 0 is any that is free.
pub(crate) const PORT: RangeInclusive<i64> = 0..=65_535;

/// What any number of 32 bits may be.
pub(crate) const BITS32: RangeInclusive<i64> = 0..=4_294_967_295;

/// Makes the exception for an argument that cannot be right.
pub(crate) fn invalid(what: String) -> PyErr {
    crate::error::Failure::from(Error::Invalid { what, hint: None }).into()
}

/// Reads a direction.
pub(crate) fn direction(text: &str) -> PyResult<Direction> {
    text.parse().or_raise()
}

/// Gives Python anything serde can write: dicts, lists, strings and numbers.
pub(crate) fn plain<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(value).map_err(|error| {
        pyo3::exceptions::PyRuntimeError::new_err(format!("a report cannot be written as JSON: {error}"))
    })?;
    json(py, &value)
}

fn json<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(value) => Ok(value.into_pyobject(py)?.to_owned().into_any()),
        Value::String(text) => Ok(text.into_pyobject(py)?.into_any()),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Ok(number.into_pyobject(py)?.into_any()),
            (None, Some(number)) => Ok(number.into_pyobject(py)?.into_any()),
            (None, None) => Ok(number.as_f64().into_pyobject(py)?.into_any()),
        },
        Value::Array(values) => {
            let list = PyList::empty(py);
            for value in values {
                list.append(json(py, value)?)?;
            }
            Ok(list.into_any())
        }
        Value::Object(entries) => {
            let dict = PyDict::new(py);
            for (key, value) in entries {
                dict.set_item(key, json(py, value)?)?;
            }
            Ok(dict.into_any())
        }
    }
}

/// A line of a plugin's log: plugin, whether the host says it of the plugin, level, message, Unix time in seconds.
pub(crate) type LogLine = (String, bool, u8, String, f64);

/// Gives Python the lines plugins logged.
pub(crate) fn log_lines(records: Vec<LogRecord>) -> Vec<LogLine> {
    let line = |record: LogRecord| {
        (
            record.stage,
            record.by_host,
            record.level,
            record.message,
            unix_seconds(record.ts),
        )
    };
    records.into_iter().map(line).collect()
}

/// Returns Unix time in seconds.
pub(crate) fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// A plugin as Python names it.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Plugin(pub vnet::Plugin);

#[pymethods]
impl Plugin {
    #[new]
    #[pyo3(signature = (source, *, content, config, on_fault, trip, grants, seed, module_cap))]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each option of a plugin, by keyword"
    )]
    fn new(
        source: String,
        content: Option<Vec<u8>>,
        config: &str,
        on_fault: Option<&str>,
        trip: Option<(u32, Time, f64)>,
        grants: Vec<String>,
        seed: u64,
        module_cap: Option<usize>,
    ) -> PyResult<Self> {
        let config = serde_json::from_str(config).map_err(|error| {
            invalid(format!(
                "the configuration of plugin {source} is not JSON: {error}"
            ))
        })?;
        let on_fault = match on_fault {
            None => None,
            Some("closed") => Some(OnFault::Closed),
            Some("open") => Some(OnFault::Open),
            Some(other) => {
                return Err(invalid(format!(
                    "on_fault is \"closed\" or \"open\", not {other:?}"
                )));
            }
        };
        let trip = match trip {
            None => None,
            Some((faults, within, retry)) => Some(Trip {
                faults,
                within: within.duration("trip")?,
                retry: seconds(retry)?,
            }),
        };
        Ok(Self(vnet::Plugin {
            source,
            bytes: content,
            config: Config::Json(config),
            on_fault,
            trip: Some(trip),
            grants,
            seed,
            instance: 0,
            module_cap,
            caller: None,
        }))
    }
}
