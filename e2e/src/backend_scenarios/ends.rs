//! Jobs that start, and end with an exit code, out of memory, out of disk or by their deadline.

use anyhow::{bail, ensure};
use k8s_backend::JobBackend as _;
use serde_json::json;

use super::{
    context::ScenarioContext,
    jobs,
    watched::{Ended, WatchedJob},
};
use crate::kubectl::wait_for;

/// 40 MiB with nothing but a shell.
const FILL_DISK: &str = "x=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do x=\"$x$x\"; \
    done; for i in 1 2 3 4 5 6 7 8 9 10; do echo \"$x$x$x$x\"; done > /scratch/large; while :; do sleep 1; \
    done";

pub(crate) async fn success(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("echo one; echo two; exit 0")?;
    // Long enough to pull the image, and short enough for an image that does not exist.
    jobs::spec(&mut job)?.active_deadline_seconds = Some(150);
    context.ends(job, "completed", "completed").await
}

pub(crate) async fn exit_code(context: ScenarioContext) -> anyhow::Result<String> {
    let job = context.job("echo failed; exit 7")?;
    context.ends(job, "exit code 7", "exit code 7").await
}

pub(crate) async fn own_exit_code(context: ScenarioContext) -> anyhow::Result<String> {
    let job = context.job("exit 12")?;
    context.ends(job, "exit code 12", "exit code 12").await
}

pub(crate) async fn no_program(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("")?;
    jobs::container(&mut job)?.command = Some(vec!["/no/such/program".to_owned()]);
    context.ends(job, "exit code 128", "not started").await
}

/// Doubles a shell variable until the memory limit.
pub(crate) async fn out_of_memory(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("x=12345678; while :; do x=\"$x$x\"; done")?;
    let limits = json!({ "limits": { "memory": "64Mi" }, "requests": { "memory": "64Mi" } });
    jobs::container(&mut job)?.resources = Some(serde_json::from_value(limits)?);
    context.ends(job, "exit code 137", "out of memory").await
}

pub(crate) async fn deadline(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("trap '' TERM; while :; do sleep 1; done")?;
    // Long enough to start on a busy node.
    jobs::spec(&mut job)?.active_deadline_seconds = Some(30);
    let mut watched = context.submit(job).await?;
    watched.wait_until_running().await?;
    let ended = watched.end().await?;
    ensure!(!ended.to_string().contains("before the start"), "it had started, and ended as {ended}");
    context.check(&ended, "deadline exceeded", "deadline exceeded")
}

pub(crate) async fn ttl(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("exit 0")?;
    jobs::spec(&mut job)?.ttl_seconds_after_finished = Some(1);
    let mut watched = context.submit(job).await?;
    let ended = watched.end().await?;
    context.check(&ended, "completed", "completed")?;
    context.operator.wait_until_gone(&format!("job/{}", context.name())).await?;
    // The watch of the backend may be behind `kubectl`.
    let forgotten = async || match WatchedJob::new(context.backend.watch(&context.name())).end().await? {
        Ended::Cause(cause) if cause.to_string() == "completed" => Ok(None),
        ended => Ok(Some(ended)),
    };
    let ended = wait_for("the backend to report that the Job is gone", forgotten).await?;
    Ok(format!("completed, then {ended}"))
}

/// Writes more than the limit to an `emptyDir` volume.
pub(crate) async fn disk_full(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job(FILL_DISK)?;
    let volume = serde_json::from_value(json!({ "name": "scratch", "emptyDir": {} }))?;
    jobs::pod(&mut job)?.volumes.get_or_insert_default().push(volume);
    let container = jobs::container(&mut job)?;
    let mount = serde_json::from_value(json!({ "name": "scratch", "mountPath": "/scratch" }))?;
    container.volume_mounts.get_or_insert_default().push(mount);
    let limits = json!({ "limits": { "ephemeral-storage": "10Mi" } });
    container.resources = Some(serde_json::from_value(limits)?);
    context.ends(job, "exit code 137", "evicted").await
}

/// The pod failure policy matches only the main container, which does not start.
pub(crate) async fn init_container(context: ScenarioContext) -> anyhow::Result<String> {
    let mut job = context.job("exit 0")?;
    let mut first = jobs::container(&mut job)?.clone();
    "prepare".clone_into(&mut first.name);
    first.command = Some(["sh", "-c", "exit 3"].map(str::to_owned).into());
    jobs::pod(&mut job)?.init_containers = Some(vec![first]);
    context.ends(job, "failed, exit code not readable", "init container \"prepare\"").await
}

/// No container can start with an environment variable of that size, so the Job must be refused.
pub(crate) async fn payload_too_large(context: ScenarioContext) -> anyhow::Result<String> {
    let Err(error) = context.with_payload(200_000) else { bail!("a payload of 200,000 bytes was accepted") };
    let text = format!("{error:#}");
    ensure!(text.contains("131"), "the message does not name the limit: {text}");
    ensure!(
        !context.operator.exists(&format!("job/{}", context.name())).await?,
        "the Job exists nevertheless"
    );
    Ok("refused with the limit".to_owned())
}
