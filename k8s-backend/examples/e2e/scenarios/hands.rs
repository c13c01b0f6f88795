//! What we and others do to Jobs: submit twice, cancel, delete, drain.

use anyhow::{Context as _, bail, ensure};
use k8s_backend::{ErrorKind, JobBackend as _, Submission, Submitted};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::waits::nowhere;
use crate::{
    follow::{Ended, Story, chain},
    jobs,
    stage::Stage,
};

/// Runs until it is killed.
const DEAF: &str = "trap '' TERM; while :; do sleep 1; done";
/// Ends by itself, but not at once, when it is asked to.
const WORKS_ON: &str = "trap 'sleep 2; exit 0' TERM; while :; do sleep 1; done";

pub(crate) async fn duplicate(stage: Stage) -> anyhow::Result<String> {
    let job = stage.job("exit 0")?;
    let mut story = stage.submit(job.clone()).await?;
    for when in ["at once", "after its end"] {
        let again = stage.backend.submit(&Submission::from(job.clone())).await?;
        ensure!(again == Submitted::AlreadyThere, "submitted again {when}: {again:?}");
        if when == "at once" {
            story.end().await?;
        }
    }
    let selector = format!("--selector=batch.kubernetes.io/job-name={}", stage.name());
    let pods = stage.others.list("pods", &selector).await?;
    ensure!(pods.len() == 1, "{} pods ran for it", pods.len());
    Ok("already there, one pod".to_owned())
}

pub(crate) async fn conflict(stage: Stage) -> anyhow::Result<String> {
    let mut story = stage.submit(stage.job("exit 0")?).await?;
    let Err(error) = stage.backend.submit(&Submission::from(stage.job("exit 1")?)).await else {
        bail!("another Job of the same name was taken for the same")
    };
    ensure!(error.kind == ErrorKind::Conflict, "{}", chain(&error));
    let ended = story.end().await?;
    stage.check(&ended, "completed", "completed")?;
    Ok("conflict; the first one completed".to_owned())
}

pub(crate) async fn watched_again(stage: Stage) -> anyhow::Result<String> {
    let mut first = stage.submit(stage.job("sleep 5; exit 7")?).await?;
    first.runs().await?;
    drop(first);
    let watch = || Story::new(stage.backend.watch(&stage.name()));
    let (mut second, mut third) = (watch(), watch());
    let (second, third) = tokio::join!(second.end(), third.end());
    stage.check(&second?, "exit code 7", "exit code 7")?;
    stage.check(&third?, "exit code 7", "exit code 7")
}

pub(crate) async fn cancel_before_start(stage: Stage) -> anyhow::Result<String> {
    let mut story = stage.submit(nowhere(&stage)?).await?;
    stage.others.wait_for_pod(&stage.name(), "is there", |_| true).await?;
    stage.cancel().await?;
    gone(&stage, &mut story).await
}

pub(crate) async fn cancel_running(stage: Stage) -> anyhow::Result<String> {
    let mut story = stage.submit(stage.job(WORKS_ON)?).await?;
    story.runs().await?;
    stage.cancel().await?;
    stage.cancel().await.context("the second time")?;
    gone(&stage, &mut story).await
}

pub(crate) async fn cancel_deaf(stage: Stage) -> anyhow::Result<String> {
    let mut story = stage.submit(stage.job(DEAF)?).await?;
    story.runs().await?;
    stage.cancel().await?;
    gone(&stage, &mut story).await
}

/// After a cancel nothing runs, and that is said only when it is so.
///
/// The Job controller may get to see the ended pod before that is removed; then it writes down how it ended.
async fn gone(stage: &Stage, story: &mut Story) -> anyhow::Result<String> {
    let ended = story.end().await?;
    let selector = format!("--selector=batch.kubernetes.io/job-name={}", stage.name());
    let pods = stage.others.list("pods", &selector).await?;
    let may_run = |pod: &&Value| !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    ensure!(!pods.iter().any(|pod| may_run(&pod)), "it ended as {ended} while its pod could run");
    stage.others.wait_until_gone(&format!("job/{}", stage.name())).await?;
    if ended.to_string().contains("exit code 137") {
        return Ok(ended.to_string());
    }
    stage.check(&ended, "deleted", "deleted")
}

pub(crate) async fn cancel_after_end(stage: Stage) -> anyhow::Result<String> {
    let mut story = stage.submit(stage.job("exit 0")?).await?;
    story.end().await?;
    stage.cancel().await?;
    let ended = Story::new(stage.backend.watch(&stage.name())).end().await?;
    stage.backend.cancel("job-999999-100-1").await.context("of a Job that never was")?;
    stage.check(&ended, "completed", "completed")
}

/// Background deletion takes the Job at once and leaves its pod for a while, so nobody can say how it ended.
pub(crate) async fn job_deleted(stage: Stage) -> anyhow::Result<String> {
    let mut story = stage.submit(stage.job(WORKS_ON)?).await?;
    story.runs().await?;
    let job = format!("job/{}", stage.name());
    stage.others.kubectl(&["delete", &job, "--cascade=background", "--wait=false"], None).await?;
    match story.end().await? {
        Ended::NotFound => Ok("not found".to_owned()),
        Ended::Cause(cause) if cause.to_string().contains("does not exist") => Ok(cause.to_string()),
        Ended::Cause(cause) => bail!("it ended as {cause}, which nobody can know"),
    }
}

pub(crate) async fn pod_deleted(stage: Stage) -> anyhow::Result<String> {
    let mut story = stage.submit(stage.job(DEAF)?).await?;
    story.runs().await?;
    let pod = stage.others.wait_for_pod(&stage.name(), "runs", is_running).await?;
    stage.others.kubectl(&["delete", "pod", &pod, "--wait=false"], None).await?;
    let ended = story.end().await?;
    stage.check(&ended, "exit code 137", "somebody deleted its pod")
}

pub(crate) async fn evicted(stage: Stage) -> anyhow::Result<String> {
    let mut story = stage.submit(stage.job(DEAF)?).await?;
    story.runs().await?;
    let pod = stage.others.wait_for_pod(&stage.name(), "runs", is_running).await?;
    let eviction = json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": pod } });
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", stage.namespace());
    stage.others.kubectl(&["create", "--raw", &path, "-f", "-"], Some(&eviction)).await?;
    let ended = story.end().await?;
    stage.check(&ended, "disrupted", "evicted")
}

fn is_running(pod: &Value) -> bool {
    !pod["status"]["containerStatuses"][0]["state"]["running"].is_null()
}

/// The Secret is there before the container needs it, and goes with the Job.
pub(crate) async fn payload_secret(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job("[ \"$INPUT\" = of-this-attempt ] && exit 0; exit 7")?;
    let name = stage.name();
    let from = serde_json::from_value(json!({ "secretRef": { "name": name } }))?;
    jobs::container(&mut job)?.env_from.get_or_insert_default().push(from);
    let secret: Secret = serde_json::from_value(
        json!({ "metadata": { "name": name }, "stringData": { "INPUT": "of-this-attempt" } }),
    )?;
    stage.backend.submit(&Submission::new(job).with_secret(secret)).await.context("submit failed")?;
    let ended = Story::new(stage.backend.watch(&name)).end().await?;
    stage.check(&ended, "completed", "completed")?;
    stage.others.kubectl(&["delete", &format!("job/{name}"), "--cascade=foreground"], None).await?;
    stage.others.wait_until_gone(&format!("secret/{name}")).await?;
    Ok("completed, and the Secret went with the Job".to_owned())
}
