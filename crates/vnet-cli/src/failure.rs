//! How a command fails, and which exit code says so.

use std::io;

/// Says why a command ended without doing its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The library refused or failed.
    #[error(transparent)]
    Vnet(#[from] vnet::Error),
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

    /// Tells that whoever read standard output has gone away, which is nobody's mistake.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Output(source) if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Returns what to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Failure::Vnet(error) => error.hint(),
            Failure::Check { hint, .. } => hint.as_deref(),
            Failure::Output(_) | Failure::Os { .. } => None,
        }
    }

    /// Returns the exit code of the process.
    pub fn exit_code(&self) -> i32 {
        match self {
            Failure::Vnet(error) => error.exit_code().into(),
            Failure::Check { .. } => 5,
            // As if SIGPIPE had ended the process, which is what a shell expects of a program in a pipe.
            Failure::Output(_) if self.is_closed_pipe() => 128 + 13,
            Failure::Output(_) | Failure::Os { .. } => 1,
        }
    }
}
