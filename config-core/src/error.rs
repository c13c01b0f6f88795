//! Problems: what is wrong with settings or variables, where, and what was expected.
//!
//! There is one type for all of them, because users read them,
//! as a line of text or as JSON in a response of the API.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{Origin, one_line::OneLine};

/// Maximum length of a wrong value in a message, in characters.
const MAX_FOUND_LENGTH: usize = 120;
/// Most problems of one value that are reported.
const MAX_PER_VALUE: usize = 100;

/// One invalid value, name or combination.
///
/// As JSON: `{"source", "key", "found", "expected", "hint"}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is.
    pub origin: Origin,
    /// The invalid value or the invalid part of it, shortened if it is long;
    /// absent where it must not be shown.
    pub found: Option<String>,
    /// What was expected.
    pub expected: String,
    /// What to do, where that is not obvious.
    pub hint: Option<String>,
}

impl Problem {
    /// Creates a problem that shows no value.
    pub fn new(origin: Origin, expected: impl Into<String>) -> Self {
        Self { origin, found: None, expected: expected.into(), hint: None }
    }

    /// Adds the invalid value, or its beginning if it is long.
    #[must_use]
    pub fn with_found(mut self, found: &str) -> Self {
        self.found = Some(match found.char_indices().nth(MAX_FOUND_LENGTH) {
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
///
/// `Debug` is the text of `Display`, because that is what a `main` that returns an error prints.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Returns `value` if there is no problem.
    ///
    /// # Errors
    /// The problems, if there are any.
    pub fn into_result<T>(problems: Vec<Problem>, value: T) -> Result<T, Self> {
        match Self::from_vec(problems) {
            Some(problems) => Err(problems),
            None => Ok(value),
        }
    }

    /// Sorts problems by key, then source; `None` if there are none. The same problem twice is kept once. Of
    /// more than 100 problems of one value, the last one says how many more there are.
    #[must_use]
    pub fn from_vec(mut problems: Vec<Problem>) -> Option<Self> {
        // Stable: several problems of one value stay in the order of the value.
        problems.sort_by(|left, right| {
            (&left.origin.key, left.origin.source).cmp(&(&right.origin.key, right.origin.source))
        });
        let mut seen = BTreeSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        let of_values = problems.chunk_by(|left, right| left.origin == right.origin);
        let problems: Vec<Problem> = of_values.flat_map(shortened).collect();
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

/// Shortens the list of the problems of one value.
fn shortened(problems: &[Problem]) -> Vec<Problem> {
    let Some(more) = problems.len().checked_sub(MAX_PER_VALUE).filter(|more| *more > 0) else {
        return problems.to_vec();
    };
    let (kept, last) = problems.split_at(MAX_PER_VALUE - 1);
    let more = last.first().map(|problem| {
        Problem::new(
            problem.origin.clone(),
            format!("a value without the {} further problems of it", more + 1),
        )
    });
    kept.iter().cloned().chain(more).collect()
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

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
    fn sorts_by_key_drops_duplicates_and_prints_one_per_line() {
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
    fn debug_is_readable_when_main_returns_problems() {
        let problems = Problems::from_vec(vec![problem("A", "x"), problem("B", "y")]).unwrap();
        assert_eq!(format!("{problems:?}"), problems.to_string());
    }

    #[test]
    fn no_problem_is_no_error() {
        assert_eq!(Problems::into_result(Vec::new(), 7), Ok(7));
        assert_eq!(Problems::into_result(vec![problem("a", "b")], 7), Err(problem("a", "b").into()));
        assert_eq!(Problems::from(problem("a", "b")).into_vec(), [problem("a", "b")]);
    }

    #[test]
    fn shortens_long_value_between_characters() {
        let shown = problem("a", "b").with_found(&"é".repeat(500)).found.unwrap();
        assert_eq!(shown, format!("{}…", "é".repeat(MAX_FOUND_LENGTH)));
        assert_eq!(problem("a", "b").with_found(&"é".repeat(120)).found.unwrap(), "é".repeat(120));
    }

    #[test]
    fn list_of_the_problems_of_one_value_is_short_and_stays_so() {
        let many = (0..250).map(|number| problem("A", &number.to_string())).collect();
        let problems = Problems::from_vec(many).unwrap();
        assert_eq!(problems.iter().count(), 100);
        let last = "environment variable A: expected a value without the 151 further problems of it";
        assert_eq!(problems.iter().last().unwrap().to_string(), last);
        assert_eq!(Problems::from_vec(problems.clone().into_vec()), Some(problems));
    }
}
