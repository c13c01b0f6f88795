//! Containers beside the executor's, and changes of the pod as YAML.

use serde_json::Value;

use crate::{
    setting::{Items, Setting, value, variables},
    value::{EntryError, ListError, Yaml},
};

variables! {
    CONTAINERS_GROUP;

    /// Containers that run to completion before the executor starts, one after the other; they start after
    /// those of `EPHEMERAL_CONFIG_SIDECARS`. One with `restartPolicy: Always` is a sidecar that starts at its
    /// place in this list. A container without a `securityContext` gets one that Pod Security *restricted*
    /// accepts. The Secret of an attempt cannot be named.
    INIT_CONTAINERS: Yaml = list, Setting {
        grammar: "YAML or JSON: a list of `v1.Container` of Kubernetes",
        example: "[{name: fetch, image: registry.example.com/fetch:1, volumeMounts: [{name: shared, \
            mountPath: /shared}]}]",
        permission: true,
        items: Items::Yaml,
        ..Setting::workspace("EPHEMERAL_CONFIG_INIT_CONTAINERS")
    };

    /// Containers that start before the executor, before all init containers, and are stopped after its end:
    /// init containers with `restartPolicy: Always`, which do not keep the Kubernetes Job from ending.
    /// Security context and Secrets as with init containers.
    SIDECARS: Yaml = list, Setting {
        grammar: "YAML or JSON: a list of `v1.Container` of Kubernetes",
        example: "[{name: proxy, image: registry.example.com/proxy:1}]",
        permission: true,
        items: Items::Yaml,
        ..Setting::workspace("EPHEMERAL_CONFIG_SIDECARS")
    };

    /// Fields of the pod for which there is no other variable. An object is merged as Kubernetes merges:
    /// lists of named things by name, other lists are replaced, and `null` removes a field. A field that
    /// another variable sets, or that an executor needs as it is, cannot be changed;
    /// the executor's environment cannot be seen.
    POD_PATCH: Yaml = object_or_list, Setting {
        grammar: "YAML or JSON: an object, merged into the `v1.PodTemplateSpec`; or a list of operations of \
                  RFC 6902 (JSON patch) on it",
        example: "{spec: {dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.53]}, containers: [{name: \
                  executor, resources: {limits: {nvidia.com/gpu: 1}, requests: {nvidia.com/gpu: 1}}}]}}",
        permission: true,
        items: Items::Yaml,
        ..Setting::workspace("EPHEMERAL_CONFIG_POD_PATCH")
    };
}

/// Parses YAML that is an object as a whole.
pub(super) fn object(text: &str) -> Result<Yaml, ListError> {
    document(text, Value::is_object, "an object in YAML or JSON")
}

/// Parses YAML that is a list as a whole.
pub(super) fn list(text: &str) -> Result<Yaml, ListError> {
    document(text, Value::is_array, "a list in YAML or JSON")
}

fn object_or_list(text: &str) -> Result<Yaml, ListError> {
    document(text, |value| value.is_object() || value.is_array(), "an object or a list in YAML or JSON")
}

fn document(text: &str, has_form: fn(&Value) -> bool, expected: &str) -> Result<Yaml, ListError> {
    let yaml: Yaml = value(text)?;
    if has_form(yaml.value()) {
        return Ok(yaml);
    }
    let error = EntryError::new(yaml.kind(), expected);
    Err(if yaml.value().is_null() { error.with_hint("remove it to set nothing") } else { error }.into())
}
