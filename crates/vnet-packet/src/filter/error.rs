//! What can be wrong with a filter.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::ops::Range;

/// A text is no filter.
///
/// It prints as one line that names the word, and a long text as the part that [`pointed`](Self::pointed) shows below that line.
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

    /// Returns at which character of the whole text the word starts, counted from 1.
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

    /// Returns the line of the filter that has the word, and below it a line that marks the word; of a long line the part around
    /// it.
    #[must_use]
    pub fn pointed(&self) -> String {
        /// Characters on either side of the word's start.
        const AROUND: usize = 60;
        let (start, line) = self.line();
        let line = line.trim_end();
        let at = self.text[start..self.word.start].chars().count();
        let end = self.word.end.min(start + line.len());
        let marks = self.text[self.word.start..end].chars().count();
        let first = at.saturating_sub(AROUND);
        let cut = if first > 0 { "… " } else { "" };
        // A tab would move the marks.
        let shown = line.chars().skip(first).take(2 * AROUND);
        let shown: String = shown.map(|c| if c.is_control() { ' ' } else { c }).collect();
        let before = cut.chars().count() + at - first;
        format!(
            "{cut}{shown}\n{:before$}{}",
            "",
            "^".repeat(marks.clamp(1, AROUND))
        )
    }

    /// Returns where the word's line begins, and that line.
    fn line(&self) -> (usize, &str) {
        let start = self.text[..self.word.start].rfind('\n').map_or(0, |at| at + 1);
        (start, self.text[start..].lines().next().unwrap_or_default())
    }

    /// Returns in words where the word starts, with the line where the text has several.
    #[must_use]
    pub fn place(&self) -> String {
        let before = &self.text[..self.word.start];
        let character = self.text[self.line().0..self.word.start].chars().count() + 1;
        if self.text.contains('\n') {
            let line = before.matches('\n').count() + 1;
            format!("line {line}, character {character}")
        } else {
            format!("character {character}")
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Most bytes of a text that is shown within a sentence.
        const SHORT: usize = 120;
        let (place, what) = (self.place(), &self.what);
        if self.text.len() <= SHORT && !self.text.contains('\n') {
            write!(f, "no filter: `{}`: at {place}: {what}", self.text)
        } else {
            write!(f, "no filter: at {place}: {what}\n{}", self.pointed())
        }
    }
}

impl core::error::Error for FilterError {}
