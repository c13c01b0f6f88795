//! What a workspace changes about its own pods: the values of its variables, by descriptor.
//!
//! Grammars and defaults are those of the descriptors in [`crate::workspace`]; whether the operator's policy
//! permits a change is decided by [`Rules`](crate::Rules).

use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

use crate::{
    Origin, Problem, Problems, StepKind, Variables, keys,
    setting::{AnyVariable, Setting, Value, Variable},
    unknown,
    value::{EntryError, ListError},
    workspace,
};

mod origins;
mod view;

/// Longest part of a message that may quote a value, in characters.
const LONGEST_MESSAGE: usize = 1_000;

pub use origins::Origins;
use view::View;

/// What a workspace changes about its own pods; `Default` changes nothing.
///
/// `Debug` does not show values that may be secret.
#[derive(Clone, Default)]
pub struct WorkspaceOverrides {
    values: BTreeMap<&'static str, Arc<dyn Value>>,
    origins: Origins,
}

impl WorkspaceOverrides {
    /// Reads the overrides of steps of a kind from variables of category `ENV`; `None` is for steps that
    /// neither plan nor apply, such as scripts.
    ///
    /// Variables whose name does not begin with `EPHEMERAL_` are ignored, except `TF_PLUGIN_CACHE_DIR` and
    /// `PVC_CLAIM_NAME`, which together mount a plugin cache.
    ///
    /// ```
    /// use config_core::{Variables, WorkspaceOverrides};
    ///
    /// let variables: Variables =
    ///     [("EPHEMERAL_CONFIG_TOLERATIONS", "gpu:Exsts"), ("EPHEMERAL_CONFIG_ANOTATION", "a=b")]
    ///         .into_iter()
    ///         .collect();
    /// let problems = WorkspaceOverrides::parse(&variables, None).expect_err("both are wrong");
    /// assert_eq!(
    ///     problems.to_string(),
    ///     "workspace variable EPHEMERAL_CONFIG_ANOTATION: expected the name of a known setting; did you \
    ///      mean \"EPHEMERAL_CONFIG_ANNOTATIONS\"?\n\
    ///      workspace variable EPHEMERAL_CONFIG_TOLERATIONS: found \"gpu:Exsts\", expected the operator Exists or \
    ///      Equal, not \"Exsts\"; did you mean \"Exists\"?"
    /// );
    /// ```
    ///
    /// # Errors
    /// Every problem, sorted by name: unknown names, malformed entries, values that
    /// break a rule of Kubernetes, a mount path without a config map.
    pub fn parse(variables: &Variables, kind: Option<StepKind>) -> Result<Self, Problems> {
        let (overrides, problems) = Self::read(variables, kind);
        Problems::into_result(problems, overrides)
    }

    /// Reads as [`parse`](Self::parse) does, but leaves out what is faulty and returns the problems beside
    /// it, so that they can be reported together with those of later stages.
    ///
    /// Variables for steps of another kind are checked too: a fault in what only an
    /// apply uses is found before the plan.
    #[must_use]
    pub fn read(variables: &Variables, kind: Option<StepKind>) -> (Self, Vec<Problem>) {
        let mut problems = unknown_names(variables);
        let overrides = Self::read_kind(variables, kind, &mut problems);
        for other in StepKind::ALL {
            if Some(other) != kind && View::has_values_for(variables, other) {
                Self::read_kind(variables, Some(other), &mut problems);
            }
        }
        (overrides, problems)
    }

    fn read_kind(variables: &Variables, kind: Option<StepKind>, problems: &mut Vec<Problem>) -> Self {
        let view = View::new(variables, kind);
        let mut overrides = Self::default();
        for variable in workspace::variables() {
            overrides.read_variable(variable, &view, problems);
        }
        for check in workspace::CHECKS {
            check(&mut overrides, problems);
        }
        overrides
    }

    fn read_variable(&mut self, variable: &dyn AnyVariable, view: &View<'_>, problems: &mut Vec<Problem>) {
        let setting = variable.setting();
        let Some(text) = view.get(setting.name) else { return };
        let origin = view.origin(setting.name);
        if setting.only_with.is_none_or(|other| view.get(other).is_some()) {
            match variable.parse(text) {
                Ok(value) => {
                    self.values.insert(setting.name, value);
                }
                Err(errors) => problems.extend(value_problems(setting, text, &origin, &errors)),
            }
        }
        self.origins.set(setting.name, origin);
    }

    /// Returns the value of a variable, if the workspace has set it.
    #[must_use]
    pub fn get<T>(&self, variable: &Variable<T>) -> Option<&T> {
        let value: &dyn Any = &**self.values.get(variable.name())?;
        value.downcast_ref()
    }

    /// Returns the value of a variable, or its default.
    pub(crate) fn get_or_default<T: Clone>(&self, variable: &Variable<T>) -> T {
        self.get(variable).cloned().unwrap_or_else(|| variable.default_value())
    }

    /// Returns which variable decided what: the origins of all variables that are set.
    #[must_use]
    pub const fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Takes the origins out, so that they can be kept beside others without a copy.
    #[must_use]
    pub fn take_origins(&mut self) -> Origins {
        std::mem::take(&mut self.origins)
    }

    /// Iterates over the labels of the Kubernetes Job that variables set: label, value,
    /// and the name of the variable.
    pub fn job_labels(&self) -> impl Iterator<Item = (&'static str, String, &'static str)> {
        let labels = workspace::settings().filter_map(|setting| Some((setting.job_label?, setting.name)));
        labels.filter_map(|(label, name)| Some((label, self.values.get(name)?.to_string(), name)))
    }

    pub(crate) fn set<T: Value>(&mut self, variable: &Variable<T>, value: T, origin: Origin) {
        self.values.insert(variable.name(), Arc::new(value));
        self.origins.set(variable.name(), origin);
    }

    pub(crate) fn remove<T>(&mut self, variable: &Variable<T>) {
        self.values.remove(variable.name());
    }
}

/// Reports names of our family that are no variables; another case of the letters is a typing error too.
fn unknown_names(variables: &Variables) -> Vec<Problem> {
    variables
        .iter()
        .filter(|(name, _)| unknown::starts_with_ignoring_case(name, keys::EPHEMERAL_PREFIX))
        .filter(|(name, _)| workspace::find_for_any_kind(name).is_none())
        .map(|(name, found)| workspace::unknown_name(name, found.origin.clone()))
        .collect()
}

/// Turns the errors of a value into problems.
pub(crate) fn value_problems(
    setting: &Setting,
    text: &str,
    origin: &Origin,
    errors: &ListError,
) -> Vec<Problem> {
    let if_empty = setting.if_empty.filter(|_| text.trim().is_empty());
    let problem = |EntryError { entry, expected, hint }: &EntryError| Problem {
        hint: if_empty.map(str::to_owned).or_else(|| hint.as_deref().map(shortened)),
        ..Problem::new(origin.clone(), shortened(expected)).with_found(entry)
    };
    errors.iter().map(problem).collect()
}

/// Shortens a message that quotes a long part of the value.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl PartialEq for WorkspaceOverrides {
    fn eq(&self, other: &Self) -> bool {
        self.origins == other.origins
            && self.values.len() == other.values.len()
            && self.values.iter().zip(&other.values).all(|((left_name, left), (right_name, right))| {
                left_name == right_name && left.is_equal(&**right)
            })
    }
}

impl fmt::Debug for WorkspaceOverrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.values).finish()
    }
}

#[cfg(test)]
mod tests;
