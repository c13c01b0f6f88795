//! Whether the policy permits what added containers, added volumes and patches bring into the pod.
//!
//! The rules for `EPHEMERAL_CONFIG_IMAGE` and `EPHEMERAL_CONFIG_SERVICE_ACCOUNT` would mean little if an init
//! container could run any image, or a volume could hold the token of an account. The same holds for claims,
//! config maps, pull policies and user IDs. The finished pod is checked,
//! so the way by which a field got there does not matter.

use std::collections::BTreeSet;

use config_core::{Origin, Problem, Rules, SourceName, workspace};
use k8s_openapi::api::core::v1::{Container, PodSpec, SeccompProfile, Volume};

use crate::{JobPlan, volumes::NAMES};

/// Checks a finished pod. What the operator's settings file sets is exempt, as everywhere.
pub(super) fn check(spec: &PodSpec, plan: &JobPlan, rules: &Rules, problems: &mut Vec<Problem>) {
    let mut check = Check { plan, rules, problems };
    for container in &spec.containers {
        // Only a patch sets these of the executor; all else has variables of its own.
        check.user(container, spec, &plan.origins.of(workspace::POD_PATCH.name()));
    }
    for container in spec.init_containers.iter().flatten() {
        let is_sidecar = plan.parts.sidecars.iter().any(|sidecar| sidecar.name == container.name);
        let set_by = if is_sidecar { &workspace::SIDECARS } else { &workspace::INIT_CONTAINERS };
        let origin = plan.origins.of(set_by.name());
        check.added_container(container, &origin);
        check.user(container, spec, &origin);
    }
    let origin = plan.origins.of(workspace::VOLUMES.name());
    let added = |volume: &&Volume| !NAMES.contains(&volume.name.as_str());
    for volume in spec.volumes.iter().flatten().filter(added) {
        check.volume(volume, &origin);
        // With a named account the token is in the pod anyway.
        if spec.service_account_name.is_none() {
            check.token(volume, &origin);
        }
    }
}

struct Check<'a> {
    plan: &'a JobPlan,
    rules: &'a Rules,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn added_container(&mut self, container: &Container, origin: &Origin) {
        let field = |field: &str| format!("[{}].{field}", container.name);
        // Every workspace may use the image of the settings.
        let image = container.image.as_deref().filter(|image| *image != self.plan.platform_image.as_str());
        self.refuse(workspace::IMAGE.name(), origin, &field("image"), image);
        let pull = container.image_pull_policy.as_deref();
        self.refuse(workspace::IMAGE_PULL_POLICY.name(), origin, &field("imagePullPolicy"), pull);
        for source in container.env_from.iter().flatten() {
            let name = source.config_map_ref.as_ref().map(|config_map| config_map.name.as_str());
            self.refuse(workspace::ENVFROM_CONFIG_MAP.name(), origin, &field("envFrom.configMapRef"), name);
        }
        for source in container.env.iter().flatten().filter_map(|entry| entry.value_from.as_ref()) {
            let name = source.config_map_key_ref.as_ref().map(|config_map| config_map.name.as_str());
            let field = field("env.valueFrom.configMapKeyRef");
            self.refuse(workspace::ENVFROM_CONFIG_MAP.name(), origin, &field, name);
        }
        let Some(context) = &container.security_context else { return };
        let security = workspace::SECURITY_CONTEXT.name();
        let escalation = context.allow_privilege_escalation.is_none_or(|allowed| allowed);
        let item = escalation.then_some("allowPrivilegeEscalation=true");
        self.refuse(security, origin, &field("securityContext"), item);
        let added: BTreeSet<&str> = context
            .capabilities
            .iter()
            .flat_map(|all| all.add.iter().flatten())
            .map(String::as_str)
            .collect();
        let added: Vec<&str> = added.into_iter().collect();
        let item = (!added.is_empty()).then(|| format!("addCapabilities={}", added.join(",")));
        self.refuse(security, origin, &field("securityContext"), item.as_deref());
    }

    /// Checks what a container says about its user in place of the pod. What is as in the pod,
    /// or stricter, changes nothing.
    fn user(&mut self, container: &Container, spec: &PodSpec, origin: &Origin) {
        let Some(context) = &container.security_context else { return };
        let pod = spec.security_context.clone().unwrap_or_default();
        let differs = |own: Option<i64>, of_pod: Option<i64>| own.filter(|id| Some(*id) != of_pod);
        let profile = context.seccomp_profile.as_ref();
        let profile = profile.filter(|profile| Some(*profile) != pod.seccomp_profile.as_ref());
        let items = [
            differs(context.run_as_user, pod.run_as_user).map(|id| format!("runAsUser={id}")),
            differs(context.run_as_group, pod.run_as_group).map(|id| format!("runAsGroup={id}")),
            (context.run_as_non_root == Some(false) && pod.run_as_non_root != Some(false))
                .then(|| "runAsNonRoot=false".to_owned()),
            profile.map(|profile| format!("seccompProfile={}", shown(profile))),
        ];
        let field = format!("[{}].securityContext", container.name);
        for item in items.iter().flatten() {
            self.refuse(workspace::POD_SECURITY_CONTEXT.name(), origin, &field, Some(item));
        }
    }

    fn volume(&mut self, volume: &Volume, origin: &Origin) {
        let field = |field: &str| format!("[{}].{field}", volume.name);
        let image = volume.image.as_ref().and_then(|image| image.reference.as_deref());
        self.refuse(workspace::IMAGE.name(), origin, &field("image.reference"), image);
        let claim = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str());
        self.refuse(workspace::PVC_CLAIM_NAME.name(), origin, &field("persistentVolumeClaim"), claim);
        let config_map = volume.config_map.as_ref().map(|config_map| config_map.name.as_str());
        self.refuse(workspace::CONFIG_MAP_NAME.name(), origin, &field("configMap"), config_map);
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        for config_map in sources.filter_map(|source| source.config_map.as_ref()) {
            let field = field("projected.sources.configMap");
            self.refuse(workspace::CONFIG_MAP_NAME.name(), origin, &field, Some(&config_map.name));
        }
    }

    /// A pod that names no account runs with the account `default` of its namespace.
    fn token(&mut self, volume: &Volume, origin: &Origin) {
        let mut sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        if sources.any(|source| source.service_account_token.is_some()) {
            let field = format!("[{}].projected.sources.serviceAccountToken", volume.name);
            self.refuse(workspace::SERVICE_ACCOUNT.name(), origin, &field, Some("default"));
        }
    }

    /// Refuses a value that the rules for a variable refuse.
    fn refuse(&mut self, variable: &str, origin: &Origin, field: &str, value: Option<&str>) {
        if origin.source == SourceName::SettingsFile {
            return;
        }
        let Some(value) = value else { return };
        if let Some(expected) = self.rules.refusal(variable, value) {
            let problem = Problem::new(origin.clone(), expected);
            self.problems.push(problem.with_found(&format!("{field}: {value}")));
        }
    }
}

/// Writes a profile as `EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT` does.
fn shown(SeccompProfile { localhost_profile, type_ }: &SeccompProfile) -> String {
    match localhost_profile {
        Some(path) => format!("{type_}/{path}"),
        None => type_.clone(),
    }
}
