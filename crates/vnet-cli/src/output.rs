//! Standard output for data, standard error for people, colour only where somebody sees it.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;
use crate::live::Above;

/// Writes text to standard output as it is.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Writes bytes to standard output as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}

/// Writes one JSON document and a newline to standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::Output(e.into()))?;
    data(&format!("{text}\n"))
}

/// Writes one line for a person to standard error.
pub(crate) fn note(text: &str) {
    // Nobody reads it where standard error is closed, and there is no better place to complain.
    let _ = Above.write_all(format!("{text}\n").as_bytes());
}

/// Writes a failure, and what to do about it, to standard error.
pub(crate) fn error(failure: &Failure) {
    if failure.is_closed_pipe() {
        return;
    }
    note(&format!("{} {failure}", Paint::stderr().red("error:")));
    if let Some(hint) = failure.hint() {
        note(&format!("{} {hint}", Paint::stderr().bold("hint:")));
    }
}

/// Decides whether a stream gets colour, and gives it.
#[derive(Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Judges standard output.
    pub fn stdout() -> Self {
        Self(wanted(io::stdout().is_terminal()))
    }

    /// Judges standard error.
    pub fn stderr() -> Self {
        Self(wanted(io::stderr().is_terminal()))
    }

    /// Gives no colour.
    pub fn plain() -> Self {
        Self(false)
    }

    /// Says whether there is colour at all.
    pub fn is_on(self) -> bool {
        self.0
    }

    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub fn red(self, text: &str) -> String {
        self.with("1;31", text)
    }

    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Follows the conventions of NO_COLOR (any value but an empty one) and of a terminal that says it is dumb.
fn wanted(terminal: bool) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    terminal && !no_color && !dumb
}
