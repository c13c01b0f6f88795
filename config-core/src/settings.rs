//! The settings of the platform operator: where and with what image executors run.
//!
//! Merging is done in `layers.rs`; here the merged text is checked against the rules of Kubernetes.

use std::collections::BTreeMap;

use crate::{
    EnvSnapshot, FileVariables, Origin, Problem, Problems, SettingsFile, SourceName, Sourced, Variables,
    Warning, keys,
    layers::{self, Merged},
    names::{Image, LabelKey, LabelValue, NameError, Namespace, SecretName},
    overrides::value_problems,
    platform,
    setting::{OldName, Variable},
    source::{Layers, OldUse, RawLayer, Target, env, property, spring_json},
    value::{Count, Deliveries, NameList, Seconds},
};

/// Where and with what image executors run.
///
/// `Default` has the built-in defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EphemeralSettings {
    /// Namespace of the Kubernetes Jobs.
    pub namespace: Sourced<Namespace>,
    /// Container image of the executor.
    pub image: Sourced<Image>,
    /// Secrets whose entries become environment variables of the executor; a later one wins.
    pub secrets: Sourced<NameList<SecretName>>,
    /// How payloads get to executors.
    pub payload_delivery: Sourced<Deliveries>,
    /// How long an executor may wait for one and the same thing before it starts.
    pub pod_start_timeout: Sourced<Seconds>,
    /// How many steps the server runs at a time; 0 is no limit.
    pub max_running_steps: Sourced<Count>,
    /// How many steps of one organization the server runs at a time; 0 is no limit.
    pub max_running_steps_per_organization: Sourced<Count>,
    /// How often a plan is repeated that was lost to the cluster.
    pub plan_retries: Sourced<Count>,
    /// How long a running executor may be silent before its job says so.
    pub lost_contact_timeout: Sourced<Seconds>,
    /// How long the local backend keeps the folder of an ended Kubernetes Job.
    pub local_job_retention: Sourced<Seconds>,
    /// Node selector of workspaces that set none themselves, by label key.
    pub node_selector: BTreeMap<LabelKey, Sourced<LabelValue>>,
    /// Variables for workspaces, from the settings file; weaker than those of workspace,
    /// organization and collections.
    pub variables: FileVariables,
    /// What is accepted but should be changed, such as old names.
    pub warnings: Vec<Warning>,
}

impl EphemeralSettings {
    /// Reads, merges and checks the settings of an environment;
    /// the precedence is described at the [crate](crate).
    ///
    /// # Errors
    /// Every problem, sorted by key: options that a JVM would not accept, unknown names of our families,
    /// values that break a rule of Kubernetes. A value that a stronger source replaces is not checked.
    pub fn load(env: &EnvSnapshot) -> Result<Self, Problems> {
        Self::load_with(env, None)
    }

    /// Loads the settings with a settings file, which is weaker than the environment.
    ///
    /// # Errors
    /// The same problems; those of the file have their lines.
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
        let old_uses: Vec<OldUse> = layers.iter().flat_map(|layer| layer.old_uses.iter().cloned()).collect();
        let merged = layers::merge(layers);
        let warnings = old_uses.iter().map(|old| warning(old, &merged)).collect();
        let mut settings = Self { warnings, ..Self::from_merged(merged, &mut problems) };
        if let Some(file) = file {
            settings.variables = file.variables.clone();
            file.lines.locate(SourceName::SettingsFile, &mut problems);
        }
        Problems::into_result(problems, settings)
    }

    /// Values that cannot be parsed become problems and are replaced by the default.
    fn from_merged(merged: Merged, problems: &mut Vec<Problem>) -> Self {
        let Merged { mut settings, node_selector } = merged;
        Self {
            namespace: read(&platform::NAMESPACE, &mut settings, problems),
            image: read(&platform::IMAGE, &mut settings, problems),
            secrets: read(&platform::SECRET, &mut settings, problems),
            payload_delivery: read(&platform::PAYLOAD_DELIVERY, &mut settings, problems),
            pod_start_timeout: read(&platform::POD_START_TIMEOUT, &mut settings, problems),
            max_running_steps: read(&platform::MAX_RUNNING_STEPS, &mut settings, problems),
            max_running_steps_per_organization: read(
                &platform::MAX_RUNNING_STEPS_PER_ORGANIZATION,
                &mut settings,
                problems,
            ),
            plan_retries: read(&platform::PLAN_RETRIES, &mut settings, problems),
            lost_contact_timeout: read(&platform::LOST_CONTACT_TIMEOUT, &mut settings, problems),
            local_job_retention: read(&platform::LOCAL_JOB_RETENTION, &mut settings, problems),
            node_selector: labels(node_selector, problems),
            variables: FileVariables::default(),
            warnings: Vec::new(),
        }
    }

    /// Returns the variables that the settings file has for the workspaces of an organization with these
    /// names; those of an earlier name win.
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
    for setting in platform::settings() {
        if let Some(default) = setting.default {
            layer.push(
                Target::Setting(setting.name),
                default,
                Origin::new(SourceName::Default, setting.name),
            );
        }
    }
    layer
}

/// Parses the value of a setting; a faulty one is reported and replaced by the default.
fn read<T>(
    variable: &Variable<T>,
    settings: &mut BTreeMap<String, Sourced<String>>,
    problems: &mut Vec<Problem>,
) -> Sourced<T> {
    let Some(Sourced { value: text, origin }) = settings.remove(variable.name()) else {
        let origin = Origin::new(SourceName::Default, variable.name());
        return Sourced::new(variable.default_value(), origin);
    };
    let value = (variable.parse)(&text).unwrap_or_else(|errors| {
        problems.extend(value_problems(variable.setting(), &text, &origin, &errors));
        variable.default_value()
    });
    Sourced::new(value, origin)
}

fn warning(OldUse { name, old_name, found }: &OldUse, merged: &Merged) -> Warning {
    let OldName { name: _, property: _, until } = old_name;
    let used = merged.settings.get(*name).filter(|used| used.origin != found.origin);
    Warning {
        origin: found.origin.clone(),
        found: found.value.clone(),
        meaning: match used {
            Some(used) => {
                format!("which is the old name of {name} and is ignored, because {} is set", used.origin)
            }
            None => format!("which is the old name of {name}"),
        },
        hint: format!("use {name}; version {until} does not accept the old name"),
    }
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
    name.map_err(|error| {
        let NameError { found, .. } = &error;
        problems.extend(value_problems(&platform::NODE_SELECTOR, found, origin, &error.clone().into()));
    })
    .ok()
}

#[cfg(test)]
mod tests;
