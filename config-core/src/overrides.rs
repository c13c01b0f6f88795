//! What a workspace changes about its own pods: the `EPHEMERAL_CONFIG_*` variables as one typed struct.
//!
//! Whether an operator's policy permits a change is not decided here. The grammars are those of [`crate::value`]; this
//! module adds the names of the variables and the rules of Kubernetes.

use std::{collections::BTreeMap, str::FromStr};

use crate::{
    Origin, Problem, Problems, SourceName, keys,
    kubernetes::Rule,
    unknown,
    value::{KeyValues, ListError, Tolerations},
};

/// What the names of all supported variables begin with.
const CONFIG_PREFIX: &str = "EPHEMERAL_CONFIG_";

/// Kubernetes refuses annotations whose keys and values together are larger (256 KiB).
const LARGEST_ANNOTATIONS: usize = 256 * 1024;

/// What a workspace changes about its own pods; `Default` changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkspaceOverrides {
    /// Labels that the node must have. They replace the node selector of the settings; an empty list means any node.
    pub node_selector: Option<KeyValues>,
    /// Service account of the pod.
    pub service_account: Option<String>,
    /// Annotations of the Kubernetes Job.
    pub annotations: Option<KeyValues>,
    /// Taints that the pod tolerates.
    pub tolerations: Option<Tolerations>,
    /// Config map that is mounted into the executor.
    pub config_map: Option<ConfigMapMount>,
}

/// A config map and the folder in which its entries appear as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMapMount {
    /// Name of the config map, in the namespace of the Kubernetes Job.
    pub name: String,
    /// Absolute path inside the container.
    pub mount_path: String,
}

impl WorkspaceOverrides {
    /// Reads the overrides from the environment variables of a workspace (its variables of category `ENV`).
    ///
    /// Variables whose name does not begin with `EPHEMERAL_` are ignored.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use config_core::WorkspaceOverrides;
    ///
    /// let variables: BTreeMap<String, String> =
    ///     [("EPHEMERAL_CONFIG_TOLERATIONS", "gpu:Exsts"), ("EPHEMERAL_CONFIG_ANOTATION", "a=b")]
    ///         .map(|(name, value)| (name.to_owned(), value.to_owned()))
    ///         .into();
    /// let problems = WorkspaceOverrides::parse(&variables).expect_err("both are wrong");
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
    /// Every problem, sorted by name: unknown names, names that are not supported yet, malformed entries, values that
    /// break a rule of Kubernetes, a mount path without a config map.
    pub fn parse(env_variables: &BTreeMap<String, String>) -> Result<Self, Problems> {
        let mut reader = Reader { variables: env_variables, problems: Vec::new() };
        reader.refuse_unknown_names();
        let overrides = Self {
            node_selector: reader.node_selector(),
            service_account: reader
                .name(keys::CONFIG_SERVICE_ACCOUNT, "remove it to use no account of its own"),
            annotations: reader.annotations(),
            tolerations: reader.list(keys::CONFIG_TOLERATIONS),
            config_map: reader.config_map(),
        };
        Problems::none_or(reader.problems, overrides)
    }
}

/// Reads variables one by one and collects the problems.
struct Reader<'a> {
    variables: &'a BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    fn refuse_unknown_names(&mut self) {
        for name in self.variables.keys() {
            // Another case of the letters is a typing error too, so the prefix is looked for in any case.
            if !unknown::starts_with_ignoring_case(name, keys::EPHEMERAL_PREFIX)
                || keys::WORKSPACE_VARIABLES.contains(&name.as_str())
            {
                continue;
            }
            self.problems.push(if keys::NOT_YET_SUPPORTED.contains(&name.as_str()) {
                Problem::new(origin(name), "a setting that this version supports")
                    .with_hint("this one is known but not supported yet; remove it")
            } else {
                unknown::problem(origin(name), name, CONFIG_PREFIX, &keys::WORKSPACE_VARIABLES)
            });
        }
    }

    /// Reads a list; every faulty entry is a problem.
    fn list<T: FromStr<Err = ListError>>(&mut self, name: &str) -> Option<T> {
        let parsed = self.get(name)?.parse::<T>();
        match parsed {
            Ok(list) => Some(list),
            Err(errors) => {
                self.problems.extend(errors.iter().map(|error| Problem {
                    hint: error.hint.clone(),
                    ..Problem::new(origin(name), error.expected.clone()).with_found(&error.entry)
                }));
                None
            }
        }
    }

    fn check(&mut self, name: &str, text: &str, rule: Rule) {
        if !rule.holds(text) {
            self.problems.push(Problem::new(origin(name), rule.expected()).with_found(text));
        }
    }

    fn node_selector(&mut self) -> Option<KeyValues> {
        let name = keys::CONFIG_NODE_SELECTOR_TAGS;
        let tags: KeyValues = self.list(name)?;
        for (key, value) in tags.iter() {
            self.check(name, key, Rule::LabelKey);
            self.check(name, value, Rule::LabelValue);
        }
        Some(tags)
    }

    fn annotations(&mut self) -> Option<KeyValues> {
        let name = keys::CONFIG_ANNOTATIONS;
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
    fn name(&mut self, variable: &str, if_empty: &str) -> Option<String> {
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

    fn config_map(&mut self) -> Option<ConfigMapMount> {
        let mount_path = self.get(keys::CONFIG_MAP_MOUNT_PATH).map(|path| path.trim().to_owned());
        if let Some(path) = &mount_path {
            self.check(keys::CONFIG_MAP_MOUNT_PATH, path, Rule::MountPath);
            if self.get(keys::CONFIG_MAP_NAME).is_none() {
                self.problems.push(
                    Problem::new(
                        origin(keys::CONFIG_MAP_MOUNT_PATH),
                        format!("{} beside it", keys::CONFIG_MAP_NAME),
                    )
                    .with_hint("name the config map to mount, or remove the path"),
                );
            }
        }
        let name = self.name(keys::CONFIG_MAP_NAME, "remove it to mount no config map")?;
        let mount_path = mount_path.unwrap_or_else(|| keys::DEFAULT_CONFIG_MAP_MOUNT_PATH.to_owned());
        Some(ConfigMapMount { name, mount_path })
    }
}

fn origin(name: &str) -> Origin {
    Origin::new(SourceName::Workspace, name)
}

#[cfg(test)]
mod tests;
