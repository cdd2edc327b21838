//! Decimal numbers in text, exact in integers, so that what is written reads back as the same value.

/// Splits `"1.5ms"` into `"1.5"` and `"ms"`; `None` where no plain decimal number begins the text.
pub(crate) fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let is_number = number.bytes().any(|b| b.is_ascii_digit()) && number.matches('.').count() <= 1;
    is_number.then(|| (number, unit.trim_start()))
}

/// Returns `number * scale` rounded to the nearest integer; `None` where it does not fit.
pub(super) fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let mantissa: u128 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    let divisor = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let product = mantissa.checked_mul(u128::from(scale))?;
    u64::try_from(product.checked_add(divisor / 2)? / divisor).ok()
}

/// Writes `value / scale` as an exact decimal, where `scale` is a power of ten.
pub(super) fn quotient(value: u64, scale: u64) -> String {
    let (whole, rest) = (value / scale, value % scale);
    if rest == 0 {
        return whole.to_string();
    }
    let places = scale.ilog10() as usize;
    format!("{whole}.{}", format!("{rest:0places$}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_exactly_and_rounds_to_the_nearest() {
        assert_eq!(scaled("1.5", 1_000), Some(1_500));
        assert_eq!(scaled(".25", 1_000_000_000), Some(250_000_000));
        assert_eq!(scaled("0.0000000015", 1_000_000_000), Some(2));
        assert_eq!(scaled("99999999999999999999999", 1_000), None);
        assert_eq!(scaled(&"9".repeat(60), 1), None);
    }

    #[test]
    fn splits_only_plain_numbers() {
        assert_eq!(number_and_unit("10 ms"), Some(("10", "ms")));
        assert_eq!(number_and_unit("1e3ms"), Some(("1", "e3ms")));
        assert_eq!(number_and_unit("1.2.3s"), None);
        assert_eq!(number_and_unit("ms"), None);
        assert_eq!(number_and_unit("-1ms"), None);
        assert_eq!(number_and_unit(""), None);
    }

    #[test]
    fn writes_no_more_places_than_needed() {
        assert_eq!(quotient(1_500_000, 1_000_000), "1.5");
        assert_eq!(quotient(10_000_001, 1_000_000), "10.000001");
        assert_eq!(quotient(2_000, 1_000), "2");
    }
}
