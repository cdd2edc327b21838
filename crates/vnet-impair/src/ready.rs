//! An impairment made ready: checked, with its files read.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::fate::Table;
use crate::line::Trace;
use crate::{Discipline, Distribution, ImpairError, Impairment};

/// An impairment that a [`Line`](crate::Line) can run: checked, with its files read; cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    impairment: Impairment,
    table: Option<Arc<Table>>,
    trace: Option<Arc<Trace>>,
}

impl Impairment {
    /// Checks the impairment and reads its files through `read`.
    ///
    /// # Errors
    ///
    /// [`Impairment::check`] fails, or a file cannot be read or is malformed.
    pub fn ready(&self, read: &mut dyn FnMut(&Path) -> io::Result<String>) -> Result<Ready, ImpairError> {
        self.check()?;
        let table = match &self.distribution {
            Distribution::Table(path) => Some(load("distribution", path, read, Table::parse)?),
            _ => None,
        };
        let trace = match &self.trace {
            Some(path) => Some(load("trace", path, read, Trace::parse)?),
            None => None,
        };
        Ok(Ready {
            impairment: self.clone(),
            table,
            trace,
        })
    }
}

impl Ready {
    /// Returns what was declared.
    pub fn impairment(&self) -> &Impairment {
        &self.impairment
    }

    /// Says whether the line needs to know which frames know ECN, in [`Size::ect`](crate::Size::ect).
    pub fn marks(&self) -> bool {
        matches!(self.impairment.discipline, Discipline::CoDel { ecn: true, .. })
    }

    /// Says whether bits flip, so that frames must carry finished checksums.
    pub fn corrupts(&self) -> bool {
        !self.impairment.corrupt.is_none()
    }

    pub(crate) fn table(&self) -> Option<&Arc<Table>> {
        self.table.as_ref()
    }

    pub(crate) fn trace(&self) -> Option<&Arc<Trace>> {
        self.trace.as_ref()
    }
}

fn load<V, E: Display>(
    what: &'static str,
    path: &Path,
    read: &mut dyn FnMut(&Path) -> io::Result<String>,
    parse: impl FnOnce(&str) -> Result<V, E>,
) -> Result<Arc<V>, ImpairError> {
    let path = || path.to_owned();
    let text = read(&path()).map_err(|source| ImpairError::Unreadable {
        what,
        path: path(),
        source,
    })?;
    let value = parse(&text).map_err(|why| ImpairError::Malformed {
        what,
        path: path(),
        why: why.to_string(),
    })?;
    Ok(Arc::new(value))
}
