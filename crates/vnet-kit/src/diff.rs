//! What is different between two frames, in the words of their headers.

use serde::Serialize;
use vnet_packet::Layer;

use crate::fields::{Field, fields, hex};

/// Bytes of a payload that are shown from its first difference on.
const SHOWN: usize = 16;

/// One thing in which a frame is not as it was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The field: `ipv4.ttl`, `payload`, `verdict`.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl Difference {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "texts and numbers are handed over alike"
    )]
    pub(crate) fn new(field: impl Into<String>, expected: impl ToString, found: impl ToString) -> Difference {
        Difference {
            field: field.into(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}

const ABSENT: &str = "-";

/// Returns every header field, and the first bytes of the payload, in which two frames differ; nothing where they are equal.
pub(crate) fn diff(expected: &[u8], found: &[u8], layer: Layer) -> Vec<Difference> {
    if expected == found {
        return Vec::new();
    }
    let (wanted, wanted_payload) = fields(expected, layer);
    let (got, got_payload) = fields(found, layer);
    let mut differences = Vec::new();
    // Headers that both have stand beside each other; a second VLAN tag is not confused with the first.
    let mut used = vec![false; got.len()];
    for Field { name, value } in &wanted {
        let same = got
            .iter()
            .enumerate()
            .find(|(i, field)| !used[*i] && field.name == *name);
        match same {
            Some((i, field)) => {
                used[i] = true;
                if field.value != *value {
                    differences.push(Difference::new(name, value, &field.value));
                }
            }
            None => differences.push(Difference::new(name, value, ABSENT)),
        }
    }
    for (field, used) in got.iter().zip(used) {
        if !used {
            differences.push(Difference::new(&field.name, ABSENT, &field.value));
        }
    }
    payload(wanted_payload, got_payload, &mut differences);
    if expected.len() != found.len() {
        differences.push(Difference::new("length", expected.len(), found.len()));
    } else if differences.is_empty() {
        // In bits that no field shows.
        let at = (0..expected.len())
            .find(|i| expected[*i] != found[*i])
            .unwrap_or(0);
        differences.push(Difference::new(
            format!("byte {at}"),
            hex(&expected[at..=at]),
            hex(&found[at..=at]),
        ));
    }
    differences
}

fn payload(expected: &[u8], found: &[u8], differences: &mut Vec<Difference>) {
    if expected == found {
        return;
    }
    let at = expected
        .iter()
        .zip(found)
        .position(|(a, b)| a != b)
        .unwrap_or(expected.len().min(found.len()));
    let shown = |bytes: &[u8]| match &bytes[at..] {
        [] => "(ends)".to_owned(),
        rest => {
            let (shown, dots) = match rest.get(..SHOWN) {
                Some(first) if rest.len() > SHOWN => (first, "..."),
                _ => (rest, ""),
            };
            // A text is read more easily than its bytes.
            match std::str::from_utf8(shown) {
                Ok(text) if !text.contains(char::is_control) => format!("{text:?}{dots}"),
                _ => hex(shown) + dots,
            }
        }
    };
    differences.push(Difference::new(
        format!("payload from byte {at}"),
        shown(expected),
        shown(found),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameSpec;

    fn frame(json: &str) -> Vec<u8> {
        serde_json::from_str::<FrameSpec>(json).unwrap().bytes().unwrap()
    }

    #[test]
    fn names_the_fields_that_differ_and_no_others() {
        let a = frame(r#"{"eth": {}, "ipv4": {"ttl": 64}, "udp": {"dst": 53}, "payload": "hello"}"#);
        let b = frame(r#"{"eth": {}, "ipv4": {"ttl": 63}, "udp": {"dst": 53}, "payload": "hallo"}"#);
        let found: Vec<_> = diff(&a, &b, Layer::L2).into_iter().map(|d| d.field).collect();
        assert_eq!(
            found,
            ["ipv4.ttl", "ipv4.checksum", "udp.checksum", "payload from byte 1"]
        );
        assert_eq!(diff(&a, &a, Layer::L2), []);
    }

    #[test]
    fn a_header_too_many_is_named() {
        let a = frame(r#"{"eth": {}, "ipv4": {}, "udp": {}}"#);
        let b = frame(r#"{"eth": {}, "vlan": [{"id": 7}], "ipv4": {}, "udp": {}}"#);
        let found = diff(&a, &b, Layer::L2);
        assert!(found.contains(&Difference::new("vlan.id", "-", "7")), "{found:?}");
        assert!(found.contains(&Difference::new("length", 42, 46)), "{found:?}");
    }
}
