//! Checks a request as a whole; afterwards nothing can fail.
//!
//! Settings and overrides hold the checked types of `config-core`. This module checks what spans several of
//! them: whether the payload belongs to the attempt and fits into an environment variable.

use std::collections::BTreeMap;

use config_core::{
    EphemeralSettings, Problem, Problems, Sourced, Variables, WorkspaceOverrides, platform, workspace,
};

use crate::{
    JobPlan,
    fields::PatchedFields,
    names::{LabelKey, LabelValue},
    render,
    request::Request,
    volumes,
};

mod attribution;
mod checks;
mod delivery;
mod host_namespaces;
mod maximum;
mod mounts;
mod permitted;
mod pod_security;
mod yaml;

use checks::Checks;

/// The longest string that Linux passes to a program (`MAX_ARG_STRLEN`, 32 pages of 4 KiB): name, `=`, value
/// and the terminating byte.
pub const LONGEST_ENV_STRING: usize = 131_072;

/// Returns how many bytes the value of an environment variable may have; with more, the container cannot
/// start (`argument list too long`), which the API server does not check.
///
/// ```
/// assert_eq!(job_spec::longest_env_value("EphemeralJobData"), 131_054);
/// ```
#[must_use]
pub const fn longest_env_value(name: &str) -> usize {
    LONGEST_ENV_STRING.saturating_sub(name.len() + "=\0".len())
}

/// Reads variables, checks them against the policy and plans the Job. The problems of all three are reported
/// together, and each of them refuses the plan.
pub(crate) fn validate(request: &Request<'_>, variables: &Variables) -> Result<JobPlan, Problems> {
    let (overrides, mut problems) = request.read(variables);
    problems.extend(request.rules.check(variables));
    validate_overrides(problems, request, overrides)
}

fn validate_overrides(
    mut problems: Vec<Problem>,
    request: &Request<'_>,
    mut overrides: WorkspaceOverrides,
) -> Result<JobPlan, Problems> {
    let rules = &request.rules;
    let limited = rules.limit(&mut overrides);
    let is_limited = limited.is_empty();
    problems.extend(limited);
    let (plan, mut problems) = plan(problems, request, overrides);
    let Some(mut plan) = plan else {
        return Err(Problems::from_vec(problems).expect("no plan only with a problem"));
    };
    *plan.template = render::template_without_env(&plan);
    if let Some(yaml) = plan.overrides.get(&workspace::POD_PATCH).cloned() {
        problems.extend(yaml::patch(&mut plan, &yaml));
    }
    let JobPlan { template, origins, patched, .. } = &plan;
    let warnings = pod_security::check(template, rules, origins, patched, &mut problems);
    if let Some(spec) = &template.spec {
        permitted::check(spec, &plan, rules, &mut problems);
        host_namespaces::check(spec, origins, &mut problems);
    }
    // A container above the maximum is also above it together with the others; it is reported once.
    if let Some(spec) = template.spec.as_ref().filter(|_| is_limited) {
        maximum::check(spec, rules, origins, &mut problems);
    }
    plan.warnings = warnings;
    Problems::into_result(problems, plan)
}

/// Plans the Job as far as its parts can be used; without a plan there is a problem.
fn plan(
    problems: Vec<Problem>,
    request: &Request<'_>,
    mut overrides: WorkspaceOverrides,
) -> (Option<JobPlan>, Vec<Problem>) {
    let Request { key, settings, rules: _, variables: _, payload, access } = *request;
    let mut checks = Checks { origins: overrides.origins(), problems };
    checks.key(key);
    checks.payload_is_of(key, payload);
    if let Some(access) = access {
        checks.access(access);
    }

    let EphemeralSettings { namespace, image, secrets, payload_delivery, .. } = settings;
    let payload = checks.payload(payload_delivery, payload, access);
    let settings_origins = [
        (platform::NAMESPACE.name(), &namespace.origin),
        (platform::IMAGE.name(), &image.origin),
        (platform::SECRET.name(), &secrets.origin),
        (platform::PAYLOAD_DELIVERY.name(), &payload_delivery.origin),
    ];

    let annotations = checks.annotations(&workspace::ANNOTATIONS, &overrides);
    let pod_annotations = checks.annotations(&workspace::POD_ANNOTATIONS, &overrides);
    let labels = checks.own_labels_of_workspace(&overrides);
    checks.env_vars(&overrides);
    let volumes = volumes::of_settings(&overrides);
    checks.mounts(&volumes);
    let parts = checks.parts(&overrides, &volumes);
    let problems = checks.problems;
    let node_selector = node_selector(settings, &overrides);
    let mut origins = overrides.take_origins();
    origins.extend(settings_origins.map(|(key, origin)| (key, origin.clone())));

    // Without a payload there is a problem.
    let plan = payload.map(|payload| JobPlan {
        key: key.clone(),
        namespace: namespace.value.clone(),
        image: overrides.get(&workspace::IMAGE).unwrap_or(&image.value).clone(),
        platform_image: image.value.clone(),
        secrets: secrets.value.as_slice().to_vec(),
        node_selector,
        annotations,
        pod_annotations,
        labels,
        volumes,
        payload,
        access: access.cloned(),
        parts,
        origins,
        overrides,
        warnings: Vec::new(),
        template: Box::default(),
        patched: PatchedFields::default(),
    });
    (plan, problems)
}

/// The labels that the node must have; those of the workspace replace those of the platform.
fn node_selector(
    settings: &EphemeralSettings,
    overrides: &WorkspaceOverrides,
) -> BTreeMap<LabelKey, Sourced<LabelValue>> {
    let Some(labels) = overrides.get(&workspace::NODE_SELECTOR_TAGS) else {
        return settings.node_selector.clone();
    };
    let origin = overrides.origins().of(workspace::NODE_SELECTOR_TAGS.name());
    labels.iter().map(|(key, value)| (key.clone(), Sourced::new(value.clone(), origin.clone()))).collect()
}

#[cfg(test)]
mod tests;
