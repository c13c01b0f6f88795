//! What is wrong with the settings: every problem, with its place and what was expected there.
//!
//! There is one shape for all of them, because they are read by people: as a line of text, or as JSON in an answer
//! of the API. Programs only ask whether there is a problem at all.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{Origin, one_line::OneLine};

/// Longest piece of a wrong value that is shown, in characters.
const LONGEST_FOUND: usize = 120;

/// One thing that is wrong, at one place.
///
/// As JSON: `{"source", "key", "found", "expected", "hint"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// The faulty value or the faulty piece of it, where showing it helps; shortened if it is long.
    pub found: Option<String>,
    /// What would have been right.
    pub expected: String,
    /// What to do about it, where that is not plain.
    pub hint: Option<String>,
}

impl Problem {
    /// Makes a problem that shows no value.
    pub fn new(origin: Origin, expected: impl Into<String>) -> Self {
        Self { origin, found: None, expected: expected.into(), hint: None }
    }

    /// Shows the faulty value, or its beginning if it is long.
    #[must_use]
    pub fn with_found(mut self, found: &str) -> Self {
        self.found = Some(match found.char_indices().nth(LONGEST_FOUND) {
            Some((end, _)) => format!("{}…", &found[..end]),
            None => found.to_owned(),
        });
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, found, expected, hint } = self;
        let mut f = OneLine(f);
        write!(f, "{origin}: ")?;
        if let Some(found) = found {
            write!(f, "found {found:?}, ")?;
        }
        write!(f, "expected {expected}")?;
        match hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { origin: Origin { source, key }, found, expected, hint } = self;
        let mut object = serializer.serialize_struct("Problem", 5)?;
        object.serialize_field("source", source)?;
        object.serialize_field("key", key)?;
        object.serialize_field("found", found)?;
        object.serialize_field("expected", expected)?;
        object.serialize_field("hint", hint)?;
        object.end()
    }
}

/// One or more problems, sorted by key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Makes an error of what was found wrong, or lets `value` pass if nothing was.
    ///
    /// # Errors
    /// The problems, if there are any.
    pub fn none_or<T>(problems: Vec<Problem>, value: T) -> Result<T, Self> {
        match Self::from_vec(problems) {
            Some(problems) => Err(problems),
            None => Ok(value),
        }
    }

    /// Sorts problems by key, then source; `None` if there are none. The same problem twice is kept once.
    #[must_use]
    pub fn from_vec(mut problems: Vec<Problem>) -> Option<Self> {
        // Stable: several problems of one value stay in the order of the value.
        problems.sort_by(|left, right| {
            (&left.origin.key, left.origin.source).cmp(&(&right.origin.key, right.origin.source))
        });
        let mut seen = BTreeSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// Iterates over the problems, sorted by key.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Returns the problems, sorted by key.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceName;

    fn problem(key: &str, expected: &str) -> Problem {
        Problem::new(Origin::new(SourceName::Environment, key), expected)
    }

    #[test]
    fn problems_are_sorted_by_key_and_print_one_per_line() {
        let problems = Problems::from_vec(vec![
            problem("b", "a number").with_found("x\n").with_hint("remove it"),
            problem("a", "second").with_found("2"),
            problem("a", "first"),
            problem("a", "second").with_found("2"),
            problem("a", "first"),
        ])
        .unwrap();
        assert_eq!(
            problems.to_string(),
            "environment variable a: found \"2\", expected second\n\
             environment variable a: expected first\n\
             environment variable b: found \"x\\n\", expected a number; remove it"
        );
        assert!((&problems).into_iter().eq(problems.iter()) && problems.iter().count() == 3);
        assert_eq!(problems.clone().into_iter().collect::<Vec<_>>(), problems.into_vec());
    }

    #[test]
    fn nothing_wrong_is_no_error() {
        assert_eq!(Problems::none_or(Vec::new(), 7), Ok(7));
        assert_eq!(Problems::none_or(vec![problem("a", "b")], 7), Err(problem("a", "b").into()));
        assert_eq!(Problems::from(problem("a", "b")).into_vec(), [problem("a", "b")]);
    }

    #[test]
    fn a_long_value_is_shortened_between_characters() {
        let shown = problem("a", "b").with_found(&"é".repeat(500)).found.unwrap();
        assert_eq!(shown, format!("{}…", "é".repeat(LONGEST_FOUND)));
        assert_eq!(problem("a", "b").with_found(&"é".repeat(120)).found.unwrap(), "é".repeat(120));
    }
}
