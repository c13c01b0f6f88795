//! The test cases, one function each. A failure panics.
#![expect(clippy::missing_panics_doc, reason = "each of these functions panics when the test fails")]

use super::{Behavior, Harness, next, read_to_end, read_until, sample_job, within};
use crate::{
    backend::{Cause, JobPhase, Submitted},
    error::ErrorKind,
    rules::IDENTITY_ANNOTATION,
};

mod secrets;

pub use self::secrets::{
    refused_submit_leaves_no_secret, same_job_with_its_secret_again_is_already_there,
    secret_is_never_replaced, secret_of_cancelled_job_is_deleted,
    secret_reaches_its_container_and_is_deleted_with_the_job,
    secret_that_does_not_belong_to_its_job_is_invalid,
};

const NAME: &str = "job-1001-100-1";

async fn submit(harness: &dyn Harness, behavior: Behavior) {
    let job = harness.job(NAME, behavior);
    let submitted =
        within("submit", harness.backend().submit(&job.into())).await.expect("a valid Job is accepted");
    assert_eq!(submitted, Submitted::Created);
}

/// Submits a Job and waits until its container runs.
async fn run(harness: &dyn Harness, behavior: Behavior) {
    submit(harness, behavior).await;
    harness.start(NAME).await;
    let mut phases = harness.backend().watch(NAME);
    read_until(&mut phases, |phase| *phase == JobPhase::Running).await;
}

/// Runs a Job to its end.
async fn run_to_end(harness: &dyn Harness, behavior: Behavior) {
    run(harness, behavior).await;
    harness.release(NAME).await;
    read_to_end(harness.backend().watch(NAME)).await;
}

/// Submitting is idempotent.
pub async fn same_job_again_is_already_there(harness: &dyn Harness) {
    submit(harness, Behavior::Exits(0)).await;
    let again = harness.backend().submit(&harness.job(NAME, Behavior::Exits(0)).into()).await;
    assert_eq!(again.expect("the same Job is accepted"), Submitted::AlreadyThere);
    harness.start(NAME).await;
    harness.release(NAME).await;
    read_to_end(harness.backend().watch(NAME)).await;
}

/// Of many concurrent callers, one creates the Job.
pub async fn concurrent_submits_of_the_same_job_create_it_once(harness: &dyn Harness) {
    let backend = harness.backend();
    let job = harness.job(NAME, Behavior::Exits(0)).into();
    let results = futures::future::join_all((0..8).map(|_| backend.submit(&job))).await;
    let created = results.into_iter().filter(|result| matches!(result, Ok(Submitted::Created))).count();
    assert_eq!(created, 1);
    harness.start(NAME).await;
    harness.release(NAME).await;
    read_to_end(backend.watch(NAME)).await;
}

/// A name belongs to one Job, which a conflict does not disturb.
pub async fn another_job_of_a_used_name_is_a_conflict(harness: &dyn Harness) {
    run(harness, Behavior::Exits(0)).await;
    let mut other = harness.job(NAME, Behavior::Exits(0));
    other.metadata.annotations = Some([(IDENTITY_ANNOTATION.to_owned(), "another hash".to_owned())].into());
    let error = harness.backend().submit(&other.into()).await.expect_err("the name belongs to another Job");
    assert_eq!(error.kind, ErrorKind::Conflict);
    harness.release(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Completed)));
}

/// A Job runs once, however often it is submitted.
pub async fn same_job_after_its_end_is_already_there(harness: &dyn Harness) {
    run_to_end(harness, Behavior::Exits(0)).await;
    let again = harness.backend().submit(&harness.job(NAME, Behavior::Exits(0)).into()).await;
    assert_eq!(again.expect("the same Job is accepted"), Submitted::AlreadyThere);
    assert_eq!(read_to_end(harness.backend().watch(NAME)).await, [JobPhase::Ended(Cause::Completed)]);
}

/// Nothing is created for a Job without a valid name.
pub async fn job_without_valid_name_is_invalid(harness: &dyn Harness) {
    for name in ["", "../escape", "Capital"] {
        let error =
            harness.backend().submit(&sample_job(name).into()).await.expect_err("the name is invalid");
        assert_eq!(error.kind, ErrorKind::Invalid, "{name:?}");
    }
}

