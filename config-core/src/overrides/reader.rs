//! Reads the variables of a workspace one by one and collects the problems.
//!
//! What belongs to one kind of value alone has its file beside this one.

use std::{collections::BTreeMap, str::FromStr};

use crate::{
    Origin, Problem, SourceName, keys,
    kubernetes::Rule,
    unknown,
    value::{EntryError, KeyValues, ListError},
};

/// Kubernetes refuses annotations whose keys and values together are larger (256 KiB).
pub(super) const LARGEST_ANNOTATIONS: usize = 256 * 1024;

/// The variables, and the problems found so far.
pub(super) struct Reader<'a> {
    pub(super) variables: &'a BTreeMap<String, String>,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn refuse_unknown_names(&mut self) {
        for name in self.variables.keys() {
            // Another case of the letters is a typing error too, so the prefix is looked for in any case.
            if !unknown::starts_with_ignoring_case(name, keys::EPHEMERAL_PREFIX)
                || keys::WORKSPACE_VARIABLES.contains(&name.as_str())
            {
                continue;
            }
            self.problems.push(unknown_name(name));
        }
    }

    /// Reads a value; a faulty one is a problem.
    pub(super) fn entry<T: FromStr<Err = EntryError>>(&mut self, name: &str) -> Option<T> {
        let parsed = self.get(name)?.parse::<T>();
        parsed.map_err(|error| self.problems.push(problem(name, &error))).ok()
    }

    /// Reads a list; every faulty entry is a problem.
    pub(super) fn list<T: FromStr<Err = ListError>>(&mut self, name: &str) -> Option<T> {
        let parsed = self.get(name)?.parse::<T>();
        match parsed {
            Ok(list) => Some(list),
            Err(errors) => {
                self.problems.extend(errors.iter().map(|error| problem(name, error)));
                None
            }
        }
    }

    pub(super) fn check(&mut self, name: &str, text: &str, rule: Rule) {
        if !rule.holds(text) {
            self.problems.push(Problem::new(origin(name), rule.expected()).with_found(text));
        }
    }

    pub(super) fn labels(&mut self, name: &str) -> Option<KeyValues> {
        let tags: KeyValues = self.list(name)?;
        for (key, value) in tags.iter() {
            self.check(name, key, Rule::LabelKey);
            self.check(name, value, Rule::LabelValue);
        }
        Some(tags)
    }

    pub(super) fn annotations(&mut self, name: &str) -> Option<KeyValues> {
        let annotations: KeyValues = self.list(name)?;
        let mut size = 0;
        for (key, value) in annotations.iter() {
            self.check(name, key, Rule::AnnotationKey);
            size += key.len() + value.len();
        }
        if size > LARGEST_ANNOTATIONS {
            self.problems.push(
                Problem::new(origin(name), format!("at most {LARGEST_ANNOTATIONS} bytes of keys and values"))
                    .with_found(&format!("{size} bytes")),
            );
        }
        Some(annotations)
    }

    /// Reads the name of an object of the cluster.
    pub(super) fn name(&mut self, variable: &str, if_empty: &str) -> Option<String> {
        let text = self.get(variable)?.trim().to_owned();
        if text.is_empty() {
            self.problems.push(
                Problem::new(origin(variable), Rule::DnsSubdomain.expected())
                    .with_found(&text)
                    .with_hint(if_empty),
            );
            return None;
        }
        self.check(variable, &text, Rule::DnsSubdomain);
        Some(text)
    }
}

pub(super) fn origin(name: &str) -> Origin {
    Origin::new(SourceName::Workspace, name)
}

fn problem(name: &str, error: &EntryError) -> Problem {
    let EntryError { entry, expected, hint } = error;
    Problem { hint: hint.clone(), ..Problem::new(origin(name), expected.clone()).with_found(entry) }
}

/// Looks for the nearest name by what is left without the words that most names begin with: these tell nothing about how
/// alike two names are.
fn unknown_name(name: &str) -> Problem {
    let problem = Problem::new(origin(name), "the name of a known setting");
    let known = keys::WORKSPACE_VARIABLES.iter().copied();
    let near = unknown::nearest(bare(name), known.clone().map(bare))
        .and_then(|near| known.clone().find(|candidate| bare(candidate) == near));
    problem.with_hint(match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
    })
}

fn bare(name: &str) -> &str {
    [keys::EPHEMERAL_PREFIX, CONFIG].into_iter().fold(name, |name, prefix| {
        if unknown::starts_with_ignoring_case(name, prefix) { &name[prefix.len()..] } else { name }
    })
}

const CONFIG: &str = "CONFIG_";
