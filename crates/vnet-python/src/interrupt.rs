//! Ctrl-C while Rust waits.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use vnet::{Cancel, Error};

use crate::error::OrRaise;

/// Lets other Python threads run while `work` waits, and ends it when a signal handler of Python raises: that exception is
/// raised then. `work` asks at least every 50 ms.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(Cancel<'_>) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let interrupt = Mutex::new(None);
    let result = py.detach(|| {
        let cancel = || {
            let mut interrupt = interrupt.lock().unwrap_or_else(PoisonError::into_inner);
            if interrupt.is_none() {
                *interrupt = Python::attach(|py| py.check_signals()).err();
            }
            interrupt.is_some()
        };
        work(&cancel)
    });
    match interrupt.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(interrupt) => Err(interrupt),
        None => result.or_raise(),
    }
}