/// A watch before the submit yields an error and ends.
pub async fn watch_of_unknown_job_is_not_found(harness: &dyn Harness) {
    let mut phases = harness.backend().watch(NAME);
    assert_eq!(next(&mut phases).await.expect_err("it was not submitted").kind, ErrorKind::NotFound);
    assert!(within("the end", futures::StreamExt::next(&mut phases)).await.is_none());
    // The watch has no effect on a later submit.
    run_to_end(harness, Behavior::Exits(0)).await;
}

/// Phases come in order, none twice in a row, and nothing follows the last.
pub async fn watch_yields_phases_in_order_and_ends(harness: &dyn Harness) {
    submit(harness, Behavior::Exits(0)).await;
    let mut phases = harness.backend().watch(NAME);
    let first = next(&mut phases).await.expect("it is known");
    harness.start(NAME).await;
    harness.release(NAME).await;
    let mut seen = vec![first.clone()];
    if !first.is_terminal() {
        seen.extend(read_to_end(phases).await);
    }
    let rank = |phase: &JobPhase| match phase {
        JobPhase::Pending { .. } => 0,
        JobPhase::Running => 1,
        JobPhase::Ended(_) => 2,
    };
    assert!(seen.windows(2).all(|pair| rank(&pair[0]) <= rank(&pair[1]) && pair[0] != pair[1]), "{seen:?}");
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Completed)));
}

/// A watch yields the current phase first.
pub async fn watch_of_running_job_starts_with_running(harness: &dyn Harness) {
    run(harness, Behavior::Exits(0)).await;
    let mut phases = harness.backend().watch(NAME);
    assert_eq!(next(&mut phases).await.expect("it is known"), JobPhase::Running);
    harness.release(NAME).await;
    assert_eq!(read_to_end(phases).await, [JobPhase::Ended(Cause::Completed)]);
}

/// The end can be read at any later time.
pub async fn watch_after_the_end_yields_only_the_end(harness: &dyn Harness) {
    run_to_end(harness, Behavior::Exits(0)).await;
    for _ in 0..2 {
        assert_eq!(read_to_end(harness.backend().watch(NAME)).await, [JobPhase::Ended(Cause::Completed)]);
    }
}

/// The exit code is the cause.
pub async fn exit_code_is_the_cause(harness: &dyn Harness) {
    run(harness, Behavior::Exits(7)).await;
    harness.release(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::ExitCode(Some(7)))));
}

/// All watches of a Job yield the same phases.
pub async fn two_watchers_get_the_same_end(harness: &dyn Harness) {
    submit(harness, Behavior::Exits(0)).await;
    let backend = harness.backend();
    let (mut one, mut two) = (backend.watch(NAME), backend.watch(NAME));
    harness.start(NAME).await;
    let running = |phase: &JobPhase| *phase == JobPhase::Running;
    read_until(&mut one, running).await;
    read_until(&mut two, running).await;
    harness.release(NAME).await;
    assert_eq!(read_to_end(one).await, read_to_end(two).await);
}

/// A watch has no effect on its Job.
pub async fn dropping_a_watch_does_not_stop_the_job(harness: &dyn Harness) {
    run(harness, Behavior::Exits(0)).await;
    let mut phases = harness.backend().watch(NAME);
    next(&mut phases).await.expect("it is known");
    drop(phases);
    harness.release(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Completed)));
}

/// A Job that was cancelled before its start never starts.
pub async fn job_that_cannot_start_is_pending_and_can_be_cancelled(harness: &dyn Harness) {
    submit(harness, Behavior::NeverStarts).await;
    let mut phases = harness.backend().watch(NAME);
    let first = next(&mut phases).await.expect("it is known");
    assert!(matches!(first, JobPhase::Pending { .. }), "{first:?}");
    harness.backend().cancel(NAME).await.expect("a waiting Job can be cancelled");
    harness.release(NAME).await;
    let seen = read_to_end(phases).await;
    assert!(!seen.contains(&JobPhase::Running), "{seen:?}");
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Deleted)));
}

