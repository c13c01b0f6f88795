//! The input of one Kubernetes Job, as the planner puts it together.

use std::borrow::Cow;

use config_core::{EphemeralSettings, Problem, Problems, Rules, StepKind, Variables, WorkspaceOverrides};

use crate::{AttemptAccess, AttemptKey, EphemeralJobData};

/// Everything that a Kubernetes Job is made from.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    pub(crate) key: &'a AttemptKey,
    pub(crate) settings: &'a EphemeralSettings,
    /// The rules of the policy for the organization.
    pub(crate) rules: Rules,
    /// Those of the settings file are among them.
    pub(crate) variables: Cow<'a, Variables>,
    pub(crate) payload: &'a EphemeralJobData,
    pub(crate) access: Option<&'a AttemptAccess>,
}

impl Request<'_> {
    /// Reads the variables as steps of this kind see them.
    pub(crate) fn read(&self, variables: &Variables) -> (WorkspaceOverrides, Vec<Problem>) {
        WorkspaceOverrides::read(variables, self.payload.step_type.kind())
    }

    /// Returns what the policy refuses of the variables, for steps of every kind. A variable that cannot be
    /// parsed is refused if its value is restricted: Terrakube may parse it.
    pub(crate) fn refused_by_policy(&self) -> Vec<Problem> {
        let mut problems = self.rules.check(&self.variables);
        for kind in [None].into_iter().chain(StepKind::ALL.map(Some)) {
            let (mut overrides, malformed) = WorkspaceOverrides::read(&self.variables, kind);
            problems.extend(malformed.into_iter().filter(|problem| self.rules.restricts(&problem.origin)));
            problems.extend(self.rules.limit(&mut overrides));
        }
        Problems::from_vec(problems).map(Problems::into_vec).unwrap_or_default()
    }
}

/// Removes the variable that a key names; the keys of some sources have a prefix.
pub(crate) fn remove(variables: &mut Variables, key: &str) -> bool {
    let name = key.rsplit(['/', '.']).next().unwrap_or(key);
    variables.remove(name)
}
