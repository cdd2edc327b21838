//! Why an impairment cannot be made ready.

use std::io;
use std::path::PathBuf;

use crate::ReadError;

/// Why an impairment cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ImpairError {
    /// A value is wrong, or two do not go together.
    #[error(transparent)]
    Value(#[from] ReadError),
    /// A file cannot be read.
    #[error("cannot read the {what} {}: {source}", path.display())]
    Unreadable {
        /// What the file should hold: `trace` or `distribution`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("the {what} {} is not right: {why}", path.display())]
    Malformed {
        /// What the file should hold: `trace` or `distribution`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        why: String,
    },
}
