//! The contract of [`JobBackend`] as tests that every backend must pass.
//!
//! Each public function of [`cases`] is one test case. A backend provides a [`Harness`], which creates Jobs
//! of a given [`Behavior`] for it and, where nothing changes by itself, changes their phases;
//! [`conformance_suite!`](crate::conformance_suite) then creates a test of every case. Tests of one backend
//! alone do not belong here.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use serde_json::json;

use crate::{
    backend::{JobBackend, JobPhase},
    error::BackendError,
    rules::IDENTITY_ANNOTATION,
    submission::Submission,
};

pub mod cases;

/// How long a test case waits for a state. It expires only when a test fails, so it may be long: tests must
/// pass on a busy machine.
pub const STATE_TIMEOUT: Duration = Duration::from_mins(1);

/// What the container of a Job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behavior {
    /// Does not start, because something that it requires is missing.
    NeverStarts,
    /// Runs until it is released, then exits with this code.
    Exits(i32),
    /// Runs until it gets TERM.
    RunsUntilCancelled,
    /// Runs without an end and ignores TERM; its grace period is short.
    IgnoresTerm,
    /// Runs without an end; its deadline and its grace period are short.
    ExceedsDeadline,
    /// Runs until it is released, then exits with code 0 if it has the Secret of [`sample_submission`] in its
    /// environment and as a file, and with another code otherwise.
    ReadsSecret,
    /// Runs until it is released, then prints this many bytes and exits with code 0.
    Prints(u64),
}

/// What the test cases require of a backend under test.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Returns the backend. After [`set_available`](Self::set_available) it may be another one with the same
    /// Jobs.
    fn backend(&self) -> Arc<dyn JobBackend>;

    /// Creates a Job of this name with this behavior. The same arguments give the same Job.
    fn job(&self, name: &str, behavior: Behavior) -> Job;

    /// Starts the container of a submitted Job, where it does not start by itself.
    async fn start(&self, name: &str);

    /// Releases the container of a Job to its end: it exits, ends after TERM or KILL, or is deleted after a
    /// cancel.
    async fn release(&self, name: &str);

    /// Makes the backend unavailable, like a server without connection or a stopped program.
    async fn set_unavailable(&self);

    /// Undoes [`set_unavailable`](Self::set_unavailable).
    async fn set_available(&self);

    /// Returns how many bytes the container has printed, where the backend keeps them.
    async fn printed(&self, name: &str) -> Option<u64>;

    /// Returns whether anything of the Secret of an ended or refused Job remains. Where ended Jobs stay as
    /// objects and own their Secret, the Job is deleted first, as after `ttlSecondsAfterFinished`. `None`:
    /// the backend supports no Secrets.
    async fn secret_remains(&self, name: &str) -> Option<bool>;

    /// Returns whether a Job is still known after it was cancelled and has ended.
    fn remembers_cancelled(&self) -> bool;
}

/// Creates a Job that every backend accepts: one container that exits at once with code 0.
///
/// No two of its labels have the same value, so that exchanged values are noticed.
///
/// # Panics
/// Never; the object is written out below.
#[must_use]
pub fn sample_job(name: &str) -> Job {
    let labels = json!({
        "example.com/tenant": "d9b58bd3-f3fc-4056-a026-1163297e80a8",
        "example.com/project": "7c1d2e5a-0000-4000-8000-000000001001",
        "example.com/run": "1001",
        "example.com/step": "100",
    });
    let job = json!({
        "metadata": {"name": name, "labels": labels, "annotations": {IDENTITY_ANNOTATION: format!("hash-of-{name}")}},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "executor", "image": "example.invalid/executor:1", "command": ["sh", "-c", "exit 0"]}],
                },
            },
        },
    });
    serde_json::from_value(job).expect("the object above is a Job")
}

/// The value of the only key, `token`, of the Secret of [`sample_submission`]. It occurs nowhere else.
pub const SAMPLE_TOKEN: &str = "the-token-of-the-sample";

/// Where the container of [`sample_submission`] mounts its Secret.
pub const SAMPLE_MOUNT: &str = "/run/sample";

