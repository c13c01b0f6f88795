//! The container of the executor.

use std::collections::BTreeMap;

use config_core::{
    ResourceName, Resources,
    value::{ContainerSecurity, NameList, Quantity as Amount},
    workspace,
};
use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapEnvSource, Container, EnvFromSource, ResourceRequirements, SecretEnvSource,
        SecurityContext,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::volumes;
use crate::{
    JobPlan,
    names::{ConfigMapName, SecretName},
};

/// Name of the executor's container.
pub const EXECUTOR_CONTAINER: &str = "executor";

pub(super) fn render(plan: &JobPlan) -> Container {
    let JobPlan { image, secrets, volumes, parts, overrides, .. } = plan;
    let resources = overrides.resources();
    let config_maps =
        overrides.get(&workspace::ENVFROM_CONFIG_MAP).map(NameList::as_slice).unwrap_or_default();
    Container {
        env_from: Some(env_from(secrets, config_maps)),
        image: Some(image.as_str().to_owned()),
        image_pull_policy: overrides
            .get(&workspace::IMAGE_PULL_POLICY)
            .map(|policy| policy.as_str().to_owned()),
        name: EXECUTOR_CONTAINER.to_owned(),
        resources: (!resources.is_empty()).then(|| requirements(&resources)),
        security_context: Some(
            overrides.get(&workspace::SECURITY_CONTEXT).map_or_else(restricted, security_context),
        ),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: volumes::mounts(volumes, &parts.volume_mounts),
        ..Container::default()
    }
}

/// Of two entries with one name the later one holds, so Secrets of the platform come after config maps of the
/// workspace. None is optional: an executor without its credentials would fail later and say less.
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
