//! Renders a plan as a `batch/v1` Job.
//!
//! Nothing is decided or checked here: a [`JobPlan`] is valid. Each part of the object has its own file.

use config_core::{value::Delivery, workspace};
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{PodTemplateSpec, Secret},
};

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

/// Renders the Job of a plan around the plan's pod.
pub(crate) fn render(plan: &JobPlan, mut pod: PodTemplateSpec) -> Job {
    let JobPlan { key, namespace, annotations, labels, overrides, payload, access, .. } = plan;
    // A patch may have changed it.
    let grace_period = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    if let Some(executor) = pod.spec.as_mut().and_then(|spec| spec.containers.first_mut()) {
        let variables = overrides.get(&workspace::JOB_ENV_VARS);
        let name = key.job_name();
        executor.env = Some(env::render(&name, payload, access.as_ref(), grace_period, variables));
    }
    let spec = JobSpec {
        active_deadline_seconds: Some(overrides.deadline().get().into()),
        backoff_limit: Some(0),
        pod_failure_policy: Some(failure_policy::render()),
        pod_replacement_policy: Some("Failed".to_owned()),
        suspend: overrides.get(&workspace::QUEUE_NAME).map(|_| true),
        template: pod,
        ttl_seconds_after_finished: Some(overrides.ttl().get()),
        ..JobSpec::default()
    };
    let spec_hash = metadata::spec_hash(&spec, secret_of(plan).as_ref());
    let mut metadata = metadata::of_job(key, namespace, labels, annotations, &spec_hash);
    let labels_of_job = overrides.job_labels().map(|(label, value, _)| (label.to_owned(), value));
    metadata.labels.get_or_insert_default().extend(labels_of_job);
    Job { metadata, spec: Some(spec), status: None }
}

/// Renders the pod of a plan without the environment of its executor, which checks and patches must not see.
pub(crate) fn template_without_env(plan: &JobPlan) -> PodTemplateSpec {
    let JobPlan { key, pod_annotations, labels, .. } = plan;
    PodTemplateSpec {
        metadata: Some(metadata::of_pod(key, labels, pod_annotations)),
        spec: Some(pod::render(plan, container::render(plan))),
    }
}

/// Renders the Secret that belongs to the Job of a plan, for delivery by Secret; `None` for the other ways.
pub(crate) fn secret_of(plan: &JobPlan) -> Option<Secret> {
    let JobPlan { key, namespace, payload, access, .. } = plan;
    (payload.delivery == Delivery::Secret)
        .then(|| secret::render(key, namespace, &payload.data, access.as_ref()))
}
