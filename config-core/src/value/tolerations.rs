//! Tolerations of workspaces: which taints of nodes the pod tolerates.
//!
//! One entry is `key[=value][:operator[:effect[:seconds]]]`; entries are separated by `;`.
//! Start at [`Tolerations`].

use std::{fmt, str::FromStr};

use super::{EntryError, ListError, items};
use crate::{kubernetes::Rule, unknown};

/// A list of tolerations, separated by `;`; it has at least one.
///
/// An entry is `key[=value][:operator[:effect[:seconds]]]`:
/// - operator: `Exists` or `Equal`. Without one it is `Equal` where there is a value,
///   otherwise `Exists`. (Terrakube
///   uses `Exists` in both cases; Kubernetes rejects that together with a value.)
/// - effect: `NoSchedule`, `PreferNoSchedule` or `NoExecute`; without one, every effect.
/// - seconds: how long the pod may stay after such a taint appears, with the effect `NoExecute` only;
///   without them, forever.
/// - the key `*` matches every taint, with `Exists` only.
///
/// Spaces around the parts are dropped, empty entries are skipped. A text without any entry is an error: to
/// tolerate nothing the variable is left out, to tolerate every taint it is `*`.
///
/// ```
/// use config_core::value::Tolerations;
/// let list: Tolerations = "spot:Exists:NoSchedule; gpu=true".parse()?;
/// assert_eq!(list.to_string(), "spot:Exists:NoSchedule;gpu=true:Equal");
/// let error = "gpu:Exsts".parse::<Tolerations>().expect_err("no such operator");
/// assert_eq!(
///     error.to_string(),
///     r#"entry "gpu:Exsts": expected the operator Exists or Equal, not "Exsts"; did you mean "Exists"?"#
/// );
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tolerations(Vec<Toleration>);

/// One toleration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toleration {
    /// Which taints.
    pub taint: TaintMatch,
    /// With which effect; `None` means with any.
    pub effect: Option<TaintEffect>,
    /// How long the pod may stay after such a taint appears; `None` means forever.
    /// Only with [`TaintEffect::NoExecute`].
    pub seconds: Option<u32>,
}

/// Which taints are tolerated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaintMatch {
    /// Every taint, written as `*`.
    Every,
    /// Those with the key, whatever their value (operator `Exists`).
    Exists {
        /// The key, a label key.
        key: String,
    },
    /// Those with the key and the value (operator `Equal`).
    Equal {
        /// The key, a label key.
        key: String,
        /// The value, a label value; may be empty.
        value: String,
    },
}

/// What a taint does to pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaintEffect {
    /// They are not scheduled there.
    NoSchedule,
    /// They are scheduled elsewhere if possible.
    PreferNoSchedule,
    /// They are not scheduled there, and running ones are evicted.
    NoExecute,
}

const EVERY_TAINT: &str = "*";
const EXISTS: &str = "Exists";
const EQUAL: &str = "Equal";

impl TaintEffect {
    /// Every effect.
    pub const ALL: [Self; 3] = [Self::NoSchedule, Self::PreferNoSchedule, Self::NoExecute];

    /// Returns the name that Kubernetes gives it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

impl Tolerations {
    /// Iterates over the tolerations in the order in which they were written.
    pub fn iter(&self) -> std::slice::Iter<'_, Toleration> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Tolerations {
    type Item = &'a Toleration;
    type IntoIter = std::slice::Iter<'a, Toleration>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromStr for Tolerations {
    type Err = ListError;

    /// # Errors
    /// Every faulty entry, or the whole text if it has no entry.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let mut list = Vec::new();
        let mut errors = Vec::new();
        for item in items(text) {
            match item.parse() {
                Ok(toleration) => list.push(toleration),
                Err(error) => errors.push(error),
            }
        }
        if list.is_empty() && errors.is_empty() {
            errors.push(
                EntryError::new(text, "at least one toleration")
                    .with_hint("remove it to tolerate nothing, or write * to tolerate every taint"),
            );
        }
        ListError::into_result(errors, Self(list))
    }
}

impl FromStr for Toleration {
    type Err = EntryError;

