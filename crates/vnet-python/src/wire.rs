//! Wires.

use pyo3::prelude::*;
use vnet::{Changes, Error};

use crate::attachment::Attachment;
use crate::convert::{Plugin, Time, direction, plain};
use crate::device::Device;
use crate::error::OrRaise;

/// Forwarding between two devices.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Wire(vnet::Wire);

#[pymethods]
impl Wire {
    #[new]
    #[pyo3(signature = (a, b, *, seed))]
    fn new(
        py: Python<'_>,
        a: &Bound<'_, Device>,
        b: &Bound<'_, Device>,
        seed: Option<u64>,
    ) -> PyResult<Self> {
        let (a, b) = (&a.get().0, &b.get().0);
        let held = || match seed {
            Some(seed) => vnet::Wire::seeded(a, b, seed),
            None => vnet::Wire::held(a, b),
        };
        py.detach(held).or_raise().map(Self)
    }

    #[getter]
    fn scope(&self) -> u64 {
        self.0.scope().number()
    }

    #[getter]
    fn seed(&self) -> u64 {
        self.0.seed()
    }

    fn impair(&self, py: Python<'_>, changes: &str) -> PyResult<()> {
        let changes = Changes::from_json(changes).map_err(Error::from).or_raise()?;
        py.detach(|| self.0.impair(&changes)).or_raise()
    }

    fn impairments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &py.detach(|| self.0.impairments()))
    }

    fn lines<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &py.detach(|| self.0.line_stats()).or_raise()?)
    }

    fn set_busy_poll(&self, py: Python<'_>, time: Time) -> PyResult<()> {
        let time = time.duration("busy_poll")?;
        py.detach(|| self.0.set_busy_poll(time)).or_raise()
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
