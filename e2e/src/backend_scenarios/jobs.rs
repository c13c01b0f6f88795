//! The Jobs of the scenarios: rendered by the product, with a shell script in place of the executor.

use anyhow::Context as _;
use config_core::{EnvSnapshot, EphemeralSettings, Policy};
use job_spec::{AttemptKey, EphemeralJobData, Organization, Planner, StepType};
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{Container, PodSpec},
};

/// Renders the Job of a step as the api-server does; the payload contains `filler`.
///
/// # Errors
/// The product rejects the payload.
pub(crate) fn rendered(namespace: &str, image: &str, job_id: u64, filler: &str) -> anyhow::Result<Job> {
    let environment: EnvSnapshot =
        [("ExecutorEphemeralNamespace", namespace), ("ExecutorEphemeralImage", image)].into_iter().collect();
    let settings = EphemeralSettings::load(&environment)?;
    let policy = Policy::default();
    let organization = Organization::new("0b8a3c10-0000-4000-8000-000000000001", "e2e");
    let key = AttemptKey::new(organization, "7c1d2e5a-0000-4000-8000-000000000002", job_id, 100, 1);
    let variables = [("FILLER", filler)].into_iter().collect();
    let payload =
        EphemeralJobData::new(StepType::TerraformPlan, &key, "d2f0aa11-0000-4000-8000-000000000100")
            .with_source("https://git.example.com/infra.git", "main")
            .with_environment(&variables);
    Ok(Planner::new(&settings, &policy).plan(&variables, &payload, &key, None)?.job())
}

/// Renders a Job that runs a script.
pub(crate) fn job(namespace: &str, image: &str, job_id: u64, script: &str) -> anyhow::Result<Job> {
    let mut job = rendered(namespace, image, job_id, "")?;
    // The hash in the annotation is that of the Job before these changes.
    // Without it the backend compares the whole content.
    job.metadata.annotations = None;
    let spec = spec(&mut job)?;
    spec.active_deadline_seconds = Some(300);
    spec.ttl_seconds_after_finished = Some(600);
    pod(&mut job)?.termination_grace_period_seconds = Some(5);
    let container = container(&mut job)?;
    container.command = Some(["sh", "-c", script].map(str::to_owned).into());
    // Without this, an image without a tag or with `latest` is pulled although the node has it.
    container.image_pull_policy = Some("IfNotPresent".to_owned());
    Ok(job)
}

/// The specification of a Job.
pub(crate) fn spec(job: &mut Job) -> anyhow::Result<&mut JobSpec> {
    job.spec.as_mut().context("a rendered Job has a specification")
}

/// The pod of a Job.
pub(crate) fn pod(job: &mut Job) -> anyhow::Result<&mut PodSpec> {
    spec(job)?.template.spec.as_mut().context("a rendered Job has a pod")
}

/// The container of a Job.
pub(crate) fn container(job: &mut Job) -> anyhow::Result<&mut Container> {
    pod(job)?.containers.first_mut().context("a rendered Job has a container")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_differs_from_the_rendered_one_in_its_command() {
        let mut job = job("ns", "example.com/image", 7, "exit 7").unwrap();
        assert_eq!(job.metadata.name.as_deref(), Some("job-7-100-1"));
        assert_eq!(job.metadata.namespace.as_deref(), Some("ns"));
        assert!(spec(&mut job).unwrap().pod_failure_policy.is_some(), "exit codes come from there");
        let container = container(&mut job).unwrap();
        assert_eq!(container.command.as_deref().unwrap()[2], "exit 7");
        assert!(container.env_from.is_some() && container.image_pull_policy.is_some());
    }

    #[test]
    fn rejects_a_payload_that_is_too_large() {
        assert!(rendered("ns", "image", 7, &"x".repeat(200_000)).is_err());
    }
}
