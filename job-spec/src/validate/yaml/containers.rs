//! Containers that a workspace adds: those that end before the executor starts, and those that run beside it.
//!
//! Sidecars are init containers that restart always, the form of Kubernetes since 1.29:
//! <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>. A second container of the other
//! kind would keep the Kubernetes Job from ending.

use std::collections::BTreeSet;

use config_core::{kubernetes::Rule, value::Yaml, workspace};
use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar};
use serde_json::Value;

use super::{Checks, FieldErrors, resources, secrets, shown, strict, volumes::check_mount};
use crate::render::{EXECUTOR_CONTAINER, restricted};

const ALWAYS: &str = "Always";

impl Checks<'_> {
    /// Plans the containers of one variable; `names` are those that containers have already.
    pub(super) fn containers(
        &mut self,
        key: &'static str,
        yaml: Option<&Yaml>,
        volumes: &BTreeSet<String>,
        names: &mut BTreeSet<String>,
    ) -> Vec<Container> {
        let Some(yaml) = yaml else { return Vec::new() };
        let list = self.of_variable(key, |errors| read(errors, yaml.value(), volumes, names));
        let complete = |mut container: Container| {
            if key == workspace::SIDECARS.name() {
                container.restart_policy = Some(ALWAYS.to_owned());
            }
            container.security_context.get_or_insert_with(restricted);
            container
        };
        list.into_iter().map(complete).collect()
    }
}

fn read(
    errors: &mut FieldErrors,
    value: &Value,
    volumes: &BTreeSet<String>,
    names: &mut BTreeSet<String>,
) -> Vec<Container> {
    secrets::check(errors, "", value);
    let list: Vec<(usize, Container)> = strict::list(errors, value);
    for (index, container) in &list {
        let path = format!("[{index}]");
        check_name(errors, &path, &container.name, names);
        check_container(errors, &path, container, volumes);
    }
    list.into_iter().map(|(_, container)| container).collect()
}

fn check_name(errors: &mut FieldErrors, path: &str, name: &str, names: &mut BTreeSet<String>) {
    let path = format!("{path}.name");
    errors.check(&path, name, Rule::DnsLabel);
    if name == EXECUTOR_CONTAINER {
        errors.push(&path, name, "another name than that of the executor's container");
    } else if !names.insert(name.to_owned()) {
        errors.push(&path, shown(name), "a name that no other container has");
    }
}

fn check_container(errors: &mut FieldErrors, path: &str, container: &Container, volumes: &BTreeSet<String>) {
    let Container { image, image_pull_policy, restart_policy, termination_message_policy, .. } = container;
    match image {
        Some(image) => errors.check(&format!("{path}.image"), image, Rule::ContainerImage),
        None => errors.push(&format!("{path}.image"), "nothing", Rule::ContainerImage.expected()),
    }
    for (field, value, known) in [
        ("imagePullPolicy", image_pull_policy, &["Always", "IfNotPresent", "Never"] as &[&str]),
        ("restartPolicy", restart_policy, &[ALWAYS]),
        ("terminationMessagePolicy", termination_message_policy, &["File", "FallbackToLogsOnError"]),
    ] {
        if let Some(value) = value {
            errors.check_one_of(&format!("{path}.{field}"), value, known);
        }
    }
    // Kubernetes refuses these of containers that end before the next one starts.
    let is_sidecar = restart_policy.is_some() || errors.is_of(workspace::SIDECARS.name());
    for (field, is_there) in [
        ("lifecycle", container.lifecycle.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
    ] {
        if is_there && !is_sidecar {
            errors.push(
                &format!("{path}.{field}"),
                "",
                "restartPolicy: Always beside it, which makes it a sidecar",
            );
        }
    }
    for (index, entry) in container.env.iter().flatten().enumerate() {
        check_env(errors, &format!("{path}.env[{index}]"), entry);
    }
    for (index, source) in container.env_from.iter().flatten().enumerate() {
        check_env_from(errors, &format!("{path}.envFrom[{index}]"), source);
    }
    let mut paths = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        check_mount(errors, &path, mount, volumes);
        if !paths.insert(crate::names::folders(&mount.mount_path).collect::<Vec<_>>()) {
            errors.push(
                &format!("{path}.mountPath"),
                shown(&mount.mount_path),
                "a path that no other mount has",
            );
        }
    }
    if let Some(requirements) = &container.resources {
        resources::check(errors, &format!("{path}.resources"), requirements);
    }
}

/// No value is shown: it may be a secret. None is too long for Linux: a whole document of YAML is shorter.
pub(super) fn check_env(errors: &mut FieldErrors, path: &str, EnvVar { name, value, value_from }: &EnvVar) {
    errors.check(&format!("{path}.name"), name, Rule::EnvName);
    if value.is_some() && value_from.is_some() {
        errors.push(path, "value and valueFrom", "one of them");
    }
    if let Some(source) = value_from {
        let count = fields_of(source);
        if count != 1 {
            errors.push(&format!("{path}.valueFrom"), &format!("{count} fields"), "exactly one");
        }
    }
}

pub(super) fn check_env_from(errors: &mut FieldErrors, path: &str, source: &EnvFromSource) {
    if source.config_map_ref.is_some() == source.secret_ref.is_some() {
        errors.push(path, "", "either configMapRef or secretRef");
    }
}

fn fields_of(source: &impl serde::Serialize) -> usize {
    serde_json::to_value(source)
        .ok()
        .and_then(|value| value.as_object().map(serde_json::Map::len))
        .unwrap_or(0)
}
