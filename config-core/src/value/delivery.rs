//! The ways in which an executor is handed its payload.

use std::{fmt, str::FromStr};

use super::{EntryError, ListError};
use crate::unknown;

/// A way in which an executor is handed its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// In the Kubernetes Job, as the value of an environment variable: readable by whoever may read Jobs, and the only way
    /// that executors of other makers know without further rights.
    Env,
    /// In a Secret that belongs to the Kubernetes Job. Executors of other makers can read it too; the api-server
    /// needs the right to create Secrets.
    Secret,
    /// Over the network, in the answer to the executor's claim. The Kubernetes Job holds only the attempt's token.
    Claim,
}

impl Delivery {
    /// Every way, in the order of the enumeration.
    pub const ALL: [Self; 3] = [Self::Env, Self::Secret, Self::Claim];

    /// Returns the word that stands for it in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Secret => "secret",
            Self::Claim => "claim",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Ways of delivery, separated by `,`: the first one that can carry the payload is taken.
///
/// There is at least one; each stands there once. Spaces around the words are dropped, empty items skipped.
///
/// ```
/// use config_core::value::{Deliveries, Delivery};
/// let deliveries: Deliveries = "env, claim".parse()?;
/// assert_eq!(deliveries.iter().collect::<Vec<_>>(), [Delivery::Env, Delivery::Claim]);
/// assert_eq!(deliveries.to_string(), "env,claim");
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliveries(Vec<Delivery>);

impl Deliveries {
    /// Iterates over the ways in the order in which they are tried.
    pub fn iter(&self) -> impl Iterator<Item = Delivery> {
        self.0.iter().copied()
    }
}

impl Default for Deliveries {
    /// The environment alone, as ever.
    fn default() -> Self {
        Self(vec![Delivery::Env])
    }
}

impl FromStr for Deliveries {
    type Err = ListError;

    /// # Errors
    /// Every item that is no way of delivery or stands there twice, or the whole text if it has no item.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let words = Delivery::ALL.map(Delivery::as_str);
        let mut deliveries = Vec::new();
        let mut errors = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match Delivery::ALL.into_iter().find(|delivery| delivery.as_str() == item) {
                Some(delivery) if deliveries.contains(&delivery) => {
                    errors.push(EntryError::new(item, "each way of delivery once"));
                }
                Some(delivery) => deliveries.push(delivery),
                None => {
                    let error = EntryError::new(item, format!("one of {}", words.join(", ")));
                    errors.push(match unknown::nearest(item, words) {
                        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                        None => error,
                    });
                }
            }
        }
        if deliveries.is_empty() && errors.is_empty() {
            errors.push(EntryError::new(text, format!("at least one of {}", words.join(", "))));
        }
        ListError::none_or(errors, Self(deliveries))
    }
}

impl fmt::Display for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Delivery::as_str).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepted_lists() {
        for (text, printed) in [
            ("env", "env"),
            (" claim ", "claim"),
            ("secret,,env,", "secret,env"),
            ("claim,secret,env", "claim,secret,env"),
        ] {
            assert_eq!(
                text.parse::<Deliveries>().map(|list| list.to_string()).as_deref(),
                Ok(printed),
                "{text:?}"
            );
        }
        assert_eq!("env".parse::<Deliveries>(), Ok(Deliveries::default()));
        assert_eq!(Delivery::ALL.map(|delivery| delivery.to_string()), ["env", "secret", "claim"]);
    }

    #[test]
    fn refused_lists() {
        let cases = [
            ("", "entry \"\": expected at least one of env, secret, claim"),
            (" , ", "entry \" , \": expected at least one of env, secret, claim"),
            (
                "Secret,mail",
                "entry \"Secret\": expected one of env, secret, claim; did you mean \"secret\"?, entry \"mail\": expected \
                 one of env, secret, claim",
            ),
            ("env,env", "entry \"env\": expected each way of delivery once"),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<Deliveries>().unwrap_err().to_string(), message, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_was_read_prints_and_reads_as_itself(
            text in "((env|secret|claim|x)[, ]{0,2}){0,4}|.*",
        ) {
            if let Ok(list) = text.parse::<Deliveries>() {
                prop_assert_eq!(list.to_string().parse::<Deliveries>(), Ok(list));
            }
        }
    }
}
