//! Checks a request as a whole; afterwards nothing can fail.
//!
//! Settings and overrides hold the checked types of `config-core`. What only this place can see: whether the payload
//! belongs to the attempt and fits into an environment variable.

use config_core::{EphemeralSettings, Origin, Origins, Problem, Problems, WorkspaceOverrides, keys};

use crate::{JobPlan, planner::Request, render};

mod checks;
mod culprit;
mod delivery;
mod maximum;
mod permitted;
mod pod;
mod pod_security;
mod volumes;
mod yaml;

use checks::Checks;

/// The longest string that Linux hands to a program (`MAX_ARG_STRLEN`, 32 pages of 4 KiB): name, `=`, value and the
/// byte that ends it.
pub const LONGEST_ENV_STRING: usize = 131_072;

/// Returns how many bytes the value of an environment variable may have; with more, the container cannot start
/// (`argument list too long`), which no API server notices.
///
/// ```
/// assert_eq!(job_spec::longest_env_value("EphemeralJobData"), 131_054);
/// ```
#[must_use]
pub const fn longest_env_value(name: &str) -> usize {
    LONGEST_ENV_STRING.saturating_sub(name.len() + "=\0".len())
}

/// Checks overrides and the rest of a request, and plans the Job. Problems of reading and of the policy are reported
/// together with those found here, and each of them refuses the plan.
pub(crate) fn validate(
    mut problems: Vec<Problem>,
    request: &Request<'_>,
    mut overrides: WorkspaceOverrides,
) -> Result<JobPlan, Problems> {
    let rules = &request.rules;
    let limited = rules.limit(&mut overrides);
    let is_limited = limited.is_empty();
    problems.extend(limited);
    let (plan, mut problems) = plan(problems, request, &overrides);
    let Some(mut plan) = plan else {
        return Err(Problems::from_vec(problems).expect("no plan only with a problem"));
    };
    if let Some(yaml) = &overrides.yaml.pod_patch {
        let (patched, faults) = yaml::patch(&plan, yaml);
        plan.patched = patched;
        problems.extend(faults);
    }
    let template = render::template_without_env(&plan);
    plan.warnings =
        pod_security::check(&template, rules, &plan.origins, plan.patched.as_ref(), &mut problems);
    if let Some(spec) = &template.spec {
        permitted::check(spec, &plan, rules, &mut problems);
    }
    // A container above the maximum is above it together with the others too: said once.
    if let Some(spec) = template.spec.filter(|_| is_limited) {
        maximum::check(&spec, rules, &plan.origins, &mut problems);
    }
    Problems::none_or(problems, plan)
}

/// Plans the Job as far as its parts can be used; without a plan there is a problem.
fn plan(
    problems: Vec<Problem>,
    request: &Request<'_>,
    overrides: &WorkspaceOverrides,
) -> (Option<JobPlan>, Vec<Problem>) {
    let Request { key, settings, rules: _, variables: _, payload, access } = *request;
    let mut checks = Checks { origins: &overrides.origins, problems };
    checks.key(key);
    checks.payload_is_of(key, payload);
    if let Some(access) = access {
        checks.access(access);
    }

    let EphemeralSettings { namespace, image, secrets, payload_delivery, node_selector: _, variables: _ } =
        settings;
    let payload = checks.payload(payload_delivery, payload, access);
    let settings_origins = [
        (keys::EXECUTOR_EPHEMERAL_NAMESPACE, &namespace.origin),
        (keys::EXECUTOR_EPHEMERAL_IMAGE, &image.origin),
        (keys::EXECUTOR_EPHEMERAL_SECRET, &secrets.origin),
        (keys::EXECUTOR_EPHEMERAL_PAYLOAD_DELIVERY, &payload_delivery.origin),
    ];

    // Every field stands here, so that none is forgotten; `_` is one that `Checks::pod` takes.
    let WorkspaceOverrides {
        node_selector: _,
        image: image_of_workspace,
        image_pull_policy,
        image_pull_secrets: _,
        priority_class: _,
        runtime_class: _,
        host_aliases: _,
        time_limits,
        service_account: _,
        annotations,
        pod_annotations,
        labels,
        tolerations: _,
        config_map,
        plugin_cache,
        resources,
        pod_security: _,
        container_security,
        env_from_config_maps,
        env_vars,
        yaml,
        origins,
    } = overrides;
    let pod = checks.pod(settings, overrides);
    let annotations = checks.annotations(keys::CONFIG_ANNOTATIONS, annotations.as_ref());
    let pod_annotations = checks.annotations(keys::CONFIG_POD_ANNOTATIONS, pod_annotations.as_ref());
    let labels = checks.own_labels_of_workspace(labels.as_ref());
    checks.env_vars(env_vars);
    let volumes = checks.volumes(config_map.as_ref(), plugin_cache.as_ref(), container_security);
    let parts = checks.parts(yaml, &volumes);

    // An absent payload has left a problem behind.
    let plan = payload.map(|payload| JobPlan {
        key: key.clone(),
        namespace: namespace.value.clone(),
        image: image_of_workspace.as_ref().unwrap_or(&image.value).clone(),
        platform_image: image.value.clone(),
        image_pull_policy: *image_pull_policy,
        secrets: secrets.value.as_slice().to_vec(),
        pod,
        annotations,
        pod_annotations,
        labels,
        volumes,
        resources: resources.clone(),
        container_security: container_security.clone(),
        env_from_config_maps: env_from_config_maps.iter().flatten().cloned().collect(),
        env_vars: env_vars.clone(),
        payload,
        access: access.cloned(),
        parts,
        time_limits: *time_limits,
        origins: all_origins(origins, settings_origins),
        warnings: Vec::new(),
        patched: None,
    });
    (plan, checks.problems)
}

/// Where the settings of workspace and platform were found that made the Job.
fn all_origins(of_workspace: &Origins, of_settings: [(&'static str, &Origin); 4]) -> Origins {
    let of_settings = of_settings.map(|(key, origin)| (key, origin.clone()));
    of_workspace.iter().map(|(key, origin)| (key, origin.clone())).chain(of_settings).collect()
}

#[cfg(test)]
mod tests;
