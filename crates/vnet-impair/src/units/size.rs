//! Sizes in bytes, with tc's units: its kilobyte has 1,024 bytes, and `kib` says the same without doubt.

use super::decimal::{number_and_unit, scaled};
use crate::Given;

/// The largest size a key takes, in bytes.
pub(crate) const LARGEST: u64 = 1 << 30;

/// Reads a size into bytes; `None` where it is none.
pub(crate) fn read_size(given: Given<'_>) -> Option<u64> {
    let bytes = match given {
        Given::Integer(bytes) => u64::try_from(bytes).ok(),
        Given::Float(_) => None,
        Given::Text(text) => from_text(text.trim()),
    };
    bytes.filter(|&bytes| bytes <= LARGEST)
}

/// Writes bytes in the largest unit that divides them.
pub(crate) fn write_size(bytes: u64) -> String {
    match bytes {
        1.. if bytes.is_multiple_of(1 << 20) => format!("{}mib", bytes >> 20),
        1.. if bytes.is_multiple_of(1 << 10) => format!("{}kib", bytes >> 10),
        _ => format!("{bytes}b"),
    }
}

/// Reads a size of memory or of a file, `4MiB` or plain bytes, up to 1 GiB; `None` where it is none.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let bytes = text.trim().parse().map(Given::Integer);
    read_size(bytes.unwrap_or(Given::Text(text)))
}

fn from_text(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "kbit" => 1 << 7,
        "mbit" => 1 << 17,
        _ => return None,
    };
    scaled(number, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tcs_sizes() {
        for (text, bytes) in [
            ("1500b", 1_500),
            ("30kb", 30_720),
            ("64kib", 65_536),
            ("1.5k", 1_536),
            ("2mb", 2 << 20),
            ("32kbit", 4_096),
        ] {
            assert_eq!(read_size(Given::Text(text)), Some(bytes), "{text}");
        }
        assert_eq!(read_size(Given::Integer(1_500)), Some(1_500));
    }

    #[test]
    fn refuses_what_is_no_size() {
        for text in ["1500", "10ms", "-1b", "2gib", ""] {
            assert_eq!(read_size(Given::Text(text)), None, "{text}");
        }
        assert_eq!(read_size(Given::Integer(-1)), None);
        assert_eq!(read_size(Given::Float(1.0)), None);
    }

    #[test]
    fn writes_what_reads_back() {
        for (bytes, text) in [(0, "0b"), (1_500, "1500b"), (30_720, "30kib"), (1 << 20, "1mib")] {
            assert_eq!(write_size(bytes), text);
            assert_eq!(read_size(Given::Text(text)), Some(bytes));
        }
    }
}
