//! Jobs that run, and end in one way or another.

use anyhow::{bail, ensure};
use k8s_backend::JobBackend as _;
use serde_json::json;

use crate::{
    follow::{Ended, Story},
    jobs,
    stage::Stage,
};

/// 40 MiB with nothing but a shell.
const FILLS_ITS_DISK: &str = "x=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do x=\"$x$x\"; done; \
    for i in 1 2 3 4 5 6 7 8 9 10; do echo \"$x$x$x$x\"; done > /scratch/large; while :; do sleep 1; done";

pub(crate) async fn success(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job("echo one; echo two; exit 0")?;
    // The image may have to come from far away; but whoever named one that never comes should hear so soon.
    jobs::spec(&mut job)?.active_deadline_seconds = Some(150);
    stage.ends(job, "completed", "completed").await
}

pub(crate) async fn exit_code(stage: Stage) -> anyhow::Result<String> {
    let job = stage.job("echo it did not work; exit 7")?;
    stage.ends(job, "exit code 7", "exit code 7").await
}

pub(crate) async fn own_exit_code(stage: Stage) -> anyhow::Result<String> {
    let job = stage.job("exit 12")?;
    stage.ends(job, "exit code 12", "exit code 12").await
}

pub(crate) async fn no_program(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job("")?;
    jobs::container(&mut job)?.command = Some(vec!["/no/such/program".to_owned()]);
    stage.ends(job, "exit code 128", "not started").await
}

/// A text that doubles needs nothing but a shell.
pub(crate) async fn out_of_memory(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job("x=12345678; while :; do x=\"$x$x\"; done")?;
    let limits = json!({ "limits": { "memory": "64Mi" }, "requests": { "memory": "64Mi" } });
    jobs::container(&mut job)?.resources = Some(serde_json::from_value(limits)?);
    stage.ends(job, "exit code 137", "out of memory").await
}

pub(crate) async fn deadline(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job("trap '' TERM; while :; do sleep 1; done")?;
    // Long enough to start on a busy node.
    jobs::spec(&mut job)?.active_deadline_seconds = Some(30);
    let mut story = stage.submit(job).await?;
    story.runs().await?;
    let ended = story.end().await?;
    ensure!(!ended.to_string().contains("before it started"), "it had started, and ended as {ended}");
    stage.check(&ended, "deadline exceeded", "deadline exceeded")
}

pub(crate) async fn ttl(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job("exit 0")?;
    jobs::spec(&mut job)?.ttl_seconds_after_finished = Some(1);
    let mut story = stage.submit(job).await?;
    let ended = story.end().await?;
    stage.check(&ended, "completed", "completed")?;
    stage.others.wait_until_gone(&format!("job/{}", stage.name())).await?;
    // The news that it is gone may reach us later than the operator.
    let forgotten = async || match Story::new(stage.backend.watch(&stage.name())).end().await? {
        Ended::Cause(cause) if cause.to_string() == "completed" => Ok(None),
        ended => Ok(Some(ended)),
    };
    let ended = stage.others.wait("the backend to see that the Job is gone", forgotten).await?;
    Ok(format!("completed, then {ended}"))
}

/// Writes more than it may, in a volume that counts.
pub(crate) async fn disk_full(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job(FILLS_ITS_DISK)?;
    let volume = serde_json::from_value(json!({ "name": "scratch", "emptyDir": {} }))?;
    jobs::pod(&mut job)?.volumes.get_or_insert_default().push(volume);
    let container = jobs::container(&mut job)?;
    let mount = serde_json::from_value(json!({ "name": "scratch", "mountPath": "/scratch" }))?;
    container.volume_mounts.get_or_insert_default().push(mount);
    let limits = json!({ "limits": { "ephemeral-storage": "10Mi" } });
    container.resources = Some(serde_json::from_value(limits)?);
    stage.ends(job, "exit code 137", "evicted").await
}

/// Nothing of the pod's own policy matches: it speaks of the main container, which never ran.
pub(crate) async fn init_container(stage: Stage) -> anyhow::Result<String> {
    let mut job = stage.job("exit 0")?;
    let mut first = jobs::container(&mut job)?.clone();
    "prepare".clone_into(&mut first.name);
    first.command = Some(["sh", "-c", "exit 3"].map(str::to_owned).into());
    jobs::pod(&mut job)?.init_containers = Some(vec![first]);
    stage.ends(job, "failed with an exit code that is not visible", "init container \"prepare\"").await
}

/// A container cannot start with a variable of that size, so it must not get that far.
pub(crate) async fn payload_too_large(stage: Stage) -> anyhow::Result<String> {
    let Err(error) = stage.with_payload(200_000) else { bail!("a payload of 200,000 bytes made a Job") };
    let text = format!("{error:#}");
    ensure!(text.contains("131"), "the limit is not named: {text}");
    ensure!(!stage.others.has(&format!("job/{}", stage.name())).await?, "there is a Job all the same");
    Ok("refused with the limit".to_owned())
}
