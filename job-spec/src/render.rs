//! Writes a plan down as a `batch/v1` Job.
//!
//! Nothing is decided or checked here: a [`JobPlan`] is valid. Each part of the object has its file.

use config_core::value::Delivery;
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{PodTemplateSpec, Secret},
};

use config_core::TimeLimits;

use crate::JobPlan;

mod container;
mod env;
mod failure_policy;
mod metadata;
mod pod;
mod secret;
mod volumes;

pub use container::EXECUTOR_CONTAINER;
pub(crate) use container::restricted;

/// Renders the Job of a plan.
pub(crate) fn render(plan: &JobPlan) -> Job {
    let JobPlan { key, namespace, annotations, labels, time_limits, .. } = plan;
    let deadline = time_limits.deadline().unwrap_or(TimeLimits::DEFAULT_DEADLINE);
    let ttl = time_limits.ttl().unwrap_or(TimeLimits::DEFAULT_TTL);
    let spec = JobSpec {
        active_deadline_seconds: Some(deadline.get().into()),
        backoff_limit: Some(0),
        pod_failure_policy: Some(failure_policy::render()),
        pod_replacement_policy: Some("Failed".to_owned()),
        template: template(plan),
        ttl_seconds_after_finished: Some(ttl.get()),
        ..JobSpec::default()
    };
    Job {
        metadata: metadata::of_job(
            key,
            namespace,
            labels,
            annotations,
            &metadata::spec_hash(&spec, secret_of(plan).as_ref()),
        ),
        spec: Some(spec),
        status: None,
    }
}

/// Renders the pod of a plan.
fn template(plan: &JobPlan) -> PodTemplateSpec {
    let JobPlan { key, env_vars, payload, access, .. } = plan;
    let mut template = template_without_env(plan);
    if let Some(executor) = template.spec.as_mut().and_then(|spec| spec.containers.first_mut()) {
        executor.env = Some(env::render(&key.job_name(), payload, access.as_ref(), env_vars));
    }
    template
}

/// Renders the pod of a plan, but for the environment of its executor, which is no business of those who judge or patch it.
pub(crate) fn template_without_env(plan: &JobPlan) -> PodTemplateSpec {
    let JobPlan {
        key,
        namespace: _,
        image,
        platform_image: _,
        image_pull_policy,
        secrets,
        pod,
        annotations: _,
        pod_annotations,
        labels,
        volumes,
        resources,
        container_security,
        env_from_config_maps,
        env_vars: _,
        payload: _,
        access: _,
        parts,
        time_limits,
        origins: _,
        warnings: _,
        patched,
    } = plan;
    if let Some(patched) = patched {
        return patched.template.clone();
    }
    let grace_period = time_limits.grace_period().unwrap_or(TimeLimits::DEFAULT_GRACE_PERIOD);
    let container = container::render(container::Parts {
        image,
        image_pull_policy: *image_pull_policy,
        secrets,
        env_from_config_maps,
        mounts: volumes::mounts(volumes, &parts.volume_mounts),
        resources,
        security: container_security,
    });
    PodTemplateSpec {
        metadata: Some(metadata::of_pod(key, labels, pod_annotations)),
        spec: Some(pod::render(pod, parts, container, volumes, grace_period)),
    }
}

/// Renders the Secret that belongs to the Job of a plan, for delivery by Secret; `None` for the other ways.
pub(crate) fn secret_of(plan: &JobPlan) -> Option<Secret> {
    let JobPlan { key, namespace, payload, access, .. } = plan;
    (payload.delivery == Delivery::Secret)
        .then(|| secret::render(key, namespace, &payload.data, access.as_ref()))
}
