//! The items of a configuration's lists, in words.

use std::collections::BTreeMap;

use serde_json::Value;

/// Most characters of an item.
const LONGEST: usize = 120;

/// Returns the items of the lists of a configuration, each under the list's name without its last letter, and its place:
/// `rule_0` for the first of `rules`.
pub(crate) fn in_words(json: &str) -> BTreeMap<String, String> {
    let Ok(Value::Object(config)) = serde_json::from_str(json) else {
        return BTreeMap::new();
    };
    let lists = config
        .iter()
        .filter_map(|(key, value)| key.strip_suffix('s').zip(value.as_array()));
    let items = lists.flat_map(|(name, list)| {
        let items = list.iter().enumerate();
        items.map(move |(at, item)| (format!("{name}_{at}"), words(item)))
    });
    items.collect()
}

/// Writes an item: what are words first, then the rest with its keys.
fn words(item: &Value) -> String {
    let text = match item {
        Value::Object(fields) => {
            let word = |value: &Value| value.as_str().filter(|text| is_word(text)).map(str::to_owned);
            let pair = |(key, value): (&String, &Value)| match word(value) {
                Some(_) => None,
                None => Some(format!("{key} {}", plain(value))),
            };
            let parts: Vec<String> = fields
                .values()
                .filter_map(word)
                .chain(fields.iter().filter_map(pair))
                .collect();
            parts.join(" ")
        }
        other => plain(other),
    };
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}\u{2026}", &text[..cut]),
        None => text,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_told_in_words() {
        let json = r#"{"default": "permit", "rules": [
            {"action": "deny", "protocol": "tcp", "dport": 22, "src": "10.0.0.0/8"},
            {"action": "permit", "dport": "1-1023", "protocol": "udp"}], "names": ["example.com"], "left": [1]}"#;
        let items = in_words(json);
        let of = |name: &str| items.get(name).map(String::as_str);
        assert_eq!(of("rule_0"), Some("deny tcp dport 22 src 10.0.0.0/8"));
        assert_eq!(of("rule_1"), Some("permit udp dport 1-1023"));
        assert_eq!(of("name_0"), Some("example.com"));
        assert_eq!((of("rule_2"), of("lef_0"), items.len()), (None, None, 3));
        assert_eq!(in_words("{}").len(), 0);
        let long = in_words(&format!(r#"{{"xs": ["{}"]}}"#, "\u{e9}".repeat(500)));
        assert_eq!(long["x_0"].chars().count(), LONGEST + 1);
    }
}
