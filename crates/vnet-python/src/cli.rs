//! The command line.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs one command line, program name first, and returns its exit code.
///
/// It takes over SIGINT and SIGTERM: nothing but the exit of the process should follow.
#[pyfunction]
pub(crate) fn cli_main(py: Python<'_>, args: Vec<OsString>) -> i32 {
    py.detach(|| vnet_cli::main(args))
}
