//! Jobs that do not start: the backend reports the reason if the role lets it read pods;
//! the deadline ends them in any case.

use anyhow::{Context as _, bail, ensure};
use k8s_backend::{JobBackend as _, Submission};
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::{context::ScenarioContext, jobs, watched::chain};
use crate::role::Role;

/// Long enough for a node to try and to report the problem.
const DEADLINE_SECONDS: i64 = 40;

async fn ends_without_start(context: ScenarioContext, mut job: Job, precise: &str) -> anyhow::Result<String> {
    jobs::spec(&mut job)?.active_deadline_seconds = Some(DEADLINE_SECONDS);
    Box::pin(context.ends(job, "deadline exceeded", precise)).await
}

/// No registry listens on port 1 of the node.
pub(crate) async fn image_unreachable(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("exit 0")?;
    jobs::container(&mut job)?.image = Some("127.0.0.1:1/no/such-image:1".to_owned());
    ends_without_start(context, job, "deadline exceeded before the start: the registry").await
}

pub(crate) async fn image_never_pull(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("exit 0")?;
    let container = jobs::container(&mut job)?;
    container.image = Some("localhost/no-such-image:1".to_owned());
    container.image_pull_policy = Some("Never".to_owned());
    ends_without_start(context, job, "the image is not on the node and may not be pulled").await
}

pub(crate) async fn unschedulable(context: ScenarioContext) -> anyhow::Result<String> {
    let job = unschedulable_job(&context)?;
    ends_without_start(context, job, "deadline exceeded before the start: the pod is unschedulable").await
}

/// A Job that no node takes.
pub(super) fn unschedulable_job(context: &ScenarioContext) -> anyhow::Result<Job> {
    let mut job = context.job("exit 0")?;
    let label = ("e2e.ephemeral-agents.dev/no-such-node".to_owned(), "true".to_owned());
    jobs::pod(&mut job)?.node_selector = Some([label].into());
    Ok(job)
}

pub(crate) async fn no_service_account(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("exit 0")?;
    jobs::pod(&mut job)?.service_account_name = Some("no-such-account".to_owned());
    ends_without_start(context, job, "rejected by a missing service account").await
}

/// The kubelet tries again, and the Job runs.
pub(crate) async fn late_secret(context: ScenarioContext) -> anyhow::Result<String> {
    let name = format!("{}-late", context.name());
    let mut job = context.job("[ \"$WHAT\" = came ]")?;
    let from = serde_json::from_value(json!({ "secretRef": { "name": name } }))?;
    jobs::container(&mut job)?.env_from.get_or_insert_default().push(from);
    let mut watched = context.submit(job).await?;
    if context.role == Role::Extended {
        watched.wait_for_phase(&name).await?;
    } else {
        context.operator.wait_for_pod(&context.name(), "waits for its Secret", waits_for_its_config).await?;
    }
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": { "WHAT": "came" } });
    context.operator.create(&secret).await?;
    let ended = watched.end().await?;
    context.check(&ended, "completed", "completed")
}

fn waits_for_its_config(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CreateContainerConfigError"
}

fn quota(name: &str, resource: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": { "name": name },
        "spec": { "hard": { resource: "0" } },
    })
}

/// The pod of a Job, without the Job.
fn bare_pod(job: &Job) -> anyhow::Result<Value> {
    let template = job.spec.as_ref().map(|spec| &spec.template).context("a rendered Job has a pod")?;
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "e2e-probe" },
        "spec": template.spec,
    }))
}

/// The cluster tries again after 1, 2, 4, 8… seconds.
pub(crate) async fn quota_of_pods(context: ScenarioContext) -> anyhow::Result<String> {
    context.operator.create(&quota("no-pods", "pods")).await?;
    let result = refused_then_created(&context).await;
    // The next scenario needs pods.
    context.operator.run(&["delete", "resourcequota/no-pods", "--ignore-not-found"], None).await?;
    result
}

async fn refused_then_created(context: &ScenarioContext) -> anyhow::Result<String> {
    let job = context.job("exit 0")?;
    context.operator.wait_until_refused(&bare_pod(&job)?, "exceeded quota").await?;
    let mut watched = context.submit(job).await?;
    if context.role == Role::Extended {
        watched.wait_for_phase("quota").await?;
    } else {
        context.operator.wait_for_event(&context.name(), "FailedCreate").await?;
    }
    context.operator.run(&["delete", "resourcequota/no-pods"], None).await?;
    let ended = watched.end().await?;
    context.check(&ended, "completed", "completed")
}

pub(crate) async fn quota_of_jobs(context: ScenarioContext) -> anyhow::Result<String> {
    context.operator.create(&quota("no-jobs", "count/jobs.batch")).await?;
    let result = refused(&context).await;
    context.operator.run(&["delete", "resourcequota/no-jobs", "--ignore-not-found"], None).await?;
    result
}

async fn refused(context: &ScenarioContext) -> anyhow::Result<String> {
    let job = context.job("exit 0")?;
    context.operator.wait_until_refused(&serde_json::to_value(&job)?, "exceeded quota").await?;
    let Err(error) = context.backend.submit(&Submission::from(job)).await else {
        bail!("a Job was created although the quota allows none")
    };
    let text = chain(&error);
    ensure!(text.contains("exceeded quota"), "the message of the API server is missing: {text}");
    Ok(format!("{:?}: exceeded quota", error.kind))
}

/// Executors satisfy the level *restricted*, unless a workspace asks for more.
pub(crate) async fn pod_security(context: ScenarioContext) -> anyhow::Result<String> {
    let level = |value: &str| format!("pod-security.kubernetes.io/enforce{value}");
    let namespace = format!("namespace/{}", context.namespace());
    context.operator.run(&["label", &namespace, &level("=restricted")], None).await?;
    let result = violate_the_level(&context).await;
    context.operator.run(&["label", &namespace, &level("-")], None).await?;
    result
}

async fn violate_the_level(context: &ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("exit 0")?;
    jobs::container(&mut job)?.security_context = None;
    // No node is involved, so the deadline may be short.
    jobs::spec(&mut job)?.active_deadline_seconds = Some(15);
    context.operator.wait_until_refused(&bare_pod(&job)?, "violates PodSecurity").await?;
    let refused =
        "deadline exceeded before the start: the pod was rejected by the Pod Security level of the namespace";
    context.ends(job, "deadline exceeded", refused).await
}
