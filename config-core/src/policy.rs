//! The operator's policy: which variables the owners of workspaces and organizations may set,
//! and to which values.
//!
//! Rules check the text of variables, so that a value for applies is already checked for the plan. `job-spec`
//! checks the finished pod, with the Pod Security level and the maximum of these rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Origin, Problem, Problems, ResourceName, SourceName, Sourced, StepKind, Variables, Warning,
    WorkspaceOverrides,
    setting::{AnyVariable, Setting},
    value::{Quantity, Seconds},
    workspace,
};

mod items;
mod level;
mod maximum;
mod parse;
mod pattern;

pub use level::PodSecurityLevel;
pub(crate) use parse::FIELDS;
use pattern::Patterns;

/// The operator's policy; `Default` is the built-in one.
///
/// ```toml
#[doc = include_str!("../examples/policy.toml")]
/// ```
///
/// ```
/// use config_core::{Policy, PodSecurityLevel, Variables};
///
/// let policy = Policy::parse(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/policy.toml")))?;
/// let workspace: Variables = [("EPHEMERAL_CONFIG_SERVICE_ACCOUNT_APPLY", "cluster-admin")].into_iter().collect();
///
/// let problems = policy.rules_for(&["0b8a3c10-0000-4000-8000-000000000001", "any"]).check(&workspace);
/// assert_eq!(
///     problems[0].to_string(),
///     "workspace variable EPHEMERAL_CONFIG_SERVICE_ACCOUNT_APPLY: found \"cluster-admin\", expected terraform-*, by \
///      policy default.values.EPHEMERAL_CONFIG_SERVICE_ACCOUNT"
/// );
///
/// let acme = policy.rules_for(&["7c1d2e5a-0000-4000-8000-000000000002", "acme"]);
/// assert_eq!(acme.check(&workspace), []);
/// assert_eq!(acme.pod_security().value, PodSecurityLevel::Baseline);
/// # Ok::<(), config_core::Problems>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    default: RuleSet,
    organizations: BTreeMap<String, RuleSet>,
}

/// One table of a policy; where a field is absent, a weaker table decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct RuleSet {
    allow: Option<Sourced<BTreeSet<&'static str>>>,
    forbid: Option<Sourced<BTreeSet<&'static str>>>,
    pod_security: Option<Sourced<PodSecurityLevel>>,
    values: BTreeMap<&'static str, Sourced<Patterns>>,
    maximum: BTreeMap<ResourceName, Sourced<Quantity>>,
    deadline: Option<Sourced<Seconds>>,
}

/// The rules for the workspaces of one organization; `Default` are the built-in ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    allow: Sourced<BTreeSet<&'static str>>,
    forbid: Sourced<BTreeSet<&'static str>>,
    pod_security: Sourced<PodSecurityLevel>,
    values: BTreeMap<&'static str, Sourced<Patterns>>,
    maximum: BTreeMap<ResourceName, Sourced<Quantity>>,
    deadline: Option<Sourced<Seconds>>,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Every problem with its line: invalid TOML, unknown keys, names that are no workspace variables, a
    /// permission where none is needed, patterns for a variable whose value is YAML,
    /// amounts that cannot be parsed.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        parse::policy(text)
    }

    /// Creates a policy that permits every variable that needs a permission, for programs whose operator owns
    /// all workspaces. The built-in Pod Security level still applies.
    ///
    /// ```
    /// use config_core::{Policy, Variables};
    /// let variables: Variables = [("EPHEMERAL_CONFIG_IMAGE", "example.com/executor:1")].into_iter().collect();
    /// assert_eq!(Policy::default().rules_for(&["acme"]).check(&variables).len(), 1);
    /// assert_eq!(Policy::permissive().rules_for(&["acme"]).check(&variables), []);
    /// ```
    #[must_use]
    pub fn permissive() -> Self {
        let names = workspace::settings().filter(|setting| setting.permission).map(|setting| setting.name);
        let allow = Sourced::new(names.collect(), Origin::new(SourceName::Default, "policy"));
        Self { default: RuleSet { allow: Some(allow), ..RuleSet::default() }, ..Self::default() }
    }

    /// Returns the rules for an organization with these names. Those of an earlier name are stronger, and
    /// those of an organization are stronger than those for all: field by field,
    /// in `values` and `maximum` entry by entry.
    #[must_use]
    pub fn rules_for(&self, organization: &[&str]) -> Rules {
        let own = organization.iter().filter_map(|name| self.organizations.get(*name));
        let mut rules = Rules::default();
        for set in own.chain([&self.default]).collect::<Vec<_>>().into_iter().rev() {
            rules.replace_by(set);
        }
        rules
    }
}

