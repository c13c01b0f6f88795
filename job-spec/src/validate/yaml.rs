//! Variables whose value is YAML: from plain data to Kubernetes types,
//! and the rules that the types cannot express.
//!
//! Each problem names the path of the field. Values of fields are shown only if they cannot be secrets.

use std::collections::BTreeSet;

use config_core::{Origin, Problem, Variable, WorkspaceOverrides, kubernetes::Rule, value::Yaml, workspace};

use super::checks::Checks;
use crate::{plan::PodParts, volumes::SettingVolume};
pub(super) use patch::patch;
use volumes::volume_names;

mod affinity;
mod containers;
mod patch;
mod resources;
mod secrets;
mod strict;
mod volumes;

/// Longest path that is shown, in characters; a longer one is shortened at its start.
const LONGEST_PATH: usize = 160;

/// The errors in the value of one variable, by field.
struct FieldErrors {
    key: &'static str,
    origin: Origin,
    problems: Vec<Problem>,
}

impl FieldErrors {
    const fn new(key: &'static str, origin: Origin) -> Self {
        Self { key, origin, problems: Vec::new() }
    }

    /// Adds an error: the path, what was found there, and what was expected.
    fn push(&mut self, path: &str, found: &str, expected: impl Into<String>) {
        let path = shortened(path);
        let found = if found.is_empty() { path } else { format!("{path}: {found}") };
        let problem = Problem::new(self.origin.clone(), expected);
        self.problems.push(Problem { found: Some(found), ..problem });
    }

    fn check(&mut self, path: &str, text: &str, rule: Rule) {
        if !rule.holds(text) {
            self.push(path, shown(text), rule.expected());
        }
    }

    /// Returns whether the value is that of a setting.
    fn is_of(&self, key: &str) -> bool {
        self.key == key
    }

    fn check_one_of(&mut self, path: &str, text: &str, allowed: &[&str]) {
        if !allowed.contains(&text) {
            self.push(path, shown(text), format!("one of {}", allowed.join(", ")));
        }
    }
}

impl Checks<'_> {
    /// Validates the parts of the pod that are YAML; `planned` holds the volumes of other settings.
    pub(super) fn parts(&mut self, overrides: &WorkspaceOverrides, planned: &[SettingVolume]) -> PodParts {
        let get = |variable| overrides.get(variable);
        let volumes = get(&workspace::VOLUMES).map(|yaml| self.extra_volumes(yaml)).unwrap_or_default();
        let names = volume_names(&volumes, planned);
        let volume_mounts = get(&workspace::VOLUME_MOUNTS)
            .map(|yaml| self.extra_mounts(yaml, &volumes, planned))
            .unwrap_or_default();
        let mut taken = BTreeSet::new();
        let mut containers = |variable: &Variable<Yaml>| {
            self.containers(variable.name(), overrides.get(variable), &names, &mut taken)
        };
        let sidecars = containers(&workspace::SIDECARS);
        let init_containers = containers(&workspace::INIT_CONTAINERS);
        PodParts {
            sidecars,
            init_containers,
            volumes,
            volume_mounts,
            affinity: get(&workspace::AFFINITY).and_then(|yaml| self.affinity(yaml)),
            topology_spread: get(&workspace::TOPOLOGY_SPREAD)
                .map(|yaml| self.topology_spread(yaml))
                .unwrap_or_default(),
        }
    }

    /// Runs a check of one variable and collects its problems.
    fn of_variable<T>(&mut self, key: &'static str, check: impl FnOnce(&mut FieldErrors) -> T) -> T {
        let mut errors = FieldErrors::new(key, self.origin(key));
        let result = check(&mut errors);
        self.problems.append(&mut errors.problems);
        result
    }
}

/// Hides a long text: it is not the name that it should be, and may be a secret.
fn shown(text: &str) -> &str {
    match text.len() {
        0 => "empty text",
        1..=80 => text,
        _ => "a long text",
    }
}

fn shortened(path: &str) -> String {
    let length = path.chars().count();
    if length <= LONGEST_PATH {
        return path.to_owned();
    }
    format!("…{}", path.chars().skip(length - LONGEST_PATH).collect::<String>())
}

#[cfg(test)]
mod tests;
