//! Plugins at work, and captures.

use pyo3::prelude::*;

use crate::convert::{LogLine, log_lines, plain};
use crate::error::OrRaise;

/// A plugin at work.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Attachment(pub vnet::Attachment);

#[pymethods]
impl Attachment {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn detached(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_detached())
    }

    #[getter]
    fn reordering_possible(&self) -> bool {
        self.0.reordering_possible()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &py.detach(|| self.0.stats()).or_raise()?)
    }

    fn logs(&self, py: Python<'_>) -> Vec<LogLine> {
        log_lines(py.detach(|| self.0.logs()))
    }

    fn detach<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &py.detach(|| self.0.detach()).or_raise()?)
    }
}

/// A capture in progress.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Recording(pub vnet::Recording);

#[pymethods]
impl Recording {
    fn stop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &py.detach(|| self.0.stop()).or_raise()?)
    }
}
