//! The container of the executor.

use std::collections::BTreeMap;

use config_core::{
    ResourceName, Resources,
    value::{ContainerSecurity, ImagePullPolicy, Quantity as Amount},
};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapEnvSource, Container, EnvFromSource, ResourceRequirements, SecretEnvSource,
        SecurityContext, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use crate::names::{ConfigMapName, Image, SecretName};

/// Name of the executor's container.
pub const EXECUTOR_CONTAINER: &str = "executor";

/// What the container is made of.
pub(super) struct Parts<'a> {
    pub(super) image: &'a Image,
    pub(super) image_pull_policy: Option<ImagePullPolicy>,
    pub(super) secrets: &'a [SecretName],
    pub(super) env_from_config_maps: &'a [ConfigMapName],
    pub(super) mounts: Option<Vec<VolumeMount>>,
    pub(super) resources: &'a Resources,
    pub(super) security: &'a ContainerSecurity,
}

pub(super) fn render(parts: Parts<'_>) -> Container {
    let Parts { image, image_pull_policy, secrets, env_from_config_maps, mounts, resources, security } =
        parts;
    Container {
        env_from: Some(env_from(secrets, env_from_config_maps)),
        image: Some(image.as_str().to_owned()),
        image_pull_policy: image_pull_policy.map(|policy| policy.as_str().to_owned()),
        name: EXECUTOR_CONTAINER.to_owned(),
        resources: (!resources.is_empty()).then(|| requirements(resources)),
        security_context: Some(security_context(security)),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: mounts,
        ..Container::default()
    }
}

/// Of two entries with one name the later one holds, so Secrets of the platform come after config maps of the workspace.
/// None is optional: an executor without its credentials would fail later and say less.
fn env_from(secrets: &[SecretName], config_maps: &[ConfigMapName]) -> Vec<EnvFromSource> {
    let config_maps = config_maps.iter().map(|name| EnvFromSource {
        config_map_ref: Some(ConfigMapEnvSource { name: name.as_str().to_owned(), optional: None }),
        ..EnvFromSource::default()
    });
    let secrets = secrets.iter().map(|name| EnvFromSource {
        secret_ref: Some(SecretEnvSource { name: name.as_str().to_owned(), optional: None }),
        ..EnvFromSource::default()
    });
    config_maps.chain(secrets).collect()
}

/// What every container has that says nothing else; Pod Security *restricted* accepts it.
pub(crate) fn restricted() -> SecurityContext {
    security_context(&ContainerSecurity::default())
}

fn security_context(security: &ContainerSecurity) -> SecurityContext {
    let added: Vec<String> = security.add_capabilities().map(str::to_owned).collect();
    let capabilities =
        Capabilities { add: (!added.is_empty()).then_some(added), drop: Some(vec!["ALL".to_owned()]) };
    SecurityContext {
        allow_privilege_escalation: Some(security.allow_privilege_escalation().unwrap_or(false)),
        capabilities: Some(capabilities),
        read_only_root_filesystem: security.read_only_root_filesystem(),
        ..SecurityContext::default()
    }
}

fn requirements(resources: &Resources) -> ResourceRequirements {
    ResourceRequirements {
        claims: None,
        limits: amounts(resources.limits()),
        requests: amounts(resources.requests()),
    }
}

fn amounts(amounts: &BTreeMap<ResourceName, Amount>) -> Option<BTreeMap<String, Quantity>> {
    let amounts: BTreeMap<String, Quantity> = amounts
        .iter()
        .map(|(name, amount)| (name.as_str().to_owned(), Quantity(amount.to_string())))
        .collect();
    (!amounts.is_empty()).then_some(amounts)
}
