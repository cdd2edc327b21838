//! Frames: immutable bytes with a time.

use std::ffi::c_int;
use std::sync::Arc;

use pyo3::basic::CompareOp;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use vnet::Layer;

use crate::convert::invalid;

/// One Ethernet frame (``layer == "l2"``) or bare IP packet (``"l3"``), and when it was seen.
///
/// A frame is immutable, and is bytes to whatever takes bytes: ``bytes(f)``, ``memoryview(f)`` (no copy), ``file.write(f)``,
/// ``tap.send(f)``. It equals any bytes-like object with the same octets. ``timestamp`` is Unix time in seconds,
/// ``timestamp_ns`` the same in nanoseconds.
#[pyclass(frozen, module = "vnet")]
pub(crate) struct Frame(pub vnet::Frame, pub Option<Box<Seen>>);

/// What a capture file says of a frame besides its octets.
pub(crate) struct Seen {
    pub interface: Arc<str>,
    pub direction: Option<&'static str>,
    pub comment: String,
    pub packet: u64,
}

#[pymethods]
impl Frame {
    #[new]
    #[pyo3(signature = (data, *, layer = "l2", timestamp_ns = 0))]
    fn new(data: &Bound<'_, PyAny>, layer: &str, timestamp_ns: u64) -> PyResult<Self> {
        let layer = match layer {
            "l2" => Layer::L2,
            "l3" => Layer::L3,
            other => return Err(invalid(format!("layer is \"l2\" or \"l3\", not {other:?}"))),
        };
        let bytes = PyBuffer::<u8>::get(data)?.to_vec(data.py())?;
        Ok(Self(
            vnet::Frame {
                bytes,
                ts_ns: timestamp_ns,
                layer,
            },
            None,
        ))
    }

    /// Unix time in seconds.
    #[getter]
    fn timestamp(&self) -> f64 {
        self.0.ts_ns as f64 / 1e9
    }

    /// Unix time in nanoseconds.
    #[getter]
    fn timestamp_ns(&self) -> u64 {
        self.0.ts_ns
    }

    /// ``"l2"`` for an Ethernet frame, ``"l3"`` for a bare IP packet.
    #[getter]
    pub(crate) fn layer(&self) -> &'static str {
        layer_name(self.0.layer)
    }

    /// Where a capture saw it, such as ``"h1-eth0"``; empty where that is not known.
    #[getter]
    fn interface(&self) -> &str {
        self.1.as_ref().map_or("", |seen| &seen.interface)
    }

    /// ``"in"`` or ``"out"``, seen from its interface; None where that is not known, or it ended there.
    #[getter]
    fn direction(&self) -> Option<&'static str> {
        self.1.as_ref().and_then(|seen| seen.direction)
    }

    /// What the capture says of it, one line for each thing.
    #[getter]
    fn comment(&self) -> &str {
        self.1.as_ref().map_or("", |seen| &seen.comment)
    }

    /// The number that all sightings of one packet within one part of the engine share; 0 where it has none.
    #[getter]
    fn packet(&self) -> u64 {
        self.1.as_ref().map_or(0, |seen| seen.packet)
    }

    /// Return one line in tcpdump's manner, such as ``"ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28"``.
    fn summary(&self) -> String {
        self.0.summary()
    }

    /// Return the octets as ``tcpdump -xx`` prints them.
    fn hexdump(&self) -> String {
        self.0.hexdump()
    }

    /// Return it as a Scapy packet. Raises Unsupported when Scapy is not installed.
    fn scapy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("vnet._frame")?.call_method1("to_scapy", (slf,))
    }

    /// Shows headers and octets in a notebook.
    #[pyo3(signature = (include = None, exclude = None))]
    fn _repr_mimebundle_<'py>(
        slf: &Bound<'py, Self>,
        include: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.py()
            .import("vnet._frame")?
            .call_method1("mimebundle", (slf, include, exclude))
    }

    /// Gives the octets without a copy.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("the view is missing"));
        }
        let bytes = &slf.get().0.bytes;
        let len = bytes
            .len()
            .try_into()
            .map_err(|_| PyBufferError::new_err("the frame is too long"))?;
        // SAFETY: `view` is CPython's to fill. The octets are never changed or moved while the frame lives, because the class
        // is frozen, and FillInfo keeps a reference to the frame in the view. The last but one argument says read-only.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                bytes.as_ptr().cast_mut().cast(),
                len,
                1,
                flags,
            )
        };
        if filled == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(slf.py()))
        }
    }

    fn __len__(&self) -> usize {
        self.0.bytes.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        PyBytes::new(py, &self.0.bytes).as_any().get_item(index)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyBytes::new(py, &self.0.bytes).hash()
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
        let py = other.py();
        let equal = PyBuffer::<u8>::get(other)
            .and_then(|buffer| buffer.to_vec(py))
            .map(|bytes| bytes == self.0.bytes);
        let answer = match (equal, op) {
            (Ok(equal), CompareOp::Eq) => equal,
            (Ok(equal), CompareOp::Ne) => !equal,
            // Anything else than bytes decides for itself.
            _ => return Ok(py.NotImplemented()),
        };
        Ok(answer.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let (py, frame) = (slf.py(), &slf.get().0);
        let restore = py.import("vnet._frame")?.getattr("restore")?;
        let state = (
            PyBytes::new(py, &frame.bytes),
            layer_name(frame.layer),
            frame.ts_ns,
        )
            .into_pyobject(py)?;
        (restore, state).into_pyobject(py)
    }

    fn __repr__(&self) -> String {
        format!("<vnet.Frame {} bytes: {}>", self.0.bytes.len(), self.0.summary())
    }
}

/// Names a layer as Python does.
pub(crate) fn layer_name(layer: Layer) -> &'static str {
    match layer {
        Layer::L2 => "l2",
        Layer::L3 => "l3",
    }
}