/// Creates a [`sample_job`] with a Secret of the same name, which its container gets as variable `TOKEN` and
/// as file `token` of [`SAMPLE_MOUNT`].
///
/// # Panics
/// Never; the object is written out below.
#[must_use]
pub fn sample_submission(name: &str) -> Submission {
    let mut job = sample_job(name);
    if let Some(pod) = job.spec.as_mut().and_then(|spec| spec.template.spec.as_mut()) {
        let container = json!({"name": "executor",
            "image": pod.containers[0].image, "command": pod.containers[0].command,
            "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": "token"}}}],
            "volumeMounts": [{"name": "secret", "mountPath": SAMPLE_MOUNT, "readOnly": true}]});
        pod.containers[0] = serde_json::from_value(container).expect("the object above is a container");
        let volumes = json!([{"name": "secret", "secret": {"secretName": name}}]);
        pod.volumes = Some(serde_json::from_value(volumes).expect("the list above contains volumes"));
    }
    let secret = json!({"metadata": {"name": name}, "stringData": {"token": SAMPLE_TOKEN}});
    let secret: Secret = serde_json::from_value(secret).expect("the object above is a Secret");
    Submission { job, secret: Some(secret) }
}

/// Reads the next phase of a watch.
async fn next(
    phases: &mut BoxStream<'static, Result<JobPhase, BackendError>>,
) -> Result<JobPhase, BackendError> {
    within("the next phase", phases.next()).await.expect("a watch ends only after an end or an error")
}

/// Reads a watch until the expected phase, and returns all phases up to it.
async fn read_until(
    phases: &mut BoxStream<'static, Result<JobPhase, BackendError>>,
    expected: impl Fn(&JobPhase) -> bool,
) -> Vec<JobPhase> {
    let mut seen = Vec::new();
    loop {
        let phase = within(&seen, phases.next()).await;
        let phase = phase.unwrap_or_else(|| unreachable!("the watch ended after {seen:?}"));
        let phase = phase.expect("the backend is available");
        let found = expected(&phase);
        seen.push(phase);
        if found {
            return seen;
        }
    }
}

/// Reads a watch to its end, and checks that nothing follows.
async fn read_to_end(mut phases: BoxStream<'static, Result<JobPhase, BackendError>>) -> Vec<JobPhase> {
    let seen = read_until(&mut phases, JobPhase::is_terminal).await;
    assert!(within("the end of the watch", phases.next()).await.is_none(), "something followed {seen:?}");
    seen
}

/// Awaits a future until the timeout.
async fn within<T>(seen: impl fmt::Debug, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(STATE_TIMEOUT, future).await {
        Ok(result) => result,
        Err(_) => unreachable!("timeout after {STATE_TIMEOUT:?}; last seen: {seen:?}"),
    }
}

/// Creates one test of every case, each with a harness of its own: `conformance_suite!(local,
/// LocalHarness::new().await)`.
///
/// The first argument is the name of the module of the tests; the expression may use every name of the
/// surrounding module. Requires `tokio` with its test macro.
#[macro_export]
macro_rules! conformance_suite {
    ($backend:ident, $harness:expr) => {
        $crate::conformance_suite!(@cases $backend, $harness,
            same_job_again_is_already_there,
            concurrent_submits_of_the_same_job_create_it_once,
            another_job_of_a_used_name_is_a_conflict,
            same_job_after_its_end_is_already_there,
            job_without_valid_name_is_invalid,
            watch_of_unknown_job_is_not_found,
            watch_yields_phases_in_order_and_ends,
            watch_of_running_job_starts_with_running,
            watch_after_the_end_yields_only_the_end,
            exit_code_is_the_cause,
            two_watchers_get_the_same_end,
            dropping_a_watch_does_not_stop_the_job,
            job_that_cannot_start_is_pending_and_can_be_cancelled,
            cancelling_a_running_job_ends_it,
            cancelling_twice_is_ok,
            cancelling_an_ended_job_changes_nothing,
            cancelling_an_unknown_job_is_ok,
            job_that_ignores_term_is_killed_after_its_grace_period,
            output_larger_than_a_pipe_does_not_block_the_job,
            job_is_ended_at_its_deadline,
            unavailable_backend_loses_no_job,
            secret_reaches_its_container_and_is_deleted_with_the_job,
            secret_of_cancelled_job_is_deleted,
            same_job_with_its_secret_again_is_already_there,
            secret_is_never_replaced,
            refused_submit_leaves_no_secret,
            secret_that_does_not_belong_to_its_job_is_invalid,
        );
    };
    (@cases $backend:ident, $harness:expr, $($case:ident),* $(,)?) => {
        mod $backend {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    $crate::testing::conformance::cases::$case(&$harness).await;
                }
            )*
        }
    };
}
