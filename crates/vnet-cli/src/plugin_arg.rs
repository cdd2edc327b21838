//! `--plugin FILE[:key=val,...]`: where the file's name ends and its options begin.
//!
//! The options begin after the first `:` that stands directly before a `key=`, so a path may contain colons; a text that
//! is the path of an existing file is that file, whatever it contains. A comma ends a value only before the next `key=`,
//! so a value may contain colons and commas (`icmp_echo:address=fd00::1`, `acl:ports=22,80`). A key is a letter or `_`, then
//! letters, digits, `_` and `-`. The plugin's own schema decides a value's type when the plugin is loaded.

use std::path::Path;

use vnet::{Config, Plugin};

/// Reads one `--plugin` argument.
///
/// # Errors
/// A sentence that says what is missing.
pub(crate) fn parse(text: &str) -> Result<Plugin, String> {
    let (source, options) = if Path::new(text).is_file() {
        (text, "")
    } else {
        split(text)
    };
    if source.is_empty() {
        return Err(
            "it names no file: write FILE[:key=val,...], for example drop_bcast or ./my.wasm:ttl=3".into(),
        );
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for piece in pieces(options) {
        let Some((key, value)) = key_value(piece) else {
            return Err(format!("{piece:?} is not key=val"));
        };
        if pairs.iter().any(|(known, _)| known == key) {
            return Err(format!("the option {key:?} is given twice"));
        }
        pairs.push((key.to_owned(), value.to_owned()));
    }
    Ok(Plugin {
        config: Config::Text(pairs),
        ..Plugin::new(source)
    })
}

/// Splits at the first `:` that a `key=` follows.
fn split(text: &str) -> (&str, &str) {
    text.match_indices(':')
        .map(|(at, _)| (&text[..at], &text[at + 1..]))
        .find(|(_, rest)| key_value(rest).is_some())
        .unwrap_or((text, ""))
}

/// Splits at each comma that a `key=` follows.
fn pieces(options: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, _) in options.match_indices(',') {
        if key_value(&options[at + 1..]).is_some() {
            pieces.push(&options[start..at]);
            start = at + 1;
        }
    }
    if !options.is_empty() {
        pieces.push(&options[start..]);
    }
    pieces
}

/// Splits at the first `=` if a key stands before it.
fn key_value(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let mut letters = key.chars();
    let starts = letters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let goes_on = letters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    (starts && goes_on).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, Vec<(String, String)>) {
        let plugin = parse(text).expect(text);
        match plugin.config {
            Config::Text(pairs) => (plugin.source, pairs),
            Config::Json(value) => panic!("a JSON config: {value}"),
        }
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn takes_a_name_without_options_whole() {
        assert_eq!(read("drop_bcast"), ("drop_bcast".into(), vec![]));
        assert_eq!(read("./dir/x.wasm"), ("./dir/x.wasm".into(), vec![]));
    }

    #[test]
    fn splits_options_at_commas() {
        assert_eq!(
            read("p.wasm:a=1,b-c=x"),
            ("p.wasm".into(), vec![pair("a", "1"), pair("b-c", "x")])
        );
    }

    #[test]
    fn a_value_may_hold_colons_and_commas() {
        assert_eq!(
            read("icmp_echo:address=fd00::1"),
            ("icmp_echo".into(), vec![pair("address", "fd00::1")])
        );
        assert_eq!(
            read("p:ports=22,80,x=1"),
            ("p".into(), vec![pair("ports", "22,80"), pair("x", "1")])
        );
        assert_eq!(read("p:expr=a==b"), ("p".into(), vec![pair("expr", "a==b")]));
    }

    #[test]
    fn a_path_may_hold_colons() {
        assert_eq!(
            read("/a:b/c.wasm:k=v"),
            ("/a:b/c.wasm".into(), vec![pair("k", "v")])
        );
        assert_eq!(read("/a:b/c.wasm"), ("/a:b/c.wasm".into(), vec![]));
    }

    #[test]
    fn refuses_what_names_no_file_and_a_key_given_twice() {
        assert!(parse("").expect_err("refused").contains("names no file"));
        assert!(parse(":k=v").expect_err("refused").contains("names no file"));
        assert!(parse("p:k=1,k=2").expect_err("refused").contains("twice"));
    }
}
