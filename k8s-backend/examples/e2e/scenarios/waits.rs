//! Jobs that do not start: what they wait for is told where the role lets it be seen, and the deadline ends them in any case.

use anyhow::{Context as _, bail, ensure};
use k8s_backend::{JobBackend as _, Submission};
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use crate::{
    follow::chain,
    jobs,
    stage::{Rights, Stage},
};

/// Long enough for a node to try, and to say what is wrong.
const DEADLINE_SECONDS: i64 = 40;

async fn never_starts(stage: Stage, mut job: Job, precise: &str) -> anyhow::Result<String> {
    jobs::spec(&mut job)?.active_deadline_seconds = Some(DEADLINE_SECONDS);
    Box::pin(stage.ends(job, "deadline exceeded", precise)).await
}

/// Nobody listens on port 1 of the node itself.
pub(crate) async fn image_unreachable(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job("exit 0")?;
    jobs::container(&mut job)?.image = Some("127.0.0.1:1/no/such-image:1".to_owned());
    never_starts(stage, job, "deadline exceeded before it started: the image").await
}

pub(crate) async fn image_never_pull(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job("exit 0")?;
    let container = jobs::container(&mut job)?;
    container.image = Some("localhost/no-such-image:1".to_owned());
    container.image_pull_policy = Some("Never".to_owned());
    never_starts(stage, job, "the image is not on the node and may not be pulled").await
}

pub(crate) async fn unschedulable(stage: Stage) -> anyhow::Result<String> {
    let job = nowhere(&stage)?;
    never_starts(stage, job, "deadline exceeded before it started: no node takes the pod").await
}

/// A Job that no node takes.
pub(super) fn nowhere(stage: &Stage) -> anyhow::Result<Job> {
    let mut job = stage.job("exit 0")?;
    let label = ("e2e.ephemeral-agents.dev/no-such-node".to_owned(), "true".to_owned());
    jobs::pod(&mut job)?.node_selector = Some([label].into());
    Ok(job)
}

pub(crate) async fn no_service_account(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job("exit 0")?;
    jobs::pod(&mut job)?.service_account_name = Some("no-such-account".to_owned());
    never_starts(stage, job, "a missing service account forbids the pod").await
}

/// The kubelet looks again by itself, and the Job runs.
pub(crate) async fn late_secret(stage: Stage) -> anyhow::Result<String> {
    let name = format!("{}-late", stage.name());
    let mut job = stage.job("[ \"$WHAT\" = came ]")?;
    let from = serde_json::from_value(json!({ "secretRef": { "name": name } }))?;
    jobs::container(&mut job)?.env_from.get_or_insert_default().push(from);
    let mut story = stage.submit(job).await?;
    if stage.rights == Rights::Extended {
        story.tells(&name).await?;
    } else {
        stage.others.wait_for_pod(&stage.name(), "waits for its Secret", waits_for_its_config).await?;
    }
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": { "WHAT": "came" } });
    stage.others.make(&secret).await?;
    let ended = story.end().await?;
    stage.check(&ended, "completed", "completed")
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

/// The pod of a Job, as somebody would make it by hand.
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
pub(crate) async fn quota_of_pods(stage: Stage) -> anyhow::Result<String> {
    stage.others.make(&quota("no-pods", "pods")).await?;
    let result = refused_then_made(&stage).await;
    // Whatever came of it: the next scenario needs pods.
    stage.others.kubectl(&["delete", "resourcequota/no-pods", "--ignore-not-found"], None).await?;
    result
}

async fn refused_then_made(stage: &Stage) -> anyhow::Result<String> {
    let job = stage.job("exit 0")?;
    stage.others.wait_until_refused(&bare_pod(&job)?, "exceeded quota").await?;
    let mut story = stage.submit(job).await?;
    if stage.rights == Rights::Extended {
        story.tells("quota").await?;
    } else {
        stage.others.wait_for_event(&stage.name(), "FailedCreate").await?;
    }
    stage.others.kubectl(&["delete", "resourcequota/no-pods"], None).await?;
    let ended = story.end().await?;
    stage.check(&ended, "completed", "completed")
}

pub(crate) async fn quota_of_jobs(stage: Stage) -> anyhow::Result<String> {
    stage.others.make(&quota("no-jobs", "count/jobs.batch")).await?;
    let result = refused(&stage).await;
    stage.others.kubectl(&["delete", "resourcequota/no-jobs", "--ignore-not-found"], None).await?;
    result
}

async fn refused(stage: &Stage) -> anyhow::Result<String> {
    let job = stage.job("exit 0")?;
    stage.others.wait_until_refused(&serde_json::to_value(&job)?, "exceeded quota").await?;
    let Err(error) = stage.backend.submit(&Submission::from(job)).await else {
        bail!("a Job was made although the quota allows none")
    };
    let text = chain(&error);
    ensure!(text.contains("exceeded quota"), "the server's words are missing: {text}");
    Ok(format!("{:?}: exceeded quota", error.kind))
}

/// The level of the namespace; executors keep it, unless a workspace asks for more.
pub(crate) async fn pod_security(stage: Stage) -> anyhow::Result<String> {
    let level = |value: &str| format!("pod-security.kubernetes.io/enforce{value}");
    let namespace = format!("namespace/{}", stage.namespace());
    stage.others.kubectl(&["label", &namespace, &level("=restricted")], None).await?;
    let result = against_the_level(&stage).await;
    stage.others.kubectl(&["label", &namespace, &level("-")], None).await?;
    result
}

async fn against_the_level(stage: &Stage) -> anyhow::Result<String> {
    let mut job = stage.job("exit 0")?;
    jobs::container(&mut job)?.security_context = None;
    // No node is needed to find out, so it may be short.
    jobs::spec(&mut job)?.active_deadline_seconds = Some(15);
    stage.others.wait_until_refused(&bare_pod(&job)?, "violates PodSecurity").await?;
    let refused = "deadline exceeded before it started: the namespace's Pod Security level forbids the pod";
    stage.ends(job, "deadline exceeded", refused).await
}