    /// # Errors
    /// [`EntryError`] with the whole entry, and what was expected of the first part that is wrong.
    fn from_str(entry: &str) -> Result<Self, EntryError> {
        let error = |expected: String| EntryError::new(entry, expected);
        let parts: Vec<&str> = entry.split(':').map(str::trim).collect();
        let (subject, operator, effect, seconds) = match *parts.as_slice() {
            [subject] => (subject, None, None, None),
            [subject, operator] => (subject, Some(operator), None, None),
            [subject, operator, effect] => (subject, Some(operator), Some(effect), None),
            [subject, operator, effect, seconds] => (subject, Some(operator), Some(effect), Some(seconds)),
            _ => {
                let count = parts.len();
                return Err(error(format!(
                    "at most 4 parts, key[=value]:operator:effect:seconds, not {count}"
                )));
            }
        };
        let taint = taint_match(entry, subject, operator)?;
        let effect = effect.map(|effect| parse_effect(entry, effect)).transpose()?;
        let seconds = seconds.map(|seconds| parse_seconds(entry, effect, seconds)).transpose()?;
        Ok(Self { taint, effect, seconds })
    }
}

fn taint_match(entry: &str, subject: &str, operator: Option<&str>) -> Result<TaintMatch, EntryError> {
    let error = |expected: String| EntryError::new(entry, expected);
    let (key, value) = match subject.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value.trim())),
        None => (subject, None),
    };
    let exists = match operator {
        None => value.is_none(),
        Some(EXISTS) => true,
        Some(EQUAL) => false,
        Some(other) => {
            let unknown = error(format!("the operator {EXISTS} or {EQUAL}, not {other:?}"));
            return Err(suggest(unknown, other, &[EXISTS, EQUAL]));
        }
    };
    if key == EVERY_TAINT {
        return if exists && value.is_none() {
            Ok(TaintMatch::Every)
        } else {
            Err(error(format!("the key {EVERY_TAINT} without a value and with the operator {EXISTS}")))
        };
    }
    if !Rule::LabelKey.holds(key) {
        return Err(error(format!("{} (the key is {key:?})", Rule::LabelKey.expected())));
    }
    let key = key.to_owned();
    match (exists, value) {
        (true, None) => Ok(TaintMatch::Exists { key }),
        (true, Some(_)) => Err(error(format!("no value with the operator {EXISTS}"))
            .with_hint(format!("write {EQUAL} to match the value, or remove the value"))),
        (false, value) => {
            let value = value.unwrap_or_default();
            if Rule::LabelValue.holds(value) {
                Ok(TaintMatch::Equal { key, value: value.to_owned() })
            } else {
                Err(error(format!("{} (the value is {value:?})", Rule::LabelValue.expected())))
            }
        }
    }
}

fn parse_effect(entry: &str, effect: &str) -> Result<TaintEffect, EntryError> {
    let names = TaintEffect::ALL.map(TaintEffect::as_str);
    TaintEffect::ALL.into_iter().find(|known| known.as_str() == effect).ok_or_else(|| {
        let [first, second, third] = names;
        let unknown =
            EntryError::new(entry, format!("the effect {first}, {second} or {third}, not {effect:?}"));
        suggest(unknown, effect, &names)
    })
}

/// Kubernetes accepts seconds only with the effect that evicts running pods.
fn parse_seconds(entry: &str, effect: Option<TaintEffect>, seconds: &str) -> Result<u32, EntryError> {
    if effect != Some(TaintEffect::NoExecute) {
        let effect = TaintEffect::NoExecute.as_str();
        return Err(EntryError::new(entry, format!("seconds only with the effect {effect}")));
    }
    let expected = || format!("a number of seconds from 0 to {}, not {seconds:?}", u32::MAX);
    seconds.parse().map_err(|_| EntryError::new(entry, expected()))
}

fn suggest(error: EntryError, found: &str, known: &[&str]) -> EntryError {
    match unknown::nearest(found, known.iter().copied()) {
        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
        None => error,
    }
}

impl fmt::Display for Tolerations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, toleration) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(";")?;
            }
            write!(f, "{toleration}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Toleration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { taint, effect, seconds } = self;
        match taint {
            TaintMatch::Every => write!(f, "{EVERY_TAINT}:{EXISTS}")?,
            TaintMatch::Exists { key } => write!(f, "{key}:{EXISTS}")?,
            TaintMatch::Equal { key, value } => write!(f, "{key}={value}:{EQUAL}")?,
        }
        if let Some(effect) = effect {
            write!(f, ":{}", effect.as_str())?;
        }
        match seconds {
            Some(seconds) => write!(f, ":{seconds}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
