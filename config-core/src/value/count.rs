//! Numbers of things.

use std::{fmt, str::FromStr};

use super::{EntryError, ListError};

/// A number of things, from 0 to 1,000,000.
///
/// ```
/// use config_core::value::Count;
/// assert_eq!("20".parse::<Count>()?.get(), 20);
/// assert_eq!("-1".parse::<Count>().unwrap_err().to_string(), "entry \"-1\": expected a number from 0 to 1000000");
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(u32);

const MAX: u32 = 1_000_000;

/// The grammar, for the reference page.
pub(crate) const COUNT: &str = "a number from 0 to 1000000";

impl Count {
    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Count {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, ListError> {
        let digits = text.trim();
        let number = digits.parse().ok().filter(|number| *number <= MAX && !digits.starts_with('+'));
        number.map(Self).ok_or_else(|| EntryError::new(digits, COUNT).into())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_what_is_no_number_in_the_range() {
        for text in ["", "x", "-1", "+1", "1.5", "1000001", "99999999999"] {
            assert!(text.parse::<Count>().is_err(), "{text:?}");
        }
        assert_eq!(" 7 ".parse::<Count>().unwrap().to_string(), "7");
    }
}
