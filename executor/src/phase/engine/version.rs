//! Versions of terraform and tofu, and constraints on them, as both programs understand them.
//!
//! `1.9.8`, `~> 1.9`, `>= 1.5, < 2`. A pre-release matches only a constraint that
//! names one of the same version.

use std::{fmt, str::FromStr};

use semver::{BuildMetadata, Prerelease, Version};

/// A text is no version and no constraint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no version constraint, expected for example \"1.9.8\", \"~> 1.9\" or \">= 1.5, < 2\"")]
pub(crate) struct ConstraintError {
    found: String,
}

/// Parses the version of a program or release. A leading `v` is ignored, and missing numbers are 0.
pub(crate) fn parse_version(text: &str) -> Option<Version> {
    parse(text).map(|(version, _)| version)
}

/// Returns the release that a version stands for: a development build is built from the source of its
/// release.
pub(crate) fn without_dev(mut version: Version) -> Version {
    if version.pre.as_str() == "dev" {
        version.pre = Prerelease::EMPTY;
    }
    version
}

/// Parses a version, and counts its numbers.
fn parse(text: &str) -> Option<(Version, usize)> {
    let text = text.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let (pre, build) = rest.split_once('+').unwrap_or((rest, ""));
    let numbers: Vec<u64> = numbers.split('.').map(number).collect::<Option<_>>()?;
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    let version = Version {
        major: at(0),
        minor: at(1),
        patch: at(2),
        pre: Prerelease::new(pre.strip_prefix('-').unwrap_or(pre)).ok()?,
        build: BuildMetadata::new(build).ok()?,
    };
    (1..=3).contains(&numbers.len()).then_some((version, numbers.len()))
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A list of conditions, all of which must be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Constraint {
    text: String,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    operator: Operator,
    version: Version,
    /// How many numbers of the version are written.
    numbers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    /// Only the last written number may grow.
    Pessimistic,
}

/// Longer ones first.
const OPERATORS: [(&str, Operator); 7] = [
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("!=", Operator::NotEqual),
    ("~>", Operator::Pessimistic),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
];

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let error = || ConstraintError { found: text.to_owned() };
        let conditions = text.split(',').map(condition).collect::<Option<Vec<_>>>().ok_or_else(error)?;
        Ok(Self { text: text.trim().to_owned(), conditions })
    }
}

fn condition(text: &str) -> Option<Condition> {
    let text = text.trim();
    let (operator, rest) = OPERATORS
        .iter()
        .find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)))
        .unwrap_or((Operator::Equal, text));
    let (version, numbers) = parse(rest)?;
    Some(Condition { operator, version, numbers })
}

impl From<Version> for Constraint {
    fn from(version: Version) -> Self {
        let text = version.to_string();
        Self { text, conditions: vec![Condition { operator: Operator::Equal, version, numbers: 3 }] }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Constraint {
    /// Returns whether a version satisfies all conditions.
    pub(crate) fn matches(&self, version: &Version) -> bool {
        self.conditions.iter().all(|condition| condition.matches(version))
    }

    /// Returns the only version that matches, if there is just one.
    pub(crate) fn exact(&self) -> Option<&Version> {
        match self.conditions.as_slice() {
            [Condition { operator: Operator::Equal, version, .. }] => Some(version),
            _ => None,
        }
    }

    /// Returns the version that the constraint is about, to name others near it.
    pub(crate) fn subject(&self) -> Option<&Version> {
        self.conditions.first().map(|condition| &condition.version)
    }
}

impl Condition {
    fn matches(&self, found: &Version) -> bool {
        let Self { operator, version, numbers } = self;
        let order = found.cmp_precedence(version);
        let release = |v: &Version| (v.major, v.minor, v.patch);
        // Only a condition that names a pre-release accepts one.
        let is_comparable =
            found.pre.is_empty() || (!version.pre.is_empty() && release(found) == release(version));
        match operator {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Greater => is_comparable && order.is_gt(),
            Operator::GreaterOrEqual => is_comparable && order.is_ge(),
            Operator::Less => is_comparable && order.is_lt(),
            Operator::LessOrEqual => is_comparable && order.is_le(),
            Operator::Pessimistic => {
                let same = match numbers {
                    1 => true,
                    2 => found.major == version.major,
                    _ => (found.major, found.minor) == (version.major, version.minor),
                };
                is_comparable && order.is_ge() && same
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_match_as_in_terraform() {
        // Constraint, versions that match, versions that do not.
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("1.9.8", &["1.9.8", "v1.9.8"], &["1.9.7", "1.9.8-rc1", "1.10.0"]),
            ("v1.9.8", &["1.9.8"], &["1.9.9"]),
            ("= 1.9", &["1.9.0"], &["1.9.1"]),
            ("1.9.0-beta1", &["1.9.0-beta1"], &["1.9.0", "1.9.0-beta2"]),
            ("~> 1.9", &["1.9.0", "1.11.4"], &["1.8.5", "2.0.0", "1.10.0-rc1"]),
            ("~>1.9.3", &["1.9.3", "1.9.8"], &["1.9.2", "1.10.0"]),
            ("~> 1", &["1.0.0", "1.11.4", "2.0.0"], &["0.15.0"]),
            (">= 1.5, < 2", &["1.5.0", "1.11.4"], &["1.4.9", "2.0.0", "1.6.0-alpha1"]),
            (">=1.5,<2.0.0,!=1.7.1", &["1.7.0", "1.7.2"], &["1.7.1"]),
            ("> 1.9.0-rc1", &["1.9.0-rc2", "1.9.0", "1.9.1"], &["1.9.0-rc1", "1.9.0-beta9", "1.9.1-rc1"]),
            ("!= 1.9.8", &["1.9.7"], &["1.9.8"]),
        ];
        for (constraint, matching, others) in cases {
            let constraint: Constraint = constraint.parse().unwrap();
            for version in *matching {
                assert!(constraint.matches(&parse_version(version).unwrap()), "{constraint}: {version}");
            }
            for version in *others {
                assert!(!constraint.matches(&parse_version(version).unwrap()), "{constraint}: {version}");
            }
        }
    }

    #[test]
    fn rejects_what_is_no_constraint() {
        for text in ["", "latest", "1.9.8.1", "^1.9", "1.x", ">= ", "1.9,", "1.9 || 1.8", "-1", "1.+2"] {
            assert!(text.parse::<Constraint>().is_err(), "{text}");
        }
        let error = "latest".parse::<Constraint>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"latest\" is no version constraint, expected for example \"1.9.8\", \"~> 1.9\" or \">= 1.5, \
             < 2\""
        );
    }

    #[test]
    fn development_build_stands_for_its_release() {
        let of = |text| without_dev(parse_version(text).unwrap()).to_string();
        assert_eq!((of("1.10.10-dev"), of("1.10.0-rc1")), ("1.10.10".to_owned(), "1.10.0-rc1".to_owned()));
    }

    #[test]
    fn only_an_exact_constraint_has_one_version() {
        let exact = |text: &str| text.parse::<Constraint>().unwrap().exact().map(ToString::to_string);
        assert_eq!(exact("v1.9.8").as_deref(), Some("1.9.8"));
        assert_eq!((exact("~> 1.9"), exact("1.9.8, != 1.9.9")), (None, None));
    }
}
