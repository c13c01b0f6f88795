//! Amounts of a resource: quantities of Kubernetes.
//!
//! Grammar and comparison; which amounts a resource accepts is decided by the descriptor of the variable.

use std::{fmt, str::FromStr};

use super::EntryError;

/// An amount such as `500m`, `1.5` or `2Gi`: a number that is not negative, with an optional suffix.
///
/// The grammar is that of the type `Quantity` of Kubernetes
/// (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>): suffixes `n`, `u`,
/// `m`, `k`, `M`, `G`, `T`, `P`, `E` for powers of ten, `Ki` to `Ei` for powers of 1024, or an exponent as in
/// `1e3`. As in Kubernetes, fractions are rounded up to one billionth. Unlike in Kubernetes, an amount above
/// 2⁶³ − 1 is an error instead of being reduced, and a number without any digit is an error instead of zero.
///
/// It prints as it was written.
///
/// ```
/// use config_core::value::Quantity;
/// let [request, limit]: [Quantity; 2] = ["1500M".parse()?, "1.5Gi".parse()?];
/// assert!(request.nanos() < limit.nanos());
/// assert_eq!(limit.to_string(), "1.5Gi");
/// # Ok::<(), config_core::value::EntryError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    text: String,
    nanos: u128,
}

const NANOS: u128 = 1_000_000_000;
const MAX_NANOS: u128 = i64::MAX.unsigned_abs() as u128 * NANOS;

/// With more digits the arithmetic below could overflow; 2⁶³ − 1 has as many.
const MAX_DIGITS: usize = 19;

/// Suffixes as powers of ten.
const DECIMAL: [(&str, i64); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
/// Suffixes as powers of two.
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

impl Quantity {
    /// Returns the amount in billionths, the finest that Kubernetes knows.
    #[must_use]
    pub const fn nanos(&self) -> u128 {
        self.nanos
    }

    /// Returns the amount as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the amount is a whole number.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.nanos.is_multiple_of(NANOS)
    }
}

impl FromStr for Quantity {
    type Err = EntryError;

    /// # Errors
    /// [`EntryError`] for a malformed, negative, too long or too large amount.
    fn from_str(text: &str) -> Result<Self, EntryError> {
        let text = text.trim();
        let error = |expected: &str| EntryError::new(text, expected);
        if text.starts_with('-') {
            return Err(error("an amount that is not negative"));
        }
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        let end = unsigned.find(|sign: char| !sign.is_ascii_digit() && sign != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let malformed = || {
            let error = error("an amount such as 500m, 1.5 or 2Gi");
            match suggestion(number, suffix) {
                Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                None => error,
            }
        };
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(error("an amount such as 500m, 1.5 or 2Gi"));
        }
        let (ten, two) = powers(suffix).ok_or_else(malformed)?;
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        let significant = digits.trim_end_matches('0');
        if significant.len() > MAX_DIGITS {
            return Err(error(&format!("at most {MAX_DIGITS} digits that count")));
        }
        let zeros = length(digits) - length(significant);
        let nanos = nanos(significant, ten.saturating_add(9 + zeros - length(fraction)), two)
            .filter(|nanos| *nanos <= MAX_NANOS)
            .ok_or_else(|| error("at most 9223372036854775807"))?;
        Ok(Self { text: text.to_owned(), nanos })
    }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// Reads a suffix as a power of ten and a power of two.
fn powers(suffix: &str) -> Option<(i64, u32)> {
    if let Some((_, ten)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((*ten, 0));
    }
    if let Some((_, two)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some((0, *two));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((exponent.parse::<i32>().ok()?.into(), 0))
}

/// Computes `significant * 10^ten * 2^two`, rounded up; `None` if it is too large to compute.
fn nanos(significant: &str, ten: i64, two: u32) -> Option<u128> {
    if significant.is_empty() {
        return Some(0);
    }
    let scaled = significant.parse::<u128>().ok()?.checked_mul(1 << two)?;
    let power = u32::try_from(ten.unsigned_abs()).ok().and_then(|ten| 10_u128.checked_pow(ten));
    match (power, ten < 0) {
        (Some(power), false) => scaled.checked_mul(power),
        (None, false) => None,
        (Some(power), true) => Some(scaled.div_ceil(power)),
        (None, true) => Some(1),
    }
}

/// Suggests a spelling where only the suffix is wrong: `512MB`, `2gi`, `1K`.
fn suggestion(number: &str, suffix: &str) -> Option<String> {
    let lower = suffix.to_ascii_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let decimal = DECIMAL.iter().skip(4).map(|(name, _)| *name);
    let binary = BINARY.iter().map(|(name, _)| *name);
    let name = decimal.chain(binary).find(|name| name.eq_ignore_ascii_case(bare))?;
    Some(format!("{number}{name}"))
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
