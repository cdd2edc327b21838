//! How a command fails, and which exit code says so.

use std::io;
use std::path::PathBuf;

use vnet::ErrorKind;

/// Numbers of errno-base.h: what exec answers for a file that is no program.
const ENOEXEC: i32 = 8;
const EACCES: i32 = 13;

/// Says why a command ended without doing its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The library refused or failed.
    #[error(transparent)]
    Vnet(#[from] vnet::Error),
    /// The command to run did not start; a shell has exit codes of its own for that.
    #[error(transparent)]
    NotRun(vnet::Error),
    /// A command that checks something found it wanting.
    #[error("{what}")]
    Check {
        /// What does not hold.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// A file cannot be written.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel refused something the command line itself needs.
    #[error("cannot {what}: {source}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Failure {
    /// Makes a failed check.
    pub fn check(what: impl Into<String>, hint: Option<&str>) -> Self {
        Failure::Check {
            what: what.into(),
            hint: hint.map(Into::into),
        }
    }

    /// Says that a command to run did not start.
    pub fn not_run(error: vnet::Error) -> Self {
        Failure::NotRun(error)
    }

    /// Says that something a user named does not exist.
    pub fn not_found(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::Vnet(vnet::Error::NotFound {
            what: what.into(),
            hint: Some(hint.into()),
        })
    }

    /// Tells that whoever read standard output has gone away, which is nobody's mistake.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Output(source) if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Returns what to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Failure::Vnet(error) | Failure::NotRun(error) => error.hint(),
            Failure::Check { hint, .. } => hint.as_deref(),
            Failure::Output(_) | Failure::File { .. } | Failure::Os { .. } => None,
        }
    }

    /// Returns the exit code of the process.
    pub fn exit_code(&self) -> i32 {
        match self {
            Failure::Vnet(error) => error.exit_code().into(),
            // As POSIX has it for shells: not found, found but not executable.
            Failure::NotRun(error) => match (error.kind(), error.errno()) {
                (ErrorKind::NotFound, _) => 127,
                (_, Some(EACCES | ENOEXEC)) => 126,
                _ => error.exit_code().into(),
            },
            Failure::Check { .. } => 5,
            // As if SIGPIPE had ended the process, which is what a shell expects of a program in a pipe.
            Failure::Output(_) if self.is_closed_pipe() => 128 + 13,
            Failure::Output(_) | Failure::File { .. } | Failure::Os { .. } => 1,
        }
    }
}
