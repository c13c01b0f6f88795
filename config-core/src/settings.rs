//! The settings of the platform operator: where and with what image executors run.
//!
//! Merging is done in `layers.rs`; here the merged text is checked against the rules of Kubernetes.

use std::{collections::BTreeMap, str::FromStr};

use crate::{
    EnvSnapshot, FileVariables, Origin, Problem, Problems, SettingsFile, SourceName, Sourced, Variables,
    keys,
    layers::{self, Merged},
    names::{Image, LabelKey, LabelValue, NameError, Namespace, SecretName},
    source::{Layers, RawLayer, Target, env, property, spring_json},
    value::{Deliveries, EntryError, ListError, NameList},
};

/// Where and with what image executors run.
///
/// `Default` is what an empty environment gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EphemeralSettings {
    /// Namespace of the Kubernetes Jobs.
    pub namespace: Sourced<Namespace>,
    /// Container image of the executor.
    pub image: Sourced<Image>,
    /// Secrets whose entries become environment variables of the executor; a later one wins.
    pub secrets: Sourced<NameList<SecretName>>,
    /// How executors are handed their payloads.
    pub payload_delivery: Sourced<Deliveries>,
    /// Node selector of workspaces that name none themselves, by label key.
    pub node_selector: BTreeMap<LabelKey, Sourced<LabelValue>>,
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
        if let Some(file) = file {
            settings.variables = file.variables.clone();
            file.lines.locate(SourceName::SettingsFile, &mut problems);
        }
        Problems::none_or(problems, settings)
    }

    /// Values that cannot be parsed become problems; the default stands in for them.
    fn from_merged(merged: Merged, problems: &mut Vec<Problem>) -> Self {
        let Merged { namespace, image, secret, payload_delivery, node_selector } = merged;
        let default = "the default is valid";
        Self {
            namespace: name(namespace, problems, || Namespace::new(keys::DEFAULT_NAMESPACE).expect(default)),
            image: name(image, problems, || Image::new(keys::DEFAULT_IMAGE).expect(default)),
            secrets: list(secret, problems, || keys::DEFAULT_SECRET.parse().expect(default)),
            payload_delivery: list(payload_delivery, problems, Deliveries::default),
            node_selector: labels(node_selector, problems),
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

const IF_EMPTY: &str = "remove it to use the default";

/// Parses a name; the default stands in for a faulty one.
fn name<T: FromStr<Err = NameError>>(
    Sourced { value, origin }: Sourced<String>,
    problems: &mut Vec<Problem>,
    default: impl FnOnce() -> T,
) -> Sourced<T> {
    let name = checked(value.parse(), &origin, problems).unwrap_or_else(default);
    Sourced::new(name, origin)
}

/// Parses a list; the default stands in for a faulty one.
fn list<T: FromStr<Err = ListError>>(
    Sourced { value, origin }: Sourced<String>,
    problems: &mut Vec<Problem>,
    default: impl FnOnce() -> T,
) -> Sourced<T> {
    let list = value.parse().unwrap_or_else(|errors: ListError| {
        let empty = value.trim().is_empty();
        problems.extend(errors.iter().map(|EntryError { entry, expected, hint }| Problem {
            hint: if empty { Some(IF_EMPTY.to_owned()) } else { hint.clone() },
            ..Problem::new(origin.clone(), expected.clone()).with_found(entry)
        }));
        default()
    });
    Sourced::new(list, origin)
}

/// Parses labels; a faulty one is left out.
fn labels(
    labels: BTreeMap<String, Sourced<String>>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<LabelKey, Sourced<LabelValue>> {
    let mut parsed = BTreeMap::new();
    for (key, Sourced { value, origin }) in labels {
        let key = checked(LabelKey::new(key), &origin, problems);
        let value = checked(LabelValue::new(value), &origin, problems);
        parsed.extend(key.zip(value.map(|value| Sourced::new(value, origin))));
    }
    parsed
}

fn checked<T>(name: Result<T, NameError>, origin: &Origin, problems: &mut Vec<Problem>) -> Option<T> {
    name.map_err(|NameError { found, rule }| {
        let problem = Problem::new(origin.clone(), rule.expected()).with_found(&found);
        problems.push(if found.is_empty() { problem.with_hint(IF_EMPTY) } else { problem });
    })
    .ok()
}

#[cfg(test)]
mod tests;
