//! Commands.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use vnet::{Command, Completed, Error};

use crate::convert::{NetnsArg, netns, seconds};
use crate::device::SLICE;
use crate::error::OrRaise;

/// A text for a shell, or words.
#[derive(FromPyObject)]
pub(crate) enum CommandLine {
    #[pyo3(transparent)]
    Text(String),
    #[pyo3(transparent)]
    Words(Vec<OsString>),
}

/// Starts a command.
#[pyfunction]
#[pyo3(signature = (command, *, timeout, netns, input, capture, env, cwd))]
#[expect(
    clippy::too_many_arguments,
    reason = "one for each option of a command, by keyword"
)]
pub(crate) fn spawn(
    py: Python<'_>,
    command: CommandLine,
    timeout: Option<f64>,
    netns: Option<NetnsArg>,
    input: Option<Vec<u8>>,
    capture: bool,
    env: Option<HashMap<OsString, OsString>>,
    cwd: Option<PathBuf>,
) -> PyResult<Running> {
    let mut command = match command {
        CommandLine::Text(text) => Command::shell(text),
        CommandLine::Words(words) => Command::new(words),
    };
    command = command.netns(self::netns(netns)?);
    if let Some(timeout) = timeout {
        command = command.timeout(seconds(timeout)?);
    }
    if let Some(input) = input {
        command = command.input(input);
    }
    if !capture {
        command = command.inherit();
    }
    if let Some(env) = env {
        command = command.env(env.into_iter().collect());
    }
    if let Some(cwd) = cwd {
        command = command.cwd(cwd);
    }
    let running = py.detach(|| command.spawn()).or_raise()?;
    Ok(Running {
        pid: running.pid(),
        state: Mutex::new(Some(running)),
    })
}

/// A command that runs.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Running {
    pid: u32,
    /// `None` once it has ended or was killed.
    state: Mutex<Option<vnet::Running>>,
}

type Outcome<'py> = (i32, Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>, f64);

#[pymethods]
impl Running {
    #[getter]
    fn pid(&self) -> u32 {
        self.pid
    }

    fn wait<'py>(&self, py: Python<'py>, text: bool) -> PyResult<Outcome<'py>> {
        loop {
            if let Some(completed) = py.detach(|| self.step(SLICE)).or_raise()? {
                return outcome(py, completed, text);
            }
            if let Err(interrupt) = py.check_signals() {
                py.detach(|| self.end());
                return Err(interrupt);
            }
        }
    }

    fn poll<'py>(&self, py: Python<'py>, timeout: f64, text: bool) -> PyResult<Option<Outcome<'py>>> {
        let timeout = seconds(timeout)?;
        let completed = py.detach(|| self.step(timeout)).or_raise()?;
        completed
            .map(|completed| outcome(py, completed, text))
            .transpose()
    }

    fn kill(&self, py: Python<'_>) {
        py.detach(|| self.end());
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, Option<vnet::Running>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, wait: Duration) -> Result<Option<Completed>, Error> {
        let mut state = self.lock();
        let running = state.as_mut().ok_or_else(|| Error::Closed {
            what: "the command".into(),
        })?;
        let answer = running.poll(wait);
        if !matches!(answer, Ok(None)) {
            *state = None;
        }
        answer
    }

    /// Kills it with everything it started.
    fn end(&self) {
        drop(self.lock().take());
    }
}

fn outcome(py: Python<'_>, completed: Completed, text: bool) -> PyResult<Outcome<'_>> {
    let output = |bytes: Option<Vec<u8>>| {
        bytes.map(|bytes| match text {
            true => PyString::new(py, &String::from_utf8_lossy(&bytes)).into_any(),
            false => PyBytes::new(py, &bytes).into_any(),
        })
    };
    let seconds = completed.duration.as_secs_f64();
    Ok((
        completed.returncode,
        output(completed.stdout),
        output(completed.stderr),
        seconds,
    ))
}

/// Says where vnet-helper lies.
#[pyfunction]
pub(crate) fn set_helper_path(path: PathBuf) {
    vnet::set_helper_path(path);
}
