//! Labels and annotations: lists of `key=value` whose keys and values satisfy the rules of Kubernetes.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{EntryError, KeyValues, ListError};
use crate::names::{AnnotationKey, LabelKey, LabelValue, NameError};

/// Maximum size of the annotations of one object, keys and values together (256 KiB).
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/>
pub(crate) const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// Labels, `key=value` separated by `;`; the grammar is that of [`KeyValues`].
///
/// ```
/// use config_core::value::Labels;
/// let labels: Labels = "diskType=ssd; kubernetes.io/os = linux".parse()?;
/// assert_eq!(labels.get("diskType").map(|value| value.as_str()), Some("ssd"));
/// assert_eq!(labels.to_string(), "diskType=ssd;kubernetes.io/os=linux");
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<LabelKey, LabelValue>);

impl Labels {
    /// Returns the value of a label.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&LabelValue> {
        self.0.get(key)
    }

    /// Iterates over keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&LabelKey, &LabelValue)> {
        self.0.iter()
    }

    /// Returns whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Labels {
    type Err = ListError;

    /// # Errors
    /// Every item without `=` or without a key; else every key that is no label key, and every value that is
    /// no label value.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let list: KeyValues = text.parse()?;
        let mut labels = BTreeMap::new();
        let mut errors = Vec::new();
        for (key, value) in list.iter() {
            let key = checked(LabelKey::new(key), &mut errors);
            let value = checked(LabelValue::new(value), &mut errors);
            labels.extend(key.zip(value));
        }
        ListError::into_result(errors, Self(labels))
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_pairs(f, self.0.iter())
    }
}

/// Annotations, `key=value` separated by `;`; the grammar is that of [`KeyValues`].
///
/// ```
/// use config_core::value::Annotations;
/// let annotations: Annotations = "team=platform; cost-center = a=17".parse()?;
/// assert_eq!(annotations.get("cost-center"), Some("a=17"));
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations(BTreeMap<AnnotationKey, String>);

impl Annotations {
    /// Returns the value of an annotation.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Iterates over keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&AnnotationKey, &str)> {
        self.0.iter().map(|(key, value)| (key, value.as_str()))
    }
}

impl FromStr for Annotations {
    type Err = ListError;

    /// # Errors
    /// Every item without `=` or without a key; else every key that is no annotation key, and annotations
    /// that are too large together.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let list: KeyValues = text.parse()?;
        let mut annotations = BTreeMap::new();
        let mut errors = Vec::new();
        let mut size = 0;
        for (key, value) in list.iter() {
            size += key.len() + value.len();
            annotations
                .extend(checked(AnnotationKey::new(key), &mut errors).map(|key| (key, value.to_owned())));
        }
        if size > MAX_ANNOTATION_BYTES {
            let expected = format!("at most {MAX_ANNOTATION_BYTES} bytes of keys and values");
            errors.push(EntryError::new(&format!("{size} bytes"), expected));
        }
        ListError::into_result(errors, Self(annotations))
    }
}

impl fmt::Display for Annotations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_pairs(f, self.0.iter())
    }
}

fn checked<T>(name: Result<T, NameError>, errors: &mut Vec<EntryError>) -> Option<T> {
    name.map_err(|error| errors.push(error.into())).ok()
}

/// Writes `key=value` separated by `;`.
pub(super) fn write_pairs(
    f: &mut fmt::Formatter<'_>,
    pairs: impl Iterator<Item = (impl fmt::Display, impl fmt::Display)>,
) -> fmt::Result {
    for (index, (key, value)) in pairs.enumerate() {
        let separator = if index == 0 { "" } else { ";" };
        write!(f, "{separator}{key}={value}")?;
    }
    Ok(())
}
