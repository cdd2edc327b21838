//! Plugins at work, and captures.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::convert::{LogLine, Plugin, log_lines, plain};
use crate::error::OrRaise;
use crate::swap::{Watch, swapped_dict};

/// A plugin at work.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Attachment(pub vnet::Attachment);

#[pymethods]
impl Attachment {
    #[getter]
    fn name(&self) -> String {
        self.0.name()
    }

    #[getter]
    fn scope(&self) -> u64 {
        self.0.scope().number()
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

    #[pyo3(signature = (plugin, *, carry))]
    fn swap<'py>(
        &self,
        py: Python<'py>,
        plugin: &Bound<'py, Plugin>,
        carry: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let plugin = &plugin.get().0;
        swapped_dict(py, &py.detach(|| self.0.swap(plugin, carry)).or_raise()?)
    }

    #[pyo3(signature = (*, carry))]
    fn rollback<'py>(&self, py: Python<'py>, carry: bool) -> PyResult<Bound<'py, PyAny>> {
        swapped_dict(py, &py.detach(|| self.0.rollback(carry)).or_raise()?)
    }

    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.reset()).or_raise()
    }

    fn watch(&self, py: Python<'_>, path: Option<PathBuf>) -> PyResult<Watch> {
        py.detach(|| self.0.watch(path.as_deref())).or_raise().map(Watch)
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

    fn is_over(&self) -> bool {
        self.0.is_over()
    }
}
