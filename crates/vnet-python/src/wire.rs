//! Wires.

use pyo3::prelude::*;

use crate::attachment::Attachment;
use crate::convert::{Plugin, direction, plain};
use crate::device::Device;
use crate::error::OrRaise;

/// Forwarding between two devices.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Wire(vnet::Wire);

#[pymethods]
impl Wire {
    #[new]
    fn new(py: Python<'_>, a: &Bound<'_, Device>, b: &Bound<'_, Device>) -> PyResult<Self> {
        let (a, b) = (&a.get().0, &b.get().0);
        py.detach(|| vnet::Wire::held(a, b)).or_raise().map(Self)
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.start()).or_raise()
    }

    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_closed())
    }

    #[pyo3(signature = (plugin, direction, position))]
    fn attach(
        &self,
        py: Python<'_>,
        plugin: &Bound<'_, Plugin>,
        direction: &str,
        position: Option<usize>,
    ) -> PyResult<Attachment> {
        let (plugin, direction) = (&plugin.get().0, self::direction(direction)?);
        py.detach(|| self.0.attach_at(plugin, direction, position))
            .or_raise()
            .map(Attachment)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &py.detach(|| self.0.stats()).or_raise()?)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}
