//! The one container: the executor.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvFromSource, EnvVar, SecretEnvSource, SecurityContext,
};

use super::volumes;
use crate::{
    names::{Image, SecretName},
    plan::ConfigMapVolume,
};

/// Name of the executor's container.
pub const EXECUTOR_CONTAINER: &str = "executor";

pub(super) fn render(
    image: &Image,
    secret: &SecretName,
    env: Vec<EnvVar>,
    config_map: Option<&ConfigMapVolume>,
) -> Container {
    Container {
        env: Some(env),
        env_from: Some(vec![env_from(secret)]),
        image: Some(image.as_str().to_owned()),
        name: EXECUTOR_CONTAINER.to_owned(),
        security_context: Some(security_context()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: config_map.map(|config_map| vec![volumes::mount(config_map)]),
        ..Container::default()
    }
}

/// Not optional: an executor without its credentials would fail later and say less.
fn env_from(secret: &SecretName) -> EnvFromSource {
    EnvFromSource {
        secret_ref: Some(SecretEnvSource { name: secret.as_str().to_owned(), optional: None }),
        ..EnvFromSource::default()
    }
}

fn security_context() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
        ..SecurityContext::default()
    }
}
