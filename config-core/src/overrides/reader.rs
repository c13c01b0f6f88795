//! Reads the variables of a workspace one by one and collects the problems.
//!
//! What belongs to one kind of value alone has its file beside this one.

use std::str::FromStr;

use super::Origins;
use crate::{
    Origin, Problem, StepKind, Variables, keys,
    names::NameError,
    unknown,
    value::{EntryError, ListError},
};

/// Variables that shape the pod and whose names are not of our family.
const OF_OTHERS: [&str; 2] = [keys::TF_PLUGIN_CACHE_DIR, keys::PVC_CLAIM_NAME];

/// The variables as steps of one kind see them, and the problems found so far.
pub(super) struct Reader<'a> {
    variables: &'a Variables,
    kind: Option<StepKind>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variables: &'a Variables, kind: Option<StepKind>) -> Self {
        let kind = kind.filter(|kind| has_values_for(variables, *kind));
        Self { variables, kind, problems: Vec::new() }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.of_kind(name).and_then(|name| self.variables.get(&name)).or_else(|| self.variables.get(name))
    }

    /// Returns where the value was found that [`get`](Self::get) returns.
    pub(super) fn origin(&self, name: &str) -> Origin {
        match self.of_kind(name) {
            Some(of_kind) if self.variables.get(&of_kind).is_some() => self.variables.origin_of(&of_kind),
            _ => self.variables.origin_of(name),
        }
    }

    /// Variables that are not of our family have no form for one kind of steps: terraform is handed the one it knows.
    fn of_kind(&self, name: &str) -> Option<String> {
        let suffix = self.kind?.suffix();
        name.starts_with(keys::EPHEMERAL_PREFIX).then(|| format!("{name}{suffix}"))
    }

    /// Returns the origin of every setting that has a value.
    pub(super) fn origins(&self) -> Origins {
        let names = keys::WORKSPACE_VARIABLES.iter().copied().chain(OF_OTHERS);
        names.filter(|name| self.get(name).is_some()).map(|name| (name, self.origin(name))).collect()
    }

    pub(super) fn refuse_unknown_names(&mut self) {
        for (name, found) in self.variables.iter() {
            // Another case of the letters is a typing error too, so the prefix is looked for in any case.
            if !unknown::starts_with_ignoring_case(name, keys::EPHEMERAL_PREFIX)
                || is_workspace_variable(name)
            {
                continue;
            }
            self.problems.push(unknown_name(name, found.origin.clone()));
        }
    }

    /// Reads a value; a faulty one is a problem.
    pub(super) fn entry<T: FromStr<Err = EntryError>>(&mut self, name: &str) -> Option<T> {
        let parsed = self.get(name)?.parse::<T>();
        parsed.map_err(|error| self.problems.push(problem(self.origin(name), &error))).ok()
    }

    /// Reads a list; every faulty entry is a problem.
    pub(super) fn list<T: FromStr<Err = ListError>>(&mut self, name: &str) -> Option<T> {
        let parsed = self.get(name)?.parse::<T>();
        match parsed {
            Ok(list) => Some(list),
            Err(errors) => {
                let origin = self.origin(name);
                self.problems.extend(errors.iter().map(|error| problem(origin.clone(), error)));
                None
            }
        }
    }

    /// Reads a name; spaces around it are dropped.
    pub(super) fn name<T: FromStr<Err = NameError>>(&mut self, variable: &str, if_empty: &str) -> Option<T> {
        let text = self.get(variable)?.trim();
        self.checked(variable, text, Some(if_empty))
    }

    /// Parses the text of a variable; a text that breaks the rule is a problem.
    pub(super) fn checked<T: FromStr<Err = NameError>>(
        &mut self,
        variable: &str,
        text: &str,
        if_empty: Option<&str>,
    ) -> Option<T> {
        text.parse()
            .map_err(|NameError { found, rule }| {
                let problem = Problem::new(self.origin(variable), rule.expected()).with_found(&found);
                let hint = if_empty.filter(|_| found.is_empty());
                self.push(match hint {
                    Some(hint) => problem.with_hint(hint),
                    None => problem,
                });
            })
            .ok()
    }
}

/// Tells whether there is a variable for steps of this kind alone.
pub(super) fn has_values_for(variables: &Variables, kind: StepKind) -> bool {
    variables
        .iter()
        .any(|(name, _)| name.starts_with(keys::EPHEMERAL_PREFIX) && name.ends_with(kind.suffix()))
}

/// Tells whether a name is that of a variable that [`super::WorkspaceOverrides`] reads, for steps of one kind or of all.
pub(crate) fn is_workspace_variable(name: &str) -> bool {
    keys::WORKSPACE_VARIABLES.contains(&without_kind(name)) || OF_OTHERS.contains(&name)
}

/// Takes off what makes a variable one for steps of one kind.
pub(crate) fn without_kind(name: &str) -> &str {
    StepKind::ALL.iter().find_map(|kind| name.strip_suffix(kind.suffix())).unwrap_or(name)
}

fn problem(origin: Origin, error: &EntryError) -> Problem {
    let EntryError { entry, expected, hint } = error;
    Problem { hint: hint.clone(), ..Problem::new(origin, expected.clone()).with_found(entry) }
}

/// Looks for the nearest name by what is left without the words that most names begin with: these tell nothing about how
/// alike two names are.
pub(crate) fn unknown_name(name: &str, origin: Origin) -> Problem {
    let problem = Problem::new(origin, "the name of a known setting");
    let suffix = &name[without_kind(name).len()..];
    let name = without_kind(name);
    let known = keys::WORKSPACE_VARIABLES.iter().copied();
    let near = unknown::nearest(bare(name), known.clone().map(bare))
        .and_then(|near| known.clone().find(|candidate| bare(candidate) == near));
    problem.with_hint(match near {
        Some(near) => format!("did you mean {:?}?", format!("{near}{suffix}")),
        None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
    })
}

fn bare(name: &str) -> &str {
    [keys::EPHEMERAL_PREFIX, CONFIG].into_iter().fold(name, |name, prefix| {
        if unknown::starts_with_ignoring_case(name, prefix) { &name[prefix.len()..] } else { name }
    })
}

const CONFIG: &str = "CONFIG_";
