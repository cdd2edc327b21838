//! Commands that run in nodes.

use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use vnet::{Error, Transport};

use crate::convert::{Int, seconds};
use crate::error::{Failure, OrRaise};
use crate::interrupt::interruptible;

/// A command that runs in a node.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Process {
    process: vnet::Process,
    /// The status, once somebody saw it.
    status: Mutex<Option<i32>>,
}

impl Process {
    pub(crate) fn new(process: vnet::Process) -> Self {
        Self {
            process,
            status: Mutex::new(None),
        }
    }

    fn seen(&self, status: Option<i32>) -> Option<i32> {
        let mut seen = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = seen.or(status);
        *seen
    }
}

type Descriptors = (Option<RawFd>, Option<RawFd>, Option<RawFd>);

#[pymethods]
impl Process {
    #[getter]
    fn pid(&self) -> u32 {
        self.process.pid()
    }

    #[getter]
    fn returncode(&self) -> Option<i32> {
        self.seen(None)
    }

    fn take_pipes(&self) -> Descriptors {
        let pipes = self.process.take_pipes();
        let raw = |pipe: Option<OwnedFd>| pipe.map(IntoRawFd::into_raw_fd);
        (raw(pipes.stdin), raw(pipes.stdout), raw(pipes.stderr))
    }

    fn poll(&self, py: Python<'_>) -> PyResult<Option<i32>> {
        let status = py.detach(|| self.process.poll()).or_raise()?;
        Ok(self.seen(status))
    }

    #[pyo3(signature = (timeout))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<i32> {
        let timeout = timeout.map(seconds).transpose()?;
        let status = interruptible(py, |cancel| self.process.wait(timeout, cancel))?;
        self.seen(status).ok_or_else(|| {
            Failure::from(Error::Timeout {
                what: format!("{} did not end", self.process),
                after: timeout.unwrap_or(Duration::ZERO),
                partial: None,
            })
            .into()
        })
    }

    fn wait_port(&self, py: Python<'_>, port: Int, timeout: f64, protocol: &str) -> PyResult<()> {
        let port = port.within("port", 1..=65_535)?;
        let (timeout, transport): (_, Transport) = (seconds(timeout)?, protocol.parse().or_raise()?);
        interruptible(py, |cancel| {
            self.process.wait_port(port, transport, timeout, cancel)
        })
        .map(drop)
    }

    fn send_signal(&self, py: Python<'_>, number: Int) -> PyResult<()> {
        let number = number.within("the signal", 1..=64)?;
        py.detach(|| self.process.signal(number)).or_raise()
    }

    fn end(&self, py: Python<'_>, grace: f64) -> PyResult<()> {
        let grace = seconds(grace)?;
        interruptible(py, |cancel| self.process.end(grace, cancel))
    }

    fn kill(&self, py: Python<'_>) {
        py.detach(|| self.process.kill());
    }

    fn end_fd(&self, py: Python<'_>) -> PyResult<RawFd> {
        Ok(py.detach(|| self.process.end_fd()).or_raise()?.into_raw_fd())
    }
}
