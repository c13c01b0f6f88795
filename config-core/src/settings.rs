//! The settings of the platform operator: where and with what image executors run.
//!
//! Merging is done in `layers.rs`; here the merged text is checked against the rules of Kubernetes.

use std::{collections::BTreeMap, str::FromStr};

use crate::{
    EnvSnapshot, FileVariables, Origin, Problem, Problems, SettingsFile, SourceName, Sourced, Variables,
    keys,
    kubernetes::Rule,
    layers::{self, Merged},
    source::{Layers, RawLayer, Target, env, property, spring_json},
    value::{Deliveries, EntryError, ListError, Names},
};

/// Where and with what image executors run.
///
/// The values of [`EphemeralSettings::load`] satisfy the rules of Kubernetes. `Default` is what an empty environment gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EphemeralSettings {
    /// Namespace of the Kubernetes Jobs.
    pub namespace: Sourced<String>,
    /// Container image of the executor.
    pub image: Sourced<String>,
    /// Secrets whose entries become environment variables of the executor; a later one wins.
    pub secrets: Sourced<Names>,
    /// How executors are handed their payloads.
    pub payload_delivery: Sourced<Deliveries>,
    /// Node selector of workspaces that name none themselves, by label key.
    pub node_selector: BTreeMap<String, Sourced<String>>,
    /// Variables for workspaces, from the settings file; weaker than what anybody sets for a workspace.
    pub variables: FileVariables,
}

impl EphemeralSettings {
    /// Reads, merges and checks the settings of an environment; the precedence is described at the [crate](crate).
    ///
    /// # Errors
    /// Every problem, sorted by key: options that a JVM would not accept, unknown names of our families, values that
    /// break a rule of Kubernetes. A value that a stronger source replaces is not checked.
    pub fn load(env: &EnvSnapshot) -> Result<Self, Problems> {
        Self::load_with(env, None)
    }

    /// Does the same with a settings file, which is weaker than the environment.
    ///
    /// # Errors
    /// The same problems; those of values of the file tell their lines.
    pub fn load_with(env: &EnvSnapshot, file: Option<&SettingsFile>) -> Result<Self, Problems> {
        let options = |source, variable| {
            env.get(variable).map(|text| property::read_options(source, variable, text)).unwrap_or_default()
        };
        let mut layers = vec![defaults()];
        layers.extend(file.map(|file| file.layer.clone()));
        let mut all_properties = Vec::new();
        let mut problems = Vec::new();
        for Layers { short, properties, problems: found } in [
            env::read(env),
            options(SourceName::JavaToolOptions, keys::JAVA_TOOL_OPTIONS),
            options(SourceName::JavaOptions, keys::JAVA_OPTIONS),
            env.get(keys::SPRING_APPLICATION_JSON).map(spring_json::read).unwrap_or_default(),
        ] {
            layers.extend(short);
            all_properties.extend(properties);
            problems.extend(found);
        }
        layers.extend(all_properties);
        let mut settings = Self::from_merged(layers::merge(layers), &mut problems);
        settings.check(&mut problems);
        if let Some(file) = file {
            settings.variables = file.variables.clone();
            file.lines.locate(SourceName::SettingsFile, &mut problems);
        }
        Problems::none_or(problems, settings)
    }

    /// Names that cannot be read become problems; the default stands in for them.
    fn from_merged(merged: Merged, problems: &mut Vec<Problem>) -> Self {
        let Merged { namespace, image, secret, payload_delivery, node_selector } = merged;
        let default_secrets = || keys::DEFAULT_SECRET.parse::<Names>().expect("the default is a name");
        Self {
            namespace,
            image,
            secrets: parsed(secret, problems, default_secrets),
            payload_delivery: parsed(payload_delivery, problems, Deliveries::default),
            node_selector,
            variables: FileVariables::default(),
        }
    }

    /// Returns the variables that the settings file has for the workspaces of an organization; it is looked for by each of
    /// the names given, and of two values of a variable that of the earlier name holds.
    ///
    /// They are weaker than those of workspace, organization and collections:
    /// `Variables::merge(…).or(settings.variables_for(&[id, name]))`.
    #[must_use]
    pub fn variables_for(&self, organization: &[&str]) -> Variables {
        self.variables.of(organization)
    }

    fn check(&self, problems: &mut Vec<Problem>) {
        // Secrets are names already, ways of delivery are known ones, and variables were checked with their file.
        let Self { namespace, image, secrets: _, payload_delivery: _, node_selector, variables: _ } = self;
        for (sourced, rule) in [(namespace, Rule::DnsLabel), (image, Rule::ContainerImage)] {
            check_value(sourced, rule, problems);
        }
        for (label, value) in node_selector {
            if !Rule::LabelKey.holds(label) {
                problems
                    .push(Problem::new(value.origin.clone(), Rule::LabelKey.expected()).with_found(label));
            }
            check_value(value, Rule::LabelValue, problems);
        }
    }
}

impl Default for EphemeralSettings {
    fn default() -> Self {
        Self::from_merged(layers::merge(vec![defaults()]), &mut Vec::new())
    }
}

fn defaults() -> RawLayer {
    let mut layer = RawLayer::default();
    for (target, key, value) in [
        (Target::Namespace, keys::EXECUTOR_EPHEMERAL_NAMESPACE, keys::DEFAULT_NAMESPACE),
        (Target::Image, keys::EXECUTOR_EPHEMERAL_IMAGE, keys::DEFAULT_IMAGE),
        (Target::Secret, keys::EXECUTOR_EPHEMERAL_SECRET, keys::DEFAULT_SECRET),
        (Target::PayloadDelivery, keys::EXECUTOR_EPHEMERAL_PAYLOAD_DELIVERY, keys::DEFAULT_PAYLOAD_DELIVERY),
    ] {
        layer.push(target, value, Origin::new(SourceName::Default, key));
    }
    layer
}

/// Reads a list; every faulty item is a problem, and the default stands in for the list.
fn parsed<T: FromStr<Err = ListError>>(
    Sourced { value, origin }: Sourced<String>,
    problems: &mut Vec<Problem>,
    default: impl FnOnce() -> T,
) -> Sourced<T> {
    let list = value.parse().unwrap_or_else(|errors: ListError| {
        let empty = value.trim().is_empty();
        problems.extend(errors.iter().map(|EntryError { entry, expected, hint }| Problem {
            hint: if empty { Some("remove it to use the default".to_owned()) } else { hint.clone() },
            ..Problem::new(origin.clone(), expected.clone()).with_found(entry)
        }));
        default()
    });
    Sourced::new(list, origin)
}

fn check_value(sourced: &Sourced<String>, rule: Rule, problems: &mut Vec<Problem>) {
    let Sourced { value, origin } = sourced;
    if rule.holds(value) {
        return;
    }
    let problem = Problem::new(origin.clone(), rule.expected()).with_found(value);
    problems.push(if value.is_empty() { problem.with_hint("remove it to use the default") } else { problem });
}

#[cfg(test)]
mod tests;
