//! A filter's text cut into words.

use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;

use super::FilterError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word<'t> {
    pub text: &'t str,
    pub at: Range<usize>,
    /// A backslash stood before it: it is a name even where it reads as a keyword.
    pub escaped: bool,
}

/// More words are a mistake, not a filter.
const WORDS_MAX: usize = 10_000;

/// Cuts a text at blanks and around parentheses and operators, each of which becomes a word of its own: `&&` as `and`,
/// `||` as `or`, `!` as `not`.
pub(super) fn words(text: &str) -> Result<Vec<Word<'_>>, FilterError> {
    let mut found = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, letter)) = rest.next() {
        let mut word = |word, end| {
            found.push(Word {
                text: word,
                at: start..end,
                escaped: false,
            });
        };
        match letter {
            _ if letter.is_whitespace() => {}
            '(' => word("(", start + 1),
            ')' => word(")", start + 1),
            '&' | '|' => {
                let doubled = rest.next_if(|&(_, next)| next == letter).is_some();
                if !doubled {
                    return Err(arithmetic(text, start, letter));
                }
                word(if letter == '&' { "and" } else { "or" }, start + 2);
            }
            '!' if rest.peek().is_none_or(|&(_, next)| next != '=') => word("not", start + 1),
            '[' | ']' | '=' | '<' | '>' | '!' | '+' | '*' => return Err(arithmetic(text, start, letter)),
            _ => {
                let mut end = start + letter.len_utf8();
                while let Some((at, next)) =
                    rest.next_if(|&(_, next)| !next.is_whitespace() && !"()&|![]=<>+*".contains(next))
                {
                    end = at + next.len_utf8();
                }
                let escaped = letter == '\\';
                found.push(Word {
                    text: &text[start + usize::from(escaped)..end],
                    at: start..end,
                    escaped,
                });
            }
        }
        if found.len() > WORDS_MAX {
            let what = format!("a filter has at most {WORDS_MAX} words");
            return Err(FilterError::new(text, start..text.len(), what));
        }
    }
    Ok(found)
}

fn arithmetic(text: &str, at: usize, letter: char) -> FilterError {
    let what = format!("`{letter}`: arithmetic on bytes and lengths is not part of these filters");
    let hint = match letter {
        '[' | ']' => {
            "capture by `tcp`, `port` and `host`, and choose by flags in what was captured (Wireshark, Scapy)"
        }
        '<' | '>' => "write `less 100` or `greater 100` for the length of a frame",
        '=' => "write `port 80`, not `port = 80`",
        '&' => "write `and` or `&&`",
        '|' => "write `or` or `||`",
        _ => "filters are made of words such as `host`, `port`, `and`, `not`",
    };
    FilterError::new(text, at..at + letter.len_utf8(), what).with_hint(hint)
}
