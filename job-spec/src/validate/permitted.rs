//! Whether the policy permits the images and service account tokens that added containers and volumes bring into the pod.
//!
//! The rules for `EPHEMERAL_CONFIG_IMAGE` and `EPHEMERAL_CONFIG_SERVICE_ACCOUNT` would mean little if an init container could
//! run any image, or a volume could hold the token of an account. The finished pod is checked, so the way by which
//! a field got there does not matter.

use config_core::{Origin, Problem, Rules, SourceName, workspace};
use k8s_openapi::api::core::v1::{PodSpec, Volume};

use crate::{EXECUTOR_CONTAINER, JobPlan, volumes::NAMES};

/// Checks a finished pod. What the operator's settings file sets is exempt, as everywhere.
pub(super) fn check(spec: &PodSpec, plan: &JobPlan, rules: &Rules, problems: &mut Vec<Problem>) {
    for container in spec.init_containers.iter().chain([&spec.containers]).flatten() {
        let Some(image) = &container.image else { continue };
        if container.name == EXECUTOR_CONTAINER || image == plan.platform_image.as_str() {
            continue;
        }
        let is_sidecar = plan.parts.sidecars.iter().any(|sidecar| sidecar.name == container.name);
        let set_by = if is_sidecar { workspace::SIDECARS.name() } else { workspace::INIT_CONTAINERS.name() };
        let field = format!("[{}].image", container.name);
        refuse(rules, workspace::IMAGE.name(), plan.origins.of(set_by), &field, image, problems);
    }
    // The volumes of settings have rules of their own.
    let is_of_settings = |volume: &&Volume| NAMES.contains(&volume.name.as_str());
    for volume in spec.volumes.iter().flatten().filter(|volume| !is_of_settings(volume)) {
        let origin = plan.origins.of(workspace::VOLUMES.name());
        check_image_volume(volume, rules, origin.clone(), problems);
        // With a named account the token is in the pod anyway.
        if spec.service_account_name.is_none() {
            check_token(volume, rules, origin, problems);
        }
    }
}

fn check_image_volume(volume: &Volume, rules: &Rules, origin: Origin, problems: &mut Vec<Problem>) {
    if let Some(image) = volume.image.as_ref().and_then(|image| image.reference.as_ref()) {
        let field = format!("[{}].image.reference", volume.name);
        refuse(rules, workspace::IMAGE.name(), origin, &field, image, problems);
    }
}

/// A pod that names no account runs with the account `default` of its namespace.
fn check_token(volume: &Volume, rules: &Rules, origin: Origin, problems: &mut Vec<Problem>) {
    let mut sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    if sources.any(|source| source.service_account_token.is_some()) {
        let field = format!("[{}].projected.sources.serviceAccountToken", volume.name);
        refuse(rules, workspace::SERVICE_ACCOUNT.name(), origin, &field, "default", problems);
    }
}

fn refuse(
    rules: &Rules,
    variable: &str,
    origin: Origin,
    field: &str,
    value: &str,
    problems: &mut Vec<Problem>,
) {
    if origin.source == SourceName::SettingsFile {
        return;
    }
    if let Some(expected) = rules.refusal(variable, value) {
        problems.push(Problem::new(origin, expected).with_found(&format!("{field}: {value}")));
    }
}
