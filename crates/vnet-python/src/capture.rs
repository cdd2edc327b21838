//! Captures: where they go and what they take.

use std::os::fd::{BorrowedFd, RawFd};
use std::path::PathBuf;

use pyo3::prelude::*;
use vnet::{Output, RecordOptions, Rotate};

use crate::convert::invalid;
use crate::error::OrRaise;

/// Where a capture is written.
#[derive(FromPyObject)]
pub(crate) enum Target {
    Fd(RawFd),
    Path(PathBuf),
}

impl Target {
    pub(crate) fn output(self) -> PyResult<Output> {
        match self {
            Self::Path(path) => Ok(Output::File(path)),
            Self::Fd(fd) if fd < 0 => Err(invalid(format!("{fd} is not a file descriptor"))),
            Self::Fd(fd) => {
                // SAFETY: `fd` is not negative. It is only duplicated, by a call that answers EBADF when it is not open; the
                // borrow ends with this statement.
                let copy = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
                copy.map(Output::Stream)
                    .map_err(|error| invalid(format!("file descriptor {fd}: {error}")))
            }
        }
    }
}

/// What a capture takes.
#[pyclass(frozen, module = "vnet._vnet")]
pub(crate) struct CaptureOptions {
    filter: Option<String>,
    options: RecordOptions,
}

#[pymethods]
impl CaptureOptions {
    #[new]
    #[pyo3(signature = (filter, snaplen, dropped, stages, rotate, keep))]
    fn new(
        filter: Option<String>,
        snaplen: Option<u32>,
        dropped: bool,
        stages: bool,
        rotate: Option<&str>,
        keep: Option<usize>,
    ) -> PyResult<Self> {
        let begins = |text| {
            let what = || {
                invalid(format!(
                    "rotate={text:?} is neither a size such as \"10MB\" nor a time such as \"60s\""
                ))
            };
            Rotate::parse(text).ok_or_else(what)
        };
        let rotate = rotate.map(begins).transpose()?;
        if rotate.is_none() && keep.is_some() {
            return Err(invalid(
                "keep says how many rotated files stay; give rotate, too".to_owned(),
            ));
        }
        if keep == Some(0) || snaplen == Some(0) {
            return Err(invalid("keep and snaplen are at least 1".to_owned()));
        }
        Ok(Self {
            filter,
            options: RecordOptions {
                snaplen,
                filter: None,
                rotate,
                keep,
                dropped,
                stages,
            },
        })
    }
}

impl CaptureOptions {
    /// Returns them with a filter that knows the nodes of a network.
    pub(crate) fn for_network(&self, network: &vnet::Network) -> PyResult<RecordOptions> {
        let filter = self.filter.as_deref().map(|text| network.filter(text));
        self.filled(filter.transpose().or_raise()?)
    }

    /// Returns them with a filter that knows no names.
    pub(crate) fn for_device(&self) -> PyResult<RecordOptions> {
        let filter = self.filter.as_deref().map(vnet::capture_filter);
        self.filled(filter.transpose().or_raise()?)
    }

    fn filled(&self, filter: Option<vnet::Filter>) -> PyResult<RecordOptions> {
        Ok(RecordOptions {
            filter,
            ..self.options.clone()
        })
    }
}
