//! Spans of time in whole seconds.
//!
//! Which spans a setting accepts is decided by its descriptor.

use std::{fmt, str::FromStr, time::Duration};

use super::{EntryError, ListError};

/// A span of time in whole seconds, from 0 to 2147483647: what Kubernetes keeps in its fields of that kind.
///
/// It is written as a number of seconds, or as numbers with the units `h`, `m` and `s`, the larger unit first
/// and each at most once.
///
/// ```
/// use config_core::value::Seconds;
/// for text in ["5400", "5400s", "90m", "1h30m", " 1h1800s "] {
///     let span: Seconds = text.parse()?;
///     assert_eq!((span.get(), span.to_string().as_str()), (5400, "1h30m"));
/// }
/// let error = "2d".parse::<Seconds>().expect_err("days are no unit");
/// assert_eq!(
///     error.to_string(),
///     "entry \"2d\": expected whole seconds such as 3600, 90s, 30m or 1h30m; did you mean \"48h\"?"
/// );
/// # Ok::<(), config_core::value::EntryError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(i32);

/// The units, in the order in which they must be written, with their seconds.
const UNITS: [(char, i32); 3] = [('h', 60 * 60), ('m', 60), ('s', 1)];

const EXPECTED: &str = "whole seconds such as 3600, 90s, 30m or 1h30m";

/// The grammar, for the reference page.
pub(crate) const SECONDS: &str =
    "whole seconds: a number, or numbers with `h`, `m` and `s` in this order; at most 2147483647 seconds";
/// The grammar of [`positive_seconds`].
pub(crate) const SECONDS_AT_LEAST_1: &str = "whole seconds: a number, or numbers with `h`, `m` and `s` in \
                                             this order; at most 2147483647 seconds; at least 1";

/// Parses a span of at least one second; `hint` says why 0 makes no sense.
pub(crate) fn positive_seconds(text: &str, hint: &str) -> Result<Seconds, ListError> {
    match text.parse::<Seconds>()? {
        Seconds(0) => Err(EntryError::new(text.trim(), "at least 1 second").with_hint(hint).into()),
        seconds => Ok(seconds),
    }
}

/// Why a text cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Malformed,
    TooLong,
}

impl Seconds {
    /// Returns the number of seconds, which is not negative.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        Self::from_secs(seconds.0.unsigned_abs().into())
    }
}

impl FromStr for Seconds {
    type Err = EntryError;

    /// # Errors
    /// [`EntryError`] for another form, and for more than 2147483647 seconds.
    fn from_str(text: &str) -> Result<Self, EntryError> {
        let text = text.trim();
        read(text).map(Self).map_err(|fault| match fault {
            Fault::TooLong => EntryError::new(text, format!("at most {} seconds", i32::MAX)),
            Fault::Malformed => {
                let error = EntryError::new(text, EXPECTED);
                match meant(text) {
                    Some(meant) => error.with_hint(format!("did you mean {meant:?}?")),
                    None => error,
                }
            }
        })
    }
}

fn read(text: &str) -> Result<i32, Fault> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text);
    }
    let mut rest = text;
    let mut total = Some(0_i32);
    for (unit, seconds) in UNITS {
        let Some((count, after)) = rest.split_once(unit) else { continue };
        let part = number(count).map(|count| count.checked_mul(seconds));
        total = match part {
            Ok(part) => total.zip(part).and_then(|(total, part)| total.checked_add(part)),
            // A malformed rest is reported before a span that is too long.
            Err(Fault::TooLong) => None,
            Err(Fault::Malformed) => return Err(Fault::Malformed),
        };
        rest = after;
    }
    if !rest.is_empty() || text.is_empty() {
        return Err(Fault::Malformed);
    }
    total.ok_or(Fault::TooLong)
}

fn number(digits: &str) -> Result<i32, Fault> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Malformed);
    }
    // Digits alone fail for their size only.
    digits.parse().map_err(|_| Fault::TooLong)
}