/// A running container gets TERM.
pub async fn cancelling_a_running_job_ends_it(harness: &dyn Harness) {
    run(harness, Behavior::RunsUntilCancelled).await;
    let mut phases = harness.backend().watch(NAME);
    assert_eq!(next(&mut phases).await.expect("it is known"), JobPhase::Running);
    harness.backend().cancel(NAME).await.expect("a running Job can be cancelled");
    harness.release(NAME).await;
    let seen = read_to_end(phases).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Deleted)));
    if harness.remembers_cancelled() {
        assert_eq!(read_to_end(harness.backend().watch(NAME)).await, [JobPhase::Ended(Cause::Deleted)]);
    }
}

/// The second cancel has no effect.
pub async fn cancelling_twice_is_ok(harness: &dyn Harness) {
    run(harness, Behavior::RunsUntilCancelled).await;
    let mut phases = harness.backend().watch(NAME);
    next(&mut phases).await.expect("it is known");
    for _ in 0..2 {
        harness.backend().cancel(NAME).await.expect("a Job can be cancelled again");
    }
    harness.release(NAME).await;
    let seen = read_to_end(phases).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Deleted)));
    harness.backend().cancel(NAME).await.expect("a cancelled Job can be cancelled");
}

/// An end is final.
pub async fn cancelling_an_ended_job_changes_nothing(harness: &dyn Harness) {
    run_to_end(harness, Behavior::Exits(7)).await;
    harness.backend().cancel(NAME).await.expect("the requested state holds");
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen, [JobPhase::Ended(Cause::ExitCode(Some(7)))]);
}

/// A cancel of an unknown Job has no effect.
pub async fn cancelling_an_unknown_job_is_ok(harness: &dyn Harness) {
    harness.backend().cancel(NAME).await.expect("the requested state holds");
    run_to_end(harness, Behavior::Exits(0)).await;
}

/// TERM is a request, KILL is not.
pub async fn job_that_ignores_term_is_killed_after_its_grace_period(harness: &dyn Harness) {
    run(harness, Behavior::IgnoresTerm).await;
    let mut phases = harness.backend().watch(NAME);
    next(&mut phases).await.expect("it is known");
    harness.backend().cancel(NAME).await.expect("a running Job can be cancelled");
    harness.release(NAME).await;
    let seen = read_to_end(phases).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Deleted)));
}

/// A container does not wait for a reader of its output.
pub async fn output_larger_than_a_pipe_does_not_block_the_job(harness: &dyn Harness) {
    const BYTES: u64 = 1 << 20;
    run(harness, Behavior::Prints(BYTES)).await;
    harness.release(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Completed)));
    if let Some(printed) = harness.printed(NAME).await {
        assert!(printed >= BYTES, "{printed} bytes were kept of {BYTES}");
    }
}

/// A deadline ends a Job, and is the cause of the end.
pub async fn job_is_ended_at_its_deadline(harness: &dyn Harness) {
    submit(harness, Behavior::ExceedsDeadline).await;
    harness.start(NAME).await;
    harness.release(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::DeadlineExceeded)));
}

/// While a backend is unavailable it returns errors of that kind, and afterwards it knows its Jobs.
pub async fn unavailable_backend_loses_no_job(harness: &dyn Harness) {
    run(harness, Behavior::Exits(0)).await;
    let backend = harness.backend();
    let mut phases = backend.watch(NAME);
    next(&mut phases).await.expect("it is known");
    harness.set_unavailable().await;
    assert_eq!(next(&mut phases).await.expect_err("it is unavailable").kind, ErrorKind::Unavailable);
    assert!(within("the end", futures::StreamExt::next(&mut phases)).await.is_none());
    let job = harness.job(NAME, Behavior::Exits(0)).into();
    let refused = within("submit", backend.submit(&job)).await.expect_err("it is unavailable");
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    let refused = within("cancel", backend.cancel(NAME)).await.expect_err("it is unavailable");
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    drop((phases, backend));
    harness.set_available().await;
    let again = harness.backend().submit(&job).await.expect("it is available again");
    assert_eq!(again, Submitted::AlreadyThere);
    let mut phases = harness.backend().watch(NAME);
    assert_eq!(next(&mut phases).await.expect("it is known"), JobPhase::Running);
    harness.release(NAME).await;
    read_to_end(phases).await;
}
