//! Just enough JSON to read a configuration: no allocation, no number but integers, no escapes.
//!
//! The host checks a configuration against the manifest's schema and writes it out well formed
//! before the plugin sees it, so this reader looks for values and proves nothing. Text that is
//! no JSON gives `None`.

/// One JSON value inside a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    pub(crate) fn new(text: &'a str) -> Value<'a> {
        Value(text.trim_ascii())
    }

    /// Returns the value as it is written.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.0
    }

    /// Returns an integer that fits 64 bits.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// Returns `true` or `false`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Returns a string; `None` for one with an escape (`\"`, `\\`, a control character).
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        (!inner.as_bytes().contains(&b'\\')).then_some(inner)
    }

    /// Returns an array's values, in order; none for any other value.
    #[must_use]
    pub fn items(&self) -> Items<'a> {
        Items {
            rest: body(self.0, '[', ']'),
        }
    }

    /// Returns an object's keys and values, in order; none for any other value.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        Entries {
            rest: body(self.0, '{', '}'),
        }
    }

    /// Returns the value of an object's key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.entries()
            .find(|(name, _)| name.as_str() == Some(key))
            .map(|(_, value)| value)
    }
}

/// The keys and values of an object.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (Value<'a>, Value<'a>);

    fn next(&mut self) -> Option<(Value<'a>, Value<'a>)> {
        let (name, after) = next(self.rest)?;
        let (value, after) = next(after.trim_ascii_start().strip_prefix(':')?)?;
        self.rest = after.trim_ascii_start().strip_prefix(',').unwrap_or_default();
        Some((Value(name), Value(value)))
    }
}

/// The values of an array.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (value, after) = next(self.rest)?;
        self.rest = after.trim_ascii_start().strip_prefix(',').unwrap_or_default();
        Some(Value(value))
    }
}

/// Returns what stands between an array's or object's brackets; nothing for another value.
fn body(text: &str, open: char, close: char) -> &str {
    text.strip_prefix(open)
        .and_then(|text| text.strip_suffix(close))
        .unwrap_or_default()
}

/// Splits the first value off a text.
fn next(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    let end = end_of_value(text.as_bytes())?;
    Some((text.get(..end)?, text.get(end..)?))
}

/// Returns where the value ends that starts the text.
fn end_of_value(text: &[u8]) -> Option<usize> {
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at + 1)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => {
                return (at > 0).then_some(at);
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
            return Some(at);
        }
    }
    (depth == 0 && at > 0).then_some(at)
}

/// Returns where the quotation mark stands that ends a string.
fn end_of_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const CONFIG: &str = r#" {"name" : "a, b: {c", "n":-12, "on": true,"nested":{"n":[1,{"n":2}],"on":false},
        "list":["10.0.0.1" , "fe80::1"], "empty": [], "quoted": "a\"b", "null": null} "#;

    #[test]
    fn finds_values_by_key() {
        let config = Value::new(CONFIG);
        assert_eq!(config.get("name").and_then(|v| v.as_str()), Some("a, b: {c"));
        assert_eq!(config.get("n").and_then(|v| v.as_int()), Some(-12));
        assert_eq!(config.get("on").and_then(|v| v.as_bool()), Some(true));
        assert_eq!(
            config.get("nested").and_then(|v| v.get("on")?.as_bool()),
            Some(false)
        );
        assert_eq!(config.get("null").map(|v| v.text()), Some("null"));
        assert_eq!(config.get("quoted").and_then(|v| v.as_str()), None);
        assert_eq!(config.get("absent"), None);
        let names = config.entries().filter_map(|(name, _)| name.as_str());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["name", "n", "on", "nested", "list", "empty", "quoted", "null"]
        );
    }

    #[test]
    fn walks_arrays() {
        let config = Value::new(CONFIG);
        let list: Vec<_> = config.get("list").into_iter().flat_map(|v| v.items()).collect();
        assert_eq!(
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>(),
            ["10.0.0.1", "fe80::1"]
        );
        assert_eq!(config.get("empty").map(|v| v.items().count()), Some(0));
        assert_eq!(config.get("n").map(|v| v.items().count()), Some(0));
        let nested: Vec<_> = config
            .get("nested")
            .and_then(|v| v.get("n"))
            .into_iter()
            .flat_map(|v| v.items())
            .collect();
        assert_eq!(nested[1].get("n").and_then(|v| v.as_int()), Some(2));
    }

    #[test]
    fn survives_every_cut_and_every_changed_byte() {
        for end in 0..CONFIG.len() {
            look_everywhere(&CONFIG[..end]);
        }
        for at in 0..CONFIG.len() {
            for byte in *b"{}[],:\"\\ 0" {
                let mut text = CONFIG.as_bytes().to_vec();
                text[at] = byte;
                look_everywhere(core::str::from_utf8(&text).expect("ASCII"));
            }
        }
    }

    fn look_everywhere(text: &str) {
        let config = Value::new(text);
        for key in ["name", "n", "nested", "list", "absent", "null"] {
            if let Some(value) = config.get(key) {
                let _ = (value.as_int(), value.as_bool(), value.as_str());
                assert!(value.items().count() <= text.len());
            }
        }
    }
}