/// Suggests a spelling where only the unit is wrong: `6H`, `2d`, `90 sec`, `30min`.
fn meant(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let end = lower.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(end);
    let candidate = match unit.trim() {
        "d" | "day" | "days" => format!("{}h", number(digits).ok()?.checked_mul(24)?),
        "h" | "hour" | "hours" => format!("{digits}h"),
        "m" | "min" | "mins" | "minute" | "minutes" => format!("{digits}m"),
        "s" | "sec" | "secs" | "second" | "seconds" => format!("{digits}s"),
        _ => lower,
    };
    read(&candidate).is_ok().then_some(candidate)
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (unit, seconds) in UNITS {
            if rest >= seconds {
                write!(f, "{}{unit}", rest / seconds)?;
                rest %= seconds;
            }
        }
        if self.0 == 0 { f.write_str("0s") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_and_prints_spans() {
        let cases = [
            ("3600", 3600, "1h"),
            ("0", 0, "0s"),
            ("0h0m0s", 0, "0s"),
            ("007", 7, "7s"),
            ("90s", 90, "1m30s"),
            ("30m", 1800, "30m"),
            ("6h", 21_600, "6h"),
            ("1h30m", 5400, "1h30m"),
            ("1h5s", 3605, "1h5s"),
            ("1h90m", 9000, "2h30m"),
            ("\t1h1m1s ", 3661, "1h1m1s"),
            ("2147483647", i32::MAX, "596523h14m7s"),
            ("596523h14m7s", i32::MAX, "596523h14m7s"),
        ];
        for (text, seconds, printed) in cases {
            let span = text.parse::<Seconds>().unwrap();
            assert_eq!((span.get(), span.to_string().as_str()), (seconds, printed), "{text:?}");
        }
    }

    #[test]
    fn rejects_malformed_and_too_long_spans() {
        for text in [
            "", "h", "-1", "+1", "1.5h", "1h-5m", "1m1h", "1h1h", "30m5", "h5", "1 h 5 m", "5ms", "1w", "٣",
            "0x10", "1e3",
        ] {
            assert_eq!(
                text.parse::<Seconds>().unwrap_err().to_string(),
                format!("entry {text:?}: expected {EXPECTED}")
            );
        }
        for text in [
            "2147483648",
            "2147483648s",
            "596524h",
            "596523h14m8s",
            "99999999999999999999",
            "1h99999999999999999999s",
            "99999999999999999999h1s",
        ] {
            assert_eq!(
                text.parse::<Seconds>().unwrap_err().to_string(),
                format!("entry {text:?}: expected at most 2147483647 seconds")
            );
        }
    }

    #[test]
    fn suggests_the_unit_for_a_wrong_one() {
        for (text, meant) in [
            ("6H", "6h"),
            ("1H30M", "1h30m"),
            ("2d", "48h"),
            ("2 Days", "48h"),
            ("1 h", "1h"),
            ("30min", "30m"),
            ("90 secs", "90s"),
        ] {
            let hint = text.parse::<Seconds>().unwrap_err().hint;
            assert_eq!(hint, Some(format!("did you mean {meant:?}?")), "{text:?}");
        }
        for text in ["99999999999d", "d", "596524H"] {
            assert_eq!(text.parse::<Seconds>().unwrap_err().hint, None, "{text:?}");
        }
    }

    #[test]
    fn converts_to_duration() {
        assert_eq!(Duration::from("5m".parse::<Seconds>().unwrap()), Duration::from_mins(5));
    }

    proptest! {
        #[test]
        fn parses_any_text_without_panic(text in ".*|([0-9]{0,11}[hmsd ]?){0,4}") {
            let _ = text.parse::<Seconds>();
        }

        #[test]
        fn parses_what_it_prints(seconds in 0..=i32::MAX) {
            let span = Seconds(seconds);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            prop_assert_eq!(seconds.to_string().parse(), Ok(span));
        }
    }
}
