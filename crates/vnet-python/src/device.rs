//! Devices.

use std::os::fd::{IntoRawFd, RawFd};
use std::time::{Duration, Instant};

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use vnet::Error;

use crate::attachment::{Attachment, Recording};
use crate::capture::{CaptureOptions, Target};
use crate::convert::{Int, MTU, Plugin, direction, plain, seconds};
use crate::error::{Failure, OrRaise};
use crate::frame::{Frame, layer_name};

/// Longest wait between two looks for Ctrl-C.
pub(crate) const SLICE: Duration = Duration::from_millis(50);

/// A device.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Device(pub vnet::Device);

#[pymethods]
impl Device {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn scope(&self) -> u64 {
        self.0.scope().number()
    }

    fn belong(&self, scope: u64, place: String) {
        self.0.belong(vnet::Scope::of(scope), place);
    }

    #[getter]
    fn index(&self) -> u32 {
        self.0.index()
    }

    #[getter]
    fn kind(&self) -> String {
        self.0.kind().to_string()
    }

    #[getter]
    fn layer(&self) -> &'static str {
        layer_name(self.0.layer())
    }

    #[getter]
    fn backend(&self) -> String {
        self.0.backend().to_string()
    }

    #[getter]
    fn netns(&self) -> &str {
        self.0.netns()
    }

    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        py.detach(|| self.0.is_closed())
    }

    fn mac(&self, py: Python<'_>) -> PyResult<Option<String>> {
        py.detach(|| self.0.mac()).or_raise()
    }

    fn mtu(&self, py: Python<'_>) -> PyResult<u32> {
        py.detach(|| self.0.mtu()).or_raise()
    }

    fn addresses(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        py.detach(|| self.0.addresses()).or_raise()
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &py.detach(|| self.0.state()).or_raise()?)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        plain(py, &py.detach(|| self.0.stats()).or_raise()?)
    }

    fn describe(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| self.0.describe()).or_raise()
    }

    fn up(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.up()).or_raise()
    }

    fn down(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.down()).or_raise()
    }

    fn set_mtu(&self, py: Python<'_>, mtu: Int) -> PyResult<()> {
        let mtu = mtu.within("mtu", MTU)?;
        py.detach(|| self.0.set_mtu(mtu)).or_raise()
    }

    fn add_address(&self, py: Python<'_>, address: &str) -> PyResult<()> {
        py.detach(|| self.0.add_address(address)).or_raise()
    }

    fn del_address(&self, py: Python<'_>, address: &str) -> PyResult<()> {
        py.detach(|| self.0.del_address(address)).or_raise()
    }

    fn flush_neighbours(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.flush_neighbours()).or_raise()
    }

    fn add_port(&self, py: Python<'_>, port: &Bound<'_, Device>) -> PyResult<()> {
        let port = &port.get().0;
        py.detach(|| self.0.add_port(port)).or_raise()
    }

    fn remove_port(&self, py: Python<'_>, port: &Bound<'_, Device>) -> PyResult<()> {
        let port = &port.get().0;
        py.detach(|| self.0.remove_port(port)).or_raise()
    }

    fn ports(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        py.detach(|| self.0.ports()).or_raise()
    }

    fn check_open(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.check_open()).or_raise()
    }

    fn send(&self, frame: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = frame.py();
        if let Ok(frame) = frame.cast::<Frame>() {
            let bytes = frame.get().0.bytes.as_slice();
            return py.detach(|| self.0.send(bytes)).or_raise();
        }
        if let Ok(frame) = frame.cast::<PyBytes>() {
            let bytes = frame.as_bytes();
            return py.detach(|| self.0.send(bytes)).or_raise();
        }
        // Other objects may be changed by another thread meanwhile: copy.
        let bytes = PyBuffer::<u8>::get(frame)?.to_vec(py)?;
        py.detach(|| self.0.send(&bytes)).or_raise()
    }

    #[pyo3(signature = (timeout))]
    fn recv(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Frame> {
        let timeout = timeout.map(seconds).transpose()?;
        let start = Instant::now();
        loop {
            let left = timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
            let slice = left.map_or(SLICE, |left| left.min(SLICE));
            if let Some(frame) = py.detach(|| self.0.recv(Some(slice))).or_raise()? {
                return Ok(Frame(frame, None));
            }
            py.check_signals()?;
            if let Some(after) = timeout.filter(|timeout| start.elapsed() >= *timeout) {
                let what = format!("no frame came on {}", self.0.name());
                return Err(Failure::from(Error::Timeout {
                    what,
                    after,
                    partial: None,
                })
                .into());
            }
        }
    }

    fn event_fd(&self, py: Python<'_>) -> PyResult<RawFd> {
        Ok(py.detach(|| self.0.event_fd()).or_raise()?.into_raw_fd())
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

    fn capture(
        &self,
        py: Python<'_>,
        to: Target,
        options: &Bound<'_, CaptureOptions>,
    ) -> PyResult<Recording> {
        let (output, options) = (to.output()?, options.get().for_device()?);
        py.detach(|| self.0.capture(output, options))
            .or_raise()
            .map(Recording)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.close()).or_raise()
    }

    fn fds(&self) -> Vec<RawFd> {
        self.0.fds()
    }
}
