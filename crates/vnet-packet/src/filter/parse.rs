//! The grammar of filters: primitives joined by `and`, `or`, `not` and parentheses.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::{IntoIter, Vec};
use core::iter::Peekable;
use core::ops::Range;

use super::expr::{Expr, Join};
use super::primitive::Qualifiers;
use super::words::{Word, words};
use super::{FilterError, Names, known};

/// Parentheses in parentheses; more would only serve to exhaust the stack.
const DEPTH_MAX: usize = 50;

/// A filter that was read.
pub(super) struct Read {
    /// `None` where the text is empty.
    pub expr: Option<Expr>,
    /// Where names stand in the text, and what says the same without them.
    pub named: Vec<(Range<usize>, String)>,
}

pub(super) fn filter(text: &str, names: &dyn Names) -> Result<Read, FilterError> {
    let mut parser = Parser {
        text,
        words: words(text)?.into_iter().peekable(),
        names,
        named: Vec::new(),
        last: None,
        depth: 0,
    };
    if parser.words.peek().is_none() {
        return Ok(Read {
            expr: None,
            named: parser.named,
        });
    }
    let expr = parser.chain()?;
    match parser.words.next() {
        None => Ok(Read {
            expr: Some(expr),
            named: parser.named,
        }),
        Some(word) if word.text == ")" => Err(parser.error(&word.at, "`)` closes no parenthesis")),
        Some(word) => Err(parser
            .error(&word.at, format!("`{}` follows a whole condition", word.text))
            .with_hint(format!("join conditions: `… and {0}` or `… or {0}`", word.text))),
    }
}

pub(super) struct Parser<'t, 'n> {
    pub text: &'t str,
    pub words: Peekable<IntoIter<Word<'t>>>,
    pub names: &'n dyn Names,
    pub named: Vec<(Range<usize>, String)>,
    /// The words before the last address, net or port, which the next one takes too where it has none.
    pub last: Option<Qualifiers>,
    depth: usize,
}

impl<'t> Parser<'t, '_> {
    pub fn error(&self, at: &Range<usize>, what: impl Into<String>) -> FilterError {
        FilterError::new(self.text, at.clone(), what)
    }

    /// Returns the word that must come next, or says what is missing.
    pub fn need(&mut self, what: &str, example: &str) -> Result<Word<'t>, FilterError> {
        self.words.next().ok_or_else(|| {
            let end = self.text.trim_end().len();
            self.error(&(end..end), format!("the filter ends where {what} is expected"))
                .with_hint(format!("for example `{example}`"))
        })
    }

    pub fn next_is(&mut self, texts: &[&str]) -> bool {
        self.words
            .peek()
            .is_some_and(|word| !word.escaped && texts.contains(&word.text))
    }

    /// Takes the next word where it is this one.
    pub fn take(&mut self, text: &str) -> bool {
        self.words
            .next_if(|word| !word.escaped && word.text == text)
            .is_some()
    }

    fn chain(&mut self) -> Result<Expr, FilterError> {
        let first = self.term()?;
        let mut rest = Vec::new();
        loop {
            let join = if self.take("and") {
                Join::And
            } else if self.take("or") {
                Join::Or
            } else {
                break;
            };
            rest.push((join, self.term()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expr::Chain(Box::new(first), rest))
    }

    fn term(&mut self) -> Result<Expr, FilterError> {
        let mut negated = false;
        while self.take("not") {
            negated = !negated;
        }
        let inner = match self.words.next_if(|word| word.text == "(") {
            Some(open) => self.parenthesis(&open, Parser::chain)?,
            None => self.primitive()?,
        };
        Ok(if negated {
            Expr::Not(Box::new(inner))
        } else {
            inner
        })
    }

    pub fn parenthesis(
        &mut self,
        open: &Word<'_>,
        inner: fn(&mut Self) -> Result<Expr, FilterError>,
    ) -> Result<Expr, FilterError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(
                &open.at,
                format!("more than {DEPTH_MAX} parentheses in each other"),
            ));
        }
        let expr = inner(self)?;
        if !self.take(")") {
            return Err(match self.words.next() {
                None => self.error(&open.at, "this parenthesis is not closed"),
                Some(word) => self.error(
                    &word.at,
                    format!("`{}` stands where `)`, `and` or `or` is expected", word.text),
                ),
            });
        }
        self.depth -= 1;
        Ok(expr)
    }

    /// Takes note of what a name stands for.
    pub fn stands_for<T: ToString>(&mut self, word: &Word<'_>, found: &[T]) {
        let each: Vec<String> = found.iter().map(ToString::to_string).collect();
        let text = match each.as_slice() {
            [one] => one.clone(),
            several => format!("({})", several.join(" or ")),
        };
        self.named.push((word.at.clone(), text));
    }

    /// Says that a word is none of the language's, and which it may have been meant to be.
    pub fn unknown(&self, word: &Word<'_>) -> FilterError {
        let names = self.names.all();
        let near = known::near(word.text, &names);
        let (what, example) = if names.is_empty() {
            ("no word of the filter language", "10.0.0.1")
        } else {
            (
                "neither a word of the filter language nor the name of a node",
                "h1",
            )
        };
        let error = self.error(&word.at, format!("`{}` is {what}", word.text));
        match near.as_slice() {
            [] => error.with_hint(format!("write for example `host {example} and tcp port 80`")),
            [one] => error.with_hint(format!("did you mean `{one}`?")),
            [one, other, ..] => error.with_hint(format!("did you mean `{one}` or `{other}`?")),
        }
    }
}