impl Default for Rules {
    fn default() -> Self {
        let built_in = || Origin::new(SourceName::Default, "policy");
        Self {
            allow: Sourced::new(BTreeSet::new(), built_in()),
            forbid: Sourced::new(BTreeSet::new(), built_in()),
            pod_security: Sourced::new(PodSecurityLevel::Baseline, built_in()),
            values: BTreeMap::new(),
            maximum: BTreeMap::new(),
            deadline: None,
        }
    }
}

impl Rules {
    fn replace_by(&mut self, stronger: &RuleSet) {
        let RuleSet { allow, forbid, pod_security, values, maximum, deadline } = stronger;
        if let Some(allow) = allow {
            self.allow.clone_from(allow);
        }
        if let Some(forbid) = forbid {
            self.forbid.clone_from(forbid);
        }
        if let Some(level) = pod_security {
            self.pod_security.clone_from(level);
        }
        self.values.extend(values.clone());
        self.maximum.extend(maximum.clone());
        if deadline.is_some() {
            self.deadline.clone_from(deadline);
        }
    }

    /// Returns the strictest level that every pod must meet.
    #[must_use]
    pub const fn pod_security(&self) -> &Sourced<PodSecurityLevel> {
        &self.pod_security
    }

    /// Returns the maximum for all containers of a pod that run at the same time, together.
    #[must_use]
    pub const fn maximum(&self) -> &BTreeMap<ResourceName, Sourced<Quantity>> {
        &self.maximum
    }

    /// Validates variables of a workspace as a whole, as a service does when they are stored: names, values,
    /// this policy with its maximum, for steps of every kind. `variables` are those of all layers that the
    /// workspace sees, or those of one layer alone.
    ///
    /// Checks that need the finished pod (fields of YAML variables, conflicting mounts, Pod Security) are
    /// those of `job_spec`, which plans or previews a Kubernetes Job.
    ///
    /// ```
    /// use config_core::{Rules, Variables};
    /// let variables: Variables = [
    ///     ("EPHEMERAL_CONFIG_IMAGE", "mine:1"),
    ///     ("EPHEMERAL_CPU_LIMIT_APPLY", "two"),
    ///     ("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "false"),
    /// ]
    /// .into_iter()
    /// .collect();
    /// let problems = Rules::default().validate(&variables).expect_err("a permission and a number are missing");
    /// assert_eq!(problems.iter().count(), 2);
    ///
    /// let switch: Variables = [("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "false")].into_iter().collect();
    /// assert_eq!(Rules::default().validate(&switch)?.len(), 1);
    /// # Ok::<(), config_core::Problems>(())
    /// ```
    ///
    /// # Errors
    /// Every problem, sorted by name. Warnings are returned where there is none; with problems,
    /// [`WorkspaceOverrides::warnings`] has them.
    pub fn validate(&self, variables: &Variables) -> Result<Vec<Warning>, Problems> {
        let mut problems = self.check(variables);
        for kind in [None].into_iter().chain(StepKind::ALL.map(Some)) {
            let (mut overrides, found) = WorkspaceOverrides::read(variables, kind);
            problems.extend(found);
            problems.extend(self.limit(&mut overrides));
        }
        Problems::into_result(problems, WorkspaceOverrides::warnings(variables))
    }

    /// Checks variables of workspaces, organizations and collections; those of the operator's settings file
    /// are exempt. A variable for steps of one kind is checked like the one for all.
    ///
    /// Lists that cannot be parsed are skipped: [`WorkspaceOverrides::read`](crate::WorkspaceOverrides::read)
    /// refuses them.
    #[must_use]
    pub fn check(&self, variables: &Variables) -> Vec<Problem> {
        variables
            .iter()
            .filter(|(_, found)| found.origin.source != SourceName::SettingsFile)
            .filter_map(|(name, found)| Some((workspace::find_for_any_kind(name)?, found)))
            .flat_map(|(variable, found)| self.check_variable(variable, found))
            .collect()
    }

