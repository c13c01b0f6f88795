//! The forms in which programs print a number: terraform without an exponent, programs that calculate with
//! binary floating-point numbers with one, and with the digits that such a number keeps.

/// A number with a larger exponent is not written out.
const MAX_DIGITS: i64 = 400;

/// Returns the forms of a number; none if the text is no number.
pub(super) fn number_spellings(text: &str) -> Vec<String> {
    let Some(decimal) = Decimal::parse(text.trim()) else { return Vec::new() };
    let mut spellings: Vec<String> = decimal.written_out().into_iter().collect();
    if let Ok(number) = text.trim().parse::<f64>()
        && number.is_finite()
    {
        let scientific = format!("{number:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        spellings.push(format!("{digits}e{sign}{exponent:0>2}"));
        spellings.push(format!("{digits}e{sign}{exponent}"));
        spellings.push(number.to_string());
        spellings.push(scientific);
    }
    spellings
}

/// Returns the numbers of a list or map in HCL that stand outside of quotes.
pub(super) fn unquoted(value: &str) -> Vec<String> {
    let outside = value.split('"').step_by(2);
    let words = outside.flat_map(|text| text.split(|c: char| c.is_whitespace() || "[]{},=:()".contains(c)));
    words.filter(|word| Decimal::parse(word).is_some()).map(str::to_owned).collect()
}

/// A decimal number: 0.DIGITS × 10^exponent.
struct Decimal<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    exponent: i64,
}

impl<'t> Decimal<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, exponent) = match rest.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = is_digits(whole) && is_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
        is_number.then_some(Self { negative, whole, fraction, exponent })
    }

    /// Writes the number without an exponent and without zeros that say nothing, as terraform does.
    fn written_out(&self) -> Option<String> {
        if self.exponent.abs() > MAX_DIGITS {
            return None;
        }
        let digits = format!("{}{}", self.whole, self.fraction);
        let point = i64::try_from(self.whole.len()).ok()? + self.exponent;
        let length = i64::try_from(digits.len()).ok()?;
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
        let (whole, fraction) = match usize::try_from(point) {
            Ok(point) if point <= digits.len() => (digits[..point].to_owned(), digits[point..].to_owned()),
            Ok(_) => (format!("{digits}{}", zeros(point - length)), String::new()),
            Err(_) => (String::new(), format!("{}{digits}", zeros(-point))),
        };
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let whole = if whole.is_empty() { "0" } else { whole };
        let sign = if self.negative { "-" } else { "" };
        Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_numbers_as_programs_print_them() {
        for (text, expected) in [
            ("00123456", "123456"),
            ("1234567.890", "1234567.89"),
            ("1.5e10", "15000000000"),
            ("1234567890123456789012", "1234567890123456789012"),
            ("1234567890123456789012", "1.2345678901234568e+21"),
            ("12345678901234567890", "12345678901234567000"),
            ("-0.00001234567", "-0.00001234567"),
            ("-0.00001234567", "-1.234567e-05"),
            ("123456789e-4", "12345.6789"),
            ("1e3", "1000"),
        ] {
            assert!(
                number_spellings(text).contains(&expected.to_owned()),
                "{text}: {:?}",
                number_spellings(text)
            );
        }
        for text in ["", "x", ".", "1.2.3", "0x1f", "1e", "--1", "é"] {
            assert!(number_spellings(text).is_empty(), "{text}");
        }
        assert!(number_spellings("1e999999999").is_empty());
    }

    #[test]
    fn finds_numbers_outside_of_quotes() {
        assert_eq!(unquoted(r#"{ pin = 1234567, name = "88", list = [1e9] }"#), ["1234567", "1e9"]);
    }
}
