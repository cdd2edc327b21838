//! Chances: percent in text, 0 to 1 as a number.

use super::decimal::number_and_unit;
use crate::Given;

/// Says whether a number is a probability.
pub(crate) fn is_chance(p: f64) -> bool {
    (0.0..=1.0).contains(&p)
}

/// Reads a chance; `None` where it is none, which includes text without its percent sign.
pub(crate) fn read_chance(given: Given<'_>) -> Option<f64> {
    match given {
        Given::Integer(whole @ (0 | 1)) => Some(whole as f64),
        Given::Integer(_) => None,
        Given::Float(p) => is_chance(p).then_some(p),
        Given::Text(text) => read_percent(text.trim()),
    }
}

/// Reads `"12.5%"` as 0.125, rounded once, so that it equals the number 0.125.
pub(crate) fn read_percent(text: &str) -> Option<f64> {
    let (number, "%") = number_and_unit(text)? else {
        return None;
    };
    let p = format!("{number}e-2").parse().ok()?;
    is_chance(p).then_some(p)
}

/// Writes a chance as the percentage that reads back as the very same number.
pub(crate) fn write_percent(p: f64) -> String {
    let shortest = format!("{p:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let point = whole.len() as i32 + exponent.parse().unwrap_or(0) + 2;
    if point <= 0 {
        digits.insert_str(0, &"0".repeat(1 + point.unsigned_abs() as usize));
        digits.insert(1, '.');
    } else if point as usize >= digits.len() {
        digits.push_str(&"0".repeat(point as usize - digits.len()));
    } else {
        digits.insert(point as usize, '.');
    }
    // The zero of nothing at all needs no place value.
    if p == 0.0 { "0%".to_owned() } else { digits + "%" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_percent_and_numbers_alike() {
        for (text, p) in [
            ("1%", 0.01),
            ("7%", 0.07),
            ("0.1%", 0.001),
            ("100%", 1.0),
            ("12.5 %", 0.125),
            ("0%", 0.0),
        ] {
            assert_eq!(read_chance(Given::Text(text)), Some(p), "{text}");
            assert_eq!(read_chance(Given::Float(p)), Some(p));
        }
        assert_eq!(read_chance(Given::Integer(1)), Some(1.0));
    }

    #[test]
    fn refuses_text_without_a_sign_and_numbers_outside() {
        for text in ["1", "0.01", "101%", "-1%", "%", "1 percent", "nan%"] {
            assert_eq!(read_chance(Given::Text(text)), None, "{text}");
        }
        for p in [-0.01, 1.01, f64::NAN] {
            assert_eq!(read_chance(Given::Float(p)), None, "{p}");
        }
        assert_eq!(read_chance(Given::Integer(2)), None);
    }

    #[test]
    fn writes_what_reads_back() {
        for (p, text) in [
            (0.0, "0%"),
            (1.0, "100%"),
            (0.07, "7%"),
            (0.125, "12.5%"),
            (0.001, "0.1%"),
            (0.1, "10%"),
            (1e-9, "0.0000001%"),
            (1.0 / 3.0, "33.33333333333333%"),
        ] {
            assert_eq!(write_percent(p), text);
            assert_eq!(read_percent(text), Some(p));
        }
    }
}
