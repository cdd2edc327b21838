//! Python callables that judge frames: the thread that calls them asks here for frames, and answers here.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use vnet::{Answer, FaultReport, Verdict};

use crate::convert::{Plugin, invalid, seconds};
use crate::error::OrRaise;

/// A frame on its way to Python: its number, octets, port, flags, and when the engine read it.
type Asked<'py> = (u64, Bound<'py, PyBytes>, u16, u16, u64);

/// The end at which a callable's frames are judged.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct Callout(vnet::Callable);

/// Has a plugin judged by a callable.
#[pyfunction]
pub(crate) fn callout(plugin: &Bound<'_, Plugin>) -> (Plugin, Callout) {
    let (plugin, callable) = vnet::Callable::of(plugin.get().0.clone());
    (Plugin(plugin), Callout(callable))
}

#[pymethods]
impl Callout {
    /// Waits for frames, at most `timeout` seconds; `None` once there will be no more.
    fn next<'py>(&self, py: Python<'py>, most: usize, timeout: f64) -> PyResult<Option<Vec<Asked<'py>>>> {
        let timeout = Some(seconds(timeout)?);
        let questions = py.detach(|| self.0.next(most, timeout)).or_raise()?;
        let asked = questions.map(|questions| {
            let tuple = |question: vnet::Question| {
                let bytes = PyBytes::new(py, &question.bytes);
                (
                    question.number,
                    bytes,
                    question.port,
                    question.flags,
                    question.ts_ns,
                )
            };
            questions.into_iter().map(tuple).collect()
        });
        Ok(asked)
    }

    /// Answers: `verdict` is pass, drop, redirect or tx.
    #[pyo3(signature = (number, verdict, took_ns, *, reason, port, data))]
    fn answer(
        &self,
        number: u64,
        verdict: &str,
        took_ns: u64,
        reason: Option<String>,
        port: u16,
        data: Option<Vec<u8>>,
    ) -> PyResult<()> {
        let verdict = match verdict {
            "pass" => Verdict::Pass,
            "drop" => Verdict::Drop(reason),
            "redirect" => Verdict::Redirect(port),
            "tx" => Verdict::SendBack,
            other => return Err(invalid(format!("{other:?} is not a verdict"))),
        };
        self.give(number, verdict, took_ns, data)
    }

    /// Answers that the callable failed.
    fn fail(
        &self,
        number: u64,
        took_ns: u64,
        message: String,
        traceback: String,
        hexdump: String,
    ) -> PyResult<()> {
        let report = FaultReport {
            kind: "exception".into(),
            message,
            backtrace: traceback,
            hexdump,
        };
        self.give(number, Verdict::Fault(report), took_ns, None)
    }

    fn is_settled(&self, number: u64) -> bool {
        self.0.is_settled(number)
    }

    fn close(&self) {
        self.0.close();
    }
}

impl Callout {
    fn give(&self, number: u64, verdict: Verdict, took_ns: u64, bytes: Option<Vec<u8>>) -> PyResult<()> {
        let took = Duration::from_nanos(took_ns);
        let answer = Answer {
            number,
            verdict,
            bytes,
            took,
        };
        self.0.answer(answer).or_raise()
    }
}
