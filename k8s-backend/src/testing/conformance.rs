//! The contract of [`JobBackend`] as tests that every backend must pass.
//!
//! Each public function of [`cases`] is one promise. A backend brings a [`Harness`], which makes Jobs of a given
//! [`Behaviour`] for it and, where nothing moves by itself, moves them on; [`conformance_suite!`](crate::conformance_suite) then makes a test of
//! every case. What is specific to one backend does not belong here.

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

/// How long a case waits for a state. Reached only when something is wrong, so it may be long: a busy machine must not fail.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// What the container of a Job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Does not start, because something that it needs is missing.
    NeverStarts,
    /// Runs until it is let go, then exits with this code.
    Exits(i32),
    /// Runs until it gets TERM.
    RunsUntilCancelled,
    /// Runs for ever and ignores TERM; its grace period is short.
    IgnoresTerm,
    /// Runs for ever; its deadline and its grace period are short.
    OverstaysDeadline,
    /// Runs until it is let go, then exits with code 0 if it got the Secret of [`sample_submission`] as that Job asks for it, in
    /// its environment and as a file, and with another code if not.
    ReadsSecret,
    /// Runs until it is let go, then prints this many bytes and exits with code 0.
    Prints(u64),
}

/// What a case needs of a backend's test.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Returns the backend. After [`come_back`](Self::come_back) it may be another one over the same Jobs.
    fn backend(&self) -> Arc<dyn JobBackend>;

    /// Makes a Job of this name that behaves like this. The same arguments give the same Job.
    fn job(&self, name: &str, behaviour: Behaviour) -> Job;

    /// Lets the container of a submitted Job start, where it does not do so by itself.
    async fn start(&self, name: &str);

    /// Lets the container of a Job do what ends it: exit, give in to TERM or KILL, be removed after a cancel.
    async fn let_go(&self, name: &str);

    /// Makes the backend unreachable, as a server that is away or a program that is stopped.
    async fn go_away(&self);

    /// Undoes [`go_away`](Self::go_away).
    async fn come_back(&self);

    /// Returns how many bytes the container has printed, where the backend keeps them.
    async fn printed(&self, name: &str) -> Option<u64>;

    /// Tells whether anything of the Secret of an ended or refused Job is left. Where ended Jobs stay as objects and own their
    /// Secret, the Job is removed first, as its `ttlSecondsAfterFinished` would. `None`: the backend takes no Secrets.
    async fn secret_is_left(&self, name: &str) -> Option<bool>;

    /// Tells whether a Job is still known after it was cancelled and is gone.
    fn remembers_cancelled(&self) -> bool;
}

/// Creates a Job that every backend accepts: one container that exits at once with code 0.
///
/// No two of its labels have the same value, so that a mix-up shows.
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

/// What the Secret of [`sample_submission`] holds under its one key, `token`. It occurs nowhere else.
pub const SAMPLE_TOKEN: &str = "the-token-of-the-sample";

/// Where the container of [`sample_submission`] mounts its Secret.
pub const SAMPLE_MOUNT: &str = "/run/sample";

/// Makes a [`sample_job`] with a Secret of the same name, which its container gets as variable `TOKEN` and as file
/// `token` of [`SAMPLE_MOUNT`].
///
/// # Panics
/// Never; the object is written out below.
#[must_use]
pub fn sample_submission(name: &str) -> Submission {
    let mut job = sample_job(name);
    if let Some(pod) = job.spec.as_mut().and_then(|spec| spec.template.spec.as_mut()) {
        let asked = json!({"name": "executor",
            "image": pod.containers[0].image, "command": pod.containers[0].command,
            "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": "token"}}}],
            "volumeMounts": [{"name": "secret", "mountPath": SAMPLE_MOUNT, "readOnly": true}]});
        pod.containers[0] = serde_json::from_value(asked).expect("the object above is a container");
        let volumes = json!([{"name": "secret", "secret": {"secretName": name}}]);
        pod.volumes = Some(serde_json::from_value(volumes).expect("the list above holds volumes"));
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

/// Reads a watch until a phase is the wanted one, and returns all phases up to it.
async fn read_until(
    phases: &mut BoxStream<'static, Result<JobPhase, BackendError>>,
    wanted: impl Fn(&JobPhase) -> bool,
) -> Vec<JobPhase> {
    let mut seen = Vec::new();
    loop {
        let phase = within(&seen, phases.next()).await;
        let phase = phase.unwrap_or_else(|| unreachable!("the watch ended after {seen:?}"));
        let phase = phase.expect("the backend is there");
        let found = wanted(&phase);
        seen.push(phase);
        if found {
            return seen;
        }
    }
}

/// Reads a watch to its end, and makes sure that it is one.
async fn read_to_end(mut phases: BoxStream<'static, Result<JobPhase, BackendError>>) -> Vec<JobPhase> {
    let seen = read_until(&mut phases, JobPhase::is_terminal).await;
    assert!(within("the end of the watch", phases.next()).await.is_none(), "something followed {seen:?}");
    seen
}

/// Awaits something for as long as is sensible.
async fn within<T>(seen: impl fmt::Debug, wanted: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, wanted).await {
        Ok(result) => result,
        Err(_) => unreachable!("nothing came in {PATIENCE:?}; last: {seen:?}"),
    }
}

/// Makes one test of every case, each with a harness of its own: `conformance_suite!(local, LocalHarness::new().await)`.
///
/// The first word names the module of the tests; the expression may use every name of the module around the call.
/// Needs `tokio` with its test macro.
#[macro_export]
macro_rules! conformance_suite {
    ($backend:ident, $harness:expr) => {
        $crate::conformance_suite!(@cases $backend, $harness,
            the_same_job_again_is_already_there,
            the_same_job_submitted_by_many_at_once_is_created_once,
            another_job_under_a_used_name_is_a_conflict,
            the_same_job_after_its_end_is_already_there,
            a_job_without_a_name_is_invalid,
            watching_an_unknown_job_is_not_found,
            a_watch_tells_the_phases_in_order_and_ends,
            a_watch_in_the_middle_starts_in_the_middle,
            a_watch_after_the_end_tells_the_end_alone,
            an_exit_code_is_told,
            two_watchers_see_one_order,
            dropping_a_watcher_leaves_the_job_alone,
            a_job_that_cannot_start_waits_and_can_be_cancelled,
            cancelling_a_running_job_ends_it,
            cancelling_twice_is_ok,
            cancelling_an_ended_job_changes_nothing,
            cancelling_an_unknown_job_is_ok,
            a_job_that_ignores_term_is_killed_after_its_grace_period,
            output_larger_than_a_pipe_blocks_nobody,
            a_job_that_overstays_its_deadline_is_ended,
            a_backend_that_goes_away_is_unavailable_and_loses_nothing,
            a_secret_reaches_its_container_and_goes_with_the_job,
            the_secret_of_a_cancelled_job_goes_too,
            the_same_job_with_its_secret_again_is_already_there,
            a_secret_is_never_replaced,
            a_submit_that_is_refused_leaves_no_secret,
            a_secret_that_does_not_belong_to_its_job_is_invalid,
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
