//! Writes a plan down as a `batch/v1` Job.
//!
//! Nothing is decided or checked here: a [`JobPlan`] is valid. Each part of the object has its file.

use config_core::value::Delivery;
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{PodTemplateSpec, Secret},
};

use crate::{JobPlan, Limits};

mod container;
mod env;
mod failure_policy;
mod metadata;
mod pod;
mod secret;
mod volumes;

pub use container::EXECUTOR_CONTAINER;

/// Renders the Job of a plan; the same plan gives the same bytes.
///
/// What every Job has, and why:
///
/// | field | value | reason |
/// |---|---|---|
/// | `backoffLimit`, `restartPolicy` | `0`, `Never` | a step runs once; another try is another Job, decided by the orchestrator |
/// | `podReplacementPolicy` | `Failed` | no second pod beside one that is still stopping |
/// | `podFailurePolicy` | three rules that all fail the Job | the cluster writes disruption or exit code into the Job's condition, where it is seen without reading pods |
/// | `activeDeadlineSeconds` | from [`Limits`](crate::Limits) | a Job whose pod never starts ends too |
/// | `ttlSecondsAfterFinished` | from [`Limits`](crate::Limits) | nothing stays behind, the payload least of all |
/// | `terminationGracePeriodSeconds` | from [`Limits`](crate::Limits) | terraform saves its state |
/// | labels | on Job and pod | see [`labels`](crate::labels) |
/// | annotation `ephemeral-agents.dev/spec-hash` | SHA-256 of `spec` | tells a repeated Job from another one of its name |
/// | pod and container security | Pod Security *restricted* | an executor needs no privilege; the workspace may say otherwise |
/// | `runAsUser`, `runAsGroup`, `fsGroup` | 1002, 1000, 1000 | the user of the stock image, which names it as text only, so that the kubelet could not prove it is not root |
/// | volume `tmp` at `/tmp` | only with a read-only root file system | programs need a place for temporary files |
/// | `automountServiceAccountToken` | `true` only with a named account | terraform code gets no token of the cluster by accident |
/// | `enableServiceLinks` | `false` | no variables of unrelated services in terraform's environment |
/// | `terminationMessagePolicy` | `FallbackToLogsOnError` | the last log lines survive in the pod's status |
#[must_use]
pub fn render(plan: &JobPlan) -> Job {
    let JobPlan {
        key,
        namespace,
        image,
        image_pull_policy,
        image_pull_secrets,
        secrets,
        node_selector,
        priority_class,
        runtime_class,
        service_account,
        annotations,
        pod_annotations,
        labels,
        tolerations,
        volumes,
        resources,
        pod_security,
        container_security,
        env_from_config_maps,
        env_vars,
        payload,
        access,
        parts,
        limits,
        origins: _,
    } = plan;
    let Limits { active_deadline_seconds, termination_grace_period_seconds, ttl_seconds_after_finished } =
        *limits;

    let env = env::render(&key.job_name(), payload, access.as_ref(), env_vars);
    let container = container::render(container::Parts {
        image,
        image_pull_policy: *image_pull_policy,
        secrets,
        env_from_config_maps,
        env,
        volumes,
        resources,
        security: *container_security,
    });
    let pod = pod::render(pod::Parts {
        container,
        image_pull_secrets,
        node_selector,
        priority_class: priority_class.as_ref(),
        runtime_class: runtime_class.as_ref(),
        service_account: service_account.as_ref(),
        tolerations: tolerations.as_ref(),
        volumes,
        of_workspace: parts,
        security: *pod_security,
        grace_period_seconds: termination_grace_period_seconds,
    });
    let spec = JobSpec {
        active_deadline_seconds: Some(active_deadline_seconds.into()),
        backoff_limit: Some(0),
        pod_failure_policy: Some(failure_policy::render()),
        pod_replacement_policy: Some("Failed".to_owned()),
        template: PodTemplateSpec {
            metadata: Some(metadata::of_pod(key, labels, pod_annotations)),
            spec: Some(pod),
        },
        // A plan's limits fit; the fallback keeps this function free of panics.
        ttl_seconds_after_finished: Some(i32::try_from(ttl_seconds_after_finished).unwrap_or(i32::MAX)),
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

/// Renders the Secret that belongs to the Job of a plan, for delivery by Secret; `None` for the other ways.
///
/// Its name, namespace and labels are those of the Job. Who submits both makes the Job its owner.
#[must_use]
pub fn secret_of(plan: &JobPlan) -> Option<Secret> {
    let JobPlan { key, namespace, payload, access, .. } = plan;
    (payload.delivery == Delivery::Secret)
        .then(|| secret::render(key, namespace, &payload.data, access.as_ref()))
}
