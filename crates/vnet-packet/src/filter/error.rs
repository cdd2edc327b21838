//! What can be wrong with a filter.

use core::fmt;
use core::ops::Range;
use std::format;
use std::string::String;

/// A text is no filter.
///
/// It prints as one line that names the word; [`pointed`](Self::pointed) shows the word in its filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    text: String,
    word: Range<usize>,
    what: String,
    hint: Option<String>,
}

impl FilterError {
    pub(super) fn new(text: &str, word: Range<usize>, what: impl Into<String>) -> FilterError {
        FilterError {
            text: text.into(),
            word,
            what: what.into(),
            hint: None,
        }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> FilterError {
        self.hint = Some(hint.into());
        self
    }

    /// Returns at which character the word starts, counted from 1.
    #[must_use]
    pub fn position(&self) -> usize {
        self.text[..self.word.start].chars().count() + 1
    }

    /// Returns what is wrong with the word, without the filter.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Returns what to write instead, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Returns the filter, and below it a line that marks the word.
    #[must_use]
    pub fn pointed(&self) -> String {
        let before = self.position() - 1;
        let marks = self.text[self.word.clone()].chars().count().max(1);
        format!("{}\n{:before$}{}", self.text, "", "^".repeat(marks))
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no filter: `{}`: at character {}: {}",
            self.text,
            self.position(),
            self.what
        )
    }
}

impl core::error::Error for FilterError {}
