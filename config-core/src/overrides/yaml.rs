//! Variables whose value is YAML: whether the data has the right form as a whole.
//!
//! What the fields mean to Kubernetes is not known here.

use serde_json::Value;

use super::reader::Reader;
use crate::{Problem, keys, value::Yaml};

/// Parts of the pod as a workspace writes them in the words of Kubernetes: plain data, of which only the form as a whole was
/// checked. `Default` has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct YamlOverrides {
    /// Near which nodes and pods the pod runs: an object `v1.Affinity`.
    pub affinity: Option<Yaml>,
    /// How evenly pods are spread: a list of `v1.TopologySpreadConstraint`.
    pub topology_spread: Option<Yaml>,
    /// Containers that end before the executor starts: a list of `v1.Container`.
    pub init_containers: Option<Yaml>,
    /// Containers that run beside the executor: a list of `v1.Container`.
    pub sidecars: Option<Yaml>,
    /// More volumes: a list of `v1.Volume`.
    pub volumes: Option<Yaml>,
    /// What else is mounted into the executor: a list of `v1.VolumeMount`.
    pub volume_mounts: Option<Yaml>,
    /// Changes of the pod's template: an object to merge, or a list of JSON patch operations.
    pub pod_patch: Option<Yaml>,
}

/// What a document is as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Object,
    List,
    ObjectOrList,
}

impl Form {
    fn is_of(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
            Self::ObjectOrList => value.is_object() || value.is_array(),
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Object => "an object in YAML or JSON",
            Self::List => "a list in YAML or JSON",
            Self::ObjectOrList => "an object or a list in YAML or JSON",
        }
    }
}

impl Reader<'_> {
    pub(super) fn yaml_overrides(&mut self) -> YamlOverrides {
        YamlOverrides {
            affinity: self.yaml(keys::CONFIG_AFFINITY, Form::Object),
            topology_spread: self.yaml(keys::CONFIG_TOPOLOGY_SPREAD, Form::List),
            init_containers: self.yaml(keys::CONFIG_INIT_CONTAINERS, Form::List),
            sidecars: self.yaml(keys::CONFIG_SIDECARS, Form::List),
            volumes: self.yaml(keys::CONFIG_VOLUMES, Form::List),
            volume_mounts: self.yaml(keys::CONFIG_VOLUME_MOUNTS, Form::List),
            pod_patch: self.yaml(keys::CONFIG_POD_PATCH, Form::ObjectOrList),
        }
    }

    fn yaml(&mut self, name: &str, form: Form) -> Option<Yaml> {
        let yaml: Yaml = self.entry(name)?;
        if form.is_of(yaml.value()) {
            return Some(yaml);
        }
        let problem = Problem::new(self.origin(name), form.expected()).with_found(yaml.kind());
        self.push(if yaml.value().is_null() {
            problem.with_hint("remove it to set nothing")
        } else {
            problem
        });
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::WorkspaceOverrides;

    fn message(name: &str, text: &str) -> String {
        WorkspaceOverrides::parse(&[(name, text)].into_iter().collect(), None).unwrap_err().to_string()
    }

    #[test]
    fn a_document_of_another_form_is_refused_without_its_content() {
        let affinity = "EPHEMERAL_CONFIG_AFFINITY";
        let spread = "EPHEMERAL_CONFIG_TOPOLOGY_SPREAD_PLAN";
        let cases = [
            (affinity, "[hunter2]", "found \"a list\", expected an object in YAML or JSON"),
            (affinity, "hunter2", "found \"text\", expected an object in YAML or JSON"),
            (
                affinity,
                " # only a comment",
                "found \"nothing\", expected an object in YAML or JSON; remove it to set nothing",
            ),
            (
                "EPHEMERAL_CONFIG_POD_PATCH",
                "hunter2",
                "found \"text\", expected an object or a list in YAML or JSON",
            ),
            (spread, "{a: hunter2}", "found \"an object\", expected a list in YAML or JSON"),
            (spread, "- a: 'hunter2", "found \"line 1, column 6\", expected YAML; unclosed quote"),
        ];
        for (name, text, expected) in cases {
            assert_eq!(message(name, text), format!("workspace variable {name}: {expected}"), "{text:?}");
        }
    }

    #[test]
    fn an_object_and_a_list_are_read() {
        let variables =
            [("EPHEMERAL_CONFIG_AFFINITY", "{}"), ("EPHEMERAL_CONFIG_TOPOLOGY_SPREAD", "- a: 1\n")];
        let overrides = WorkspaceOverrides::parse(&variables.into_iter().collect(), None).unwrap();
        assert_eq!(overrides.yaml.affinity.unwrap().to_string(), "{}");
        assert_eq!(overrides.yaml.topology_spread.unwrap().to_string(), r#"[{"a":1}]"#);
        for patch in ["{}", "[]"] {
            let variables = [("EPHEMERAL_CONFIG_POD_PATCH", patch)].into_iter().collect();
            let overrides = WorkspaceOverrides::parse(&variables, None).unwrap();
            assert_eq!(overrides.yaml.pod_patch.unwrap().to_string(), patch);
        }
    }
}
