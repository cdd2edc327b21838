//! How a user wrote a value, and the error that shows the right form.

use std::fmt;

/// A value as a user wrote it, from Python, a lab file or a command line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Given<'a> {
    /// A whole number: its unit is the key's own.
    Integer(i128),
    /// A number: its unit is the key's own.
    Float(f64),
    /// A text, which names its unit.
    Text(&'a str),
}

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Integer(value) => value.fmt(f),
            Given::Float(value) => value.fmt(f),
            Given::Text(text) if text.trim().is_empty() => write!(f, "{text:?}"),
            Given::Text(text) => f.write_str(text),
        }
    }
}

/// A value, or a combination of them, that an impairment cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found}, expected {expected}")]
pub struct ReadError {
    /// What was found, such as `delay is 10 meters`.
    pub found: String,
    /// What is right in its place, with an example.
    pub expected: String,
}

impl ReadError {
    pub(crate) fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        ReadError {
            found: found.into(),
            expected: expected.into(),
        }
    }
}
