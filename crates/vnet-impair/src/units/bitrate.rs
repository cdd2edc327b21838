//! Rates: tc's units in text (`bit` counts bits, `bps` counts bytes), bit/s as a number.

use super::decimal::{number_and_unit, quotient, scaled};
use crate::Given;

/// The fastest rate a key takes, in bit/s: far above any link, and below what the arithmetic could not hold.
pub(crate) const FASTEST: u64 = 100 * TERA;

const TERA: u64 = 1_000_000_000_000;
const FORM: &str = "a rate such as \"10mbit\", \"1gbit\", \"500kbit\", \"125kbps\" (bytes a second) or a number of bit/s, from 1";

/// Reads a rate into bit/s, or says what a rate looks like.
pub(crate) fn read_bitrate(given: Given<'_>) -> Result<u64, &'static str> {
    let bits = match given {
        Given::Integer(bits) => u64::try_from(bits).ok(),
        Given::Float(bits) => (0.0..=FASTEST as f64)
            .contains(&bits)
            .then(|| bits.round() as u64),
        Given::Text(text) => from_text(text.trim()),
    };
    bits.filter(|bits| (1..=FASTEST).contains(bits)).ok_or(FORM)
}

/// Writes bit/s in the largest SI unit that leaves a whole part.
pub(crate) fn write_bitrate(bits: u64) -> String {
    let (scale, unit) = match bits {
        TERA.. => (TERA, "tbit"),
        1_000_000_000.. => (1_000_000_000, "gbit"),
        1_000_000.. => (1_000_000, "mbit"),
        1_000.. => (1_000, "kbit"),
        _ => (1, "bit"),
    };
    quotient(bits, scale) + unit
}

fn from_text(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let unit = unit.to_ascii_lowercase();
    let (prefix, bits) = match (unit.strip_suffix("bit"), unit.strip_suffix("bps")) {
        (Some(prefix), _) => (prefix, 1),
        (_, Some(prefix)) => (prefix, 8),
        _ => return None,
    };
    let factor = match prefix {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "t" => TERA,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        "ti" => 1 << 40,
        _ => return None,
    };
    scaled(number, bits * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bits_and_bytes_a_second() {
        for (text, bits) in [
            ("8bit", 8),
            ("500kbit", 500_000),
            ("10mbit", 10_000_000),
            ("10Mbit", 10_000_000),
            ("1.5gbit", 1_500_000_000),
            ("1kibit", 1_024),
            ("1mbps", 8_000_000),
            ("2mibps", 16 << 20),
            ("1tbit", TERA),
        ] {
            assert_eq!(read_bitrate(Given::Text(text)), Ok(bits), "{text}");
        }
        assert_eq!(read_bitrate(Given::Integer(64_000)), Ok(64_000));
        assert_eq!(read_bitrate(Given::Float(1e6)), Ok(1_000_000));
    }

    #[test]
    fn refuses_other_units_and_nothing_at_all() {
        for text in [
            "10", "10mb", "10mb/s", "10m", "0bit", "-1bit", "1kkbit", "101tbit",
        ] {
            assert_eq!(read_bitrate(Given::Text(text)), Err(FORM), "{text}");
        }
        assert_eq!(read_bitrate(Given::Integer(0)), Err(FORM));
        assert_eq!(read_bitrate(Given::Float(f64::NAN)), Err(FORM));
    }

    #[test]
    fn writes_what_reads_back() {
        for (bits, text) in [
            (8, "8bit"),
            (1_024, "1.024kbit"),
            (10_000_000, "10mbit"),
            (2_500_000_000, "2.5gbit"),
        ] {
            assert_eq!(write_bitrate(bits), text);
            assert_eq!(read_bitrate(Given::Text(text)), Ok(bits));
        }
    }
}
