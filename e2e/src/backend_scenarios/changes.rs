//! Changes to a submitted Job: a second submit, cancel, deletion by another client, eviction.

use anyhow::{Context as _, bail, ensure};
use k8s_backend::{ErrorKind, JobBackend as _, Submission, Submitted};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::{
    context::ScenarioContext,
    jobs,
    pending::unschedulable_job,
    watched::{Ended, WatchedJob, chain},
};

/// Ignores SIGTERM.
const IGNORES_TERM: &str = "trap '' TERM; while :; do sleep 1; done";
/// Ends two seconds after SIGTERM.
const SLOW_TERM: &str = "trap 'sleep 2; exit 0' TERM; while :; do sleep 1; done";

pub(crate) async fn duplicate(context: ScenarioContext) -> anyhow::Result<String> {
    let job = context.job("exit 0")?;
    let mut watched = context.submit(job.clone()).await?;
    for when in ["at once", "after its end"] {
        let again = context.backend.submit(&Submission::from(job.clone())).await?;
        ensure!(again == Submitted::AlreadyThere, "submitted again {when}: {again:?}");
        if when == "at once" {
            watched.end().await?;
        }
    }
    let pods = context.operator.pods_of(&context.name()).await?;
    ensure!(pods.len() == 1, "it had {} pods", pods.len());
    Ok("already there, one pod".to_owned())
}

pub(crate) async fn conflict(context: ScenarioContext) -> anyhow::Result<String> {
    let mut watched = context.submit(context.job("exit 0")?).await?;
    let Err(error) = context.backend.submit(&Submission::from(context.job("exit 1")?)).await else {
        bail!("another Job of the same name was accepted")
    };
    ensure!(error.kind == ErrorKind::Conflict, "{}", chain(&error));
    let ended = watched.end().await?;
    context.check(&ended, "completed", "completed")?;
    Ok("conflict; the first one completed".to_owned())
}

pub(crate) async fn watched_again(context: ScenarioContext) -> anyhow::Result<String> {
    let mut first = context.submit(context.job("sleep 5; exit 7")?).await?;
    first.wait_until_running().await?;
    drop(first);
    let watch = || WatchedJob::new(context.backend.watch(&context.name()));
    let (mut second, mut third) = (watch(), watch());
    let (second, third) = tokio::join!(second.end(), third.end());
    context.check(&second?, "exit code 7", "exit code 7")?;
    context.check(&third?, "exit code 7", "exit code 7")
}

pub(crate) async fn cancel_before_start(context: ScenarioContext) -> anyhow::Result<String> {
    let mut watched = context.submit(unschedulable_job(&context)?).await?;
    context.operator.wait_for_pod(&context.name(), "exists", |_| true).await?;
    context.cancel().await?;
    check_cancelled(&context, &mut watched).await
}

pub(crate) async fn cancel_running(context: ScenarioContext) -> anyhow::Result<String> {
    let mut watched = context.submit(context.job(SLOW_TERM)?).await?;
    watched.wait_until_running().await?;
    context.cancel().await?;
    context.cancel().await.context("the second time")?;
    check_cancelled(&context, &mut watched).await
}

pub(crate) async fn cancel_ignoring_term(context: ScenarioContext) -> anyhow::Result<String> {
    let mut watched = context.submit(context.job(IGNORES_TERM)?).await?;
    watched.wait_until_running().await?;
    context.cancel().await?;
    check_cancelled(&context, &mut watched).await
}

/// Checks that a cancelled Job is reported as ended only when its pod has ended.
///
/// The Job controller may observe the ended pod before its removal; then the cause is the exit code.
async fn check_cancelled(context: &ScenarioContext, watched: &mut WatchedJob) -> anyhow::Result<String> {
    let ended = watched.end().await?;
    let pods = context.operator.pods_of(&context.name()).await?;
    let may_run = |pod: &&Value| !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    ensure!(!pods.iter().any(|pod| may_run(&pod)), "it ended as {ended} while its pod could run");
    context.operator.wait_until_gone(&format!("job/{}", context.name())).await?;
    if ended.to_string().contains("exit code 137") {
        return Ok(ended.to_string());
    }
    context.check(&ended, "deleted", "deleted")
}

pub(crate) async fn cancel_after_end(context: ScenarioContext) -> anyhow::Result<String> {
    let mut watched = context.submit(context.job("exit 0")?).await?;
    watched.end().await?;
    context.cancel().await?;
    let ended = WatchedJob::new(context.backend.watch(&context.name())).end().await?;
    context.backend.cancel("job-999999-100-1").await.context("of a Job that never existed")?;
    context.check(&ended, "completed", "completed")
}

/// Background deletion removes the Job before its pod, so its end cannot be observed.
pub(crate) async fn job_deleted(context: ScenarioContext) -> anyhow::Result<String> {
    let mut watched = context.submit(context.job(SLOW_TERM)?).await?;
    watched.wait_until_running().await?;
    let job = format!("job/{}", context.name());
    context.operator.run(&["delete", &job, "--cascade=background", "--wait=false"], None).await?;
    match watched.end().await? {
        Ended::NotFound => Ok("not found".to_owned()),
        Ended::Cause(cause) if cause.to_string().contains("no longer exists") => Ok(cause.to_string()),
        Ended::Cause(cause) => bail!("it ended as {cause}, which cannot be observed"),
    }
}

pub(crate) async fn pod_deleted(context: ScenarioContext) -> anyhow::Result<String> {
    let mut watched = context.submit(context.job(IGNORES_TERM)?).await?;
    watched.wait_until_running().await?;
    let pod = context.operator.wait_for_pod(&context.name(), "runs", is_running).await?;
    context.operator.run(&["delete", "pod", &pod, "--wait=false"], None).await?;
    let ended = watched.end().await?;
    context.check(&ended, "exit code 137", "deleted its pod")
}

pub(crate) async fn evicted(context: ScenarioContext) -> anyhow::Result<String> {
    let mut watched = context.submit(context.job(IGNORES_TERM)?).await?;
    watched.wait_until_running().await?;
    let pod = context.operator.wait_for_pod(&context.name(), "runs", is_running).await?;
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": pod } });
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", context.namespace());
    let create = ["create", "--raw", &path, "-f", "-"];
    context.operator.run(&create, Some(&eviction.to_string())).await?;
    let ended = watched.end().await?;
    context.check(&ended, "disrupted", "evicted")
}

fn is_running(pod: &Value) -> bool {
    !pod["status"]["containerStatuses"][0]["state"]["running"].is_null()
}

/// The Secret exists before the container starts, and is deleted with the Job.
pub(crate) async fn payload_secret(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("[ \"$INPUT\" = of-this-attempt ] && exit 0; exit 7")?;
    let name = context.name();
    let from = serde_json::from_value(json!({ "secretRef": { "name": name } }))?;
    jobs::container(&mut job)?.env_from.get_or_insert_default().push(from);
    let secret: Secret = serde_json::from_value(
        json!({ "metadata": { "name": name }, "stringData": { "INPUT": "of-this-attempt" } }),
    )?;
    context.backend.submit(&Submission::new(job).with_secret(secret)).await.context("submit failed")?;
    let ended = WatchedJob::new(context.backend.watch(&name)).end().await?;
    context.check(&ended, "completed", "completed")?;
    context.operator.run(&["delete", &format!("job/{name}"), "--cascade=foreground"], None).await?;
    context.operator.wait_until_gone(&format!("secret/{name}")).await?;
    Ok("completed, and the Secret was deleted with the Job".to_owned())
}
