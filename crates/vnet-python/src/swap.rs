//! Hot swap, files that are watched, and what happens to plugins and devices.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use vnet::Occurrence;

use crate::attachment::Attachment;
use crate::convert::{Plugin, plain, seconds, unix_seconds};
use crate::error::OrRaise;

/// A file that is swapped in whenever it is saved.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Watch(pub vnet::Watch);

#[pymethods]
impl Watch {
    #[getter]
    fn path(&self) -> String {
        self.0.path().display().to_string()
    }

    fn stop(&self) {
        self.0.stop();
    }

    fn counts(&self) -> (u64, u64) {
        self.0.counts()
    }

    fn refused(&self) -> Option<String> {
        self.0.refused()
    }
}

/// Puts plugins in the places of others, all in one step.
#[pyfunction]
#[pyo3(signature = (places, plugins, *, carry))]
pub(crate) fn swap_all<'py>(
    py: Python<'py>,
    places: Vec<Bound<'py, Attachment>>,
    plugins: Vec<Bound<'py, Plugin>>,
    carry: bool,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let places = places.iter().map(|place| place.get().0.clone());
    let plugins = plugins.iter().map(|plugin| plugin.get().0.clone());
    let all: Vec<_> = places.zip(plugins).collect();
    let swapped = py.detach(|| vnet::swap_all(&all, carry)).or_raise()?;
    swapped.iter().map(|swapped| swapped_dict(py, swapped)).collect()
}

/// Gives Python how a swap went.
pub(crate) fn swapped_dict<'py>(py: Python<'py>, swapped: &vnet::Swapped) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    dict.set_item("plugin", &swapped.plugin)?;
    dict.set_item("version", &swapped.version)?;
    dict.set_item("pause_us", swapped.pause.as_nanos() as f64 / 1e3)?;
    dict.set_item("carried", plain(py, &swapped.carried)?)?;
    Ok(dict.into_any())
}

/// Waits for events behind a number; returns them and the number to go on from.
#[pyfunction]
pub(crate) fn next_events<'py>(
    py: Python<'py>,
    after: u64,
    scope: Option<u64>,
    timeout: f64,
) -> PyResult<(Vec<Bound<'py, PyDict>>, u64)> {
    let timeout = seconds(timeout)?;
    let (events, last) = py.detach(|| vnet::next_events(after, scope, timeout));
    let events = events.iter().map(|event| event_dict(py, event));
    Ok((events.collect::<PyResult<_>>()?, last))
}

fn event_dict<'py>(py: Python<'py>, event: &Occurrence) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("kind", event.kind)?;
    dict.set_item("plugin", &event.plugin)?;
    dict.set_item("place", &event.place)?;
    dict.set_item("message", &event.message)?;
    dict.set_item("timestamp", unix_seconds(event.time))?;
    dict.set_item("took_us", event.took.as_nanos() as f64 / 1e3)?;
    dict.set_item("fault", plain(py, &event.fault)?)?;
    Ok(dict)
}
