//! How the payload gets to the executor.

use std::{fmt, str::FromStr};

use super::{EntryError, ListError};
use crate::unknown;

/// How the payload gets to the executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// In the Kubernetes Job, as the value of an environment variable: readable by everyone who may read
    /// Jobs, and the only way that stock executors support without further rights.
    Env,
    /// In a Secret that belongs to the Kubernetes Job. Stock executors can read it too; the api-server
    /// needs the right to create Secrets.
    Secret,
    /// Over the network, in the answer to the executor's claim.
    /// The Kubernetes Job holds only the attempt's token.
    Claim,
}

impl Delivery {
    /// Every way, in the order of the enumeration.
    pub const ALL: [Self; 3] = [Self::Env, Self::Secret, Self::Claim];

    /// Returns its name in settings.
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
/// There is at least one, and each occurs once. Spaces around the names are dropped, empty items are skipped.
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
    /// The environment alone.
    fn default() -> Self {
        Self(vec![Delivery::Env])
    }
}

impl FromStr for Deliveries {
    type Err = ListError;

    /// # Errors
    /// Every item that is no way of delivery or occurs twice, or the whole text if it has no item.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let names = Delivery::ALL.map(Delivery::as_str);
        let mut deliveries = Vec::new();
        let mut errors = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match Delivery::ALL.into_iter().find(|delivery| delivery.as_str() == item) {
                Some(delivery) if deliveries.contains(&delivery) => {
                    errors.push(EntryError::new(item, "each way of delivery once"));
                }
                Some(delivery) => deliveries.push(delivery),
                None => {
                    let error = EntryError::new(item, format!("one of {}", names.join(", ")));
                    errors.push(match unknown::nearest(item, names) {
                        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                        None => error,
                    });
                }
            }
        }
        if deliveries.is_empty() && errors.is_empty() {
            errors.push(EntryError::new(text, format!("at least one of {}", names.join(", "))));
        }
        ListError::into_result(errors, Self(deliveries))
    }
}

impl fmt::Display for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Delivery::as_str).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_lists_in_order() {
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
    fn rejects_unknown_and_repeated_items() {
        let cases = [
            ("", "entry \"\": expected at least one of env, secret, claim"),
            (" , ", "entry \" , \": expected at least one of env, secret, claim"),
            (
                "Secret,mail",
                "entry \"Secret\": expected one of env, secret, claim; did you mean \"secret\"?, \
                 entry \"mail\": expected one of env, secret, claim",
            ),
            ("env,env", "entry \"env\": expected each way of delivery once"),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<Deliveries>().unwrap_err().to_string(), message, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parses_any_text_without_panic_and_parses_what_it_prints(
            text in "((env|secret|claim|x)[, ]{0,2}){0,4}|.*",
        ) {
            if let Ok(list) = text.parse::<Deliveries>() {
                prop_assert_eq!(list.to_string().parse::<Deliveries>(), Ok(list));
            }
        }
    }
}