    /// Checks a value that reaches the pod through another variable, such as the image of an init container,
    /// against `forbid` and `values` of the variable that is meant for it.
    /// Returns what is expected where the policy refuses the value.
    #[must_use]
    pub fn refusal(&self, variable: &str, value: &str) -> Option<String> {
        if self.forbid.value.contains(variable) {
            return Some(format!("no value of a workspace, by {}", self.forbid.origin));
        }
        let Sourced { value: patterns, origin } = self.values.get(variable)?;
        (!patterns.matches(value)).then(|| format!("{patterns}, by {origin}"))
    }

    /// Returns whether `values` or `maximum` restricts the value of a variable that was found somewhere.
    #[must_use]
    pub fn restricts(&self, found: &Origin) -> bool {
        let name = found.key.rsplit(['/', '.']).next().unwrap_or(&found.key);
        let Some(variable) = workspace::find_for_any_kind(name) else { return false };
        let name = variable.setting().name;
        let has_maximum = |resource: &ResourceName| {
            [resource.request(), resource.limit()].iter().any(|amount| amount.name() == name)
        };
        found.source != SourceName::SettingsFile
            && (self.values.contains_key(name) || self.maximum.keys().any(has_maximum))
    }

    fn check_variable(&self, variable: &dyn AnyVariable, found: &Sourced<String>) -> Vec<Problem> {
        let setting = variable.setting();
        let Sourced { value, origin } = found;
        if let Some(problem) = self.not_permitted(setting, origin) {
            return vec![problem];
        }
        if setting.name == workspace::LABELS.name() {
            let labels = items::of(variable, value);
            let mut problems = self.check_items(setting, origin, &labels);
            problems.extend(labels.iter().flat_map(|label| self.check_label(origin, label)));
            return problems;
        }
        if self.values.contains_key(setting.name) {
            return self.check_items(setting, origin, &items::of(variable, value));
        }
        Vec::new()
    }

    /// Returns the problem of a variable that may not be set at all.
    fn not_permitted(&self, setting: &Setting, origin: &Origin) -> Option<Problem> {
        let key = setting.name;
        if self.forbid.value.contains(key) {
            let expected = format!("no value of a workspace, by {}", self.forbid.origin);
            return Some(Problem::new(origin.clone(), expected));
        }
        (setting.permission && !self.allow.value.contains(key)).then(|| {
            let expected = format!("the operator's permission, by {}", self.allow.origin);
            let hint = format!("the operator gives it with {key:?} in default.allow of the policy file");
            Problem::new(origin.clone(), expected).with_hint(hint)
        })
    }

    /// Checks items of a value against the patterns for a variable.
    fn check_items(&self, setting: &Setting, origin: &Origin, items: &[String]) -> Vec<Problem> {
        let Some(Sourced { value: patterns, origin: rule }) = self.values.get(setting.name) else {
            return Vec::new();
        };
        let refused = items.iter().filter(|item| !patterns.matches(item));
        let problem = |item: &String| {
            Problem::new(origin.clone(), format!("{patterns}, by {rule}"))
                .with_found(items::shown(setting, item))
        };
        refused.map(problem).collect()
    }

    /// Checks a label that has the effect of another variable against the rules for that variable. The other
    /// labels with its prefix belong to the same system, such as the priority class of a queue,
    /// and need the same permission.
    fn check_label(&self, origin: &Origin, label: &str) -> Vec<Problem> {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        let prefix = |key: &str| key.split_once('/').map(|(prefix, _)| prefix.to_owned());
        let mut problems = Vec::new();
        for setting in workspace::settings() {
            let Some(of_setting) = setting.job_label else { continue };
            if prefix(of_setting).is_none_or(|own| prefix(key).as_ref() != Some(&own)) {
                continue;
            }
            if let Some(problem) = self.not_permitted(setting, origin) {
                problems.push(problem.with_found(key));
            } else if key == of_setting {
                problems.extend(self.check_items(setting, origin, &[value.to_owned()]));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests;
