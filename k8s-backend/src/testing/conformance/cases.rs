//! The promises of a backend, one function each. A broken promise panics.
#![expect(clippy::missing_panics_doc, reason = "to panic is how every one of these functions reports")]

use super::{Behaviour, Harness, next, read_to_end, read_until, sample_job, within};
use crate::{
    backend::{Cause, JobPhase, Submitted},
    error::ErrorKind,
    rules::IDENTITY_ANNOTATION,
};

mod secrets;

pub use self::secrets::{
    a_secret_is_never_replaced, a_secret_reaches_its_container_and_goes_with_the_job,
    a_secret_that_does_not_belong_to_its_job_is_invalid, a_submit_that_is_refused_leaves_no_secret,
    the_same_job_with_its_secret_again_is_already_there, the_secret_of_a_cancelled_job_goes_too,
};

const NAME: &str = "job-1001-100-1";

async fn submit(harness: &dyn Harness, behaviour: Behaviour) {
    let job = harness.job(NAME, behaviour);
    let submitted =
        within("submit", harness.backend().submit(&job.into())).await.expect("a good Job is accepted");
    assert_eq!(submitted, Submitted::Created);
}

/// Submits a Job and waits until its container runs.
async fn run(harness: &dyn Harness, behaviour: Behaviour) {
    submit(harness, behaviour).await;
    harness.start(NAME).await;
    let mut phases = harness.backend().watch(NAME);
    read_until(&mut phases, |phase| *phase == JobPhase::Running).await;
}

/// Brings a Job to its end.
async fn run_to_end(harness: &dyn Harness, behaviour: Behaviour) {
    run(harness, behaviour).await;
    harness.let_go(NAME).await;
    read_to_end(harness.backend().watch(NAME)).await;
}

/// Submitting is idempotent.
pub async fn the_same_job_again_is_already_there(harness: &dyn Harness) {
    submit(harness, Behaviour::Exits(0)).await;
    let again = harness.backend().submit(&harness.job(NAME, Behaviour::Exits(0)).into()).await;
    assert_eq!(again.expect("the same Job is welcome"), Submitted::AlreadyThere);
    harness.start(NAME).await;
    harness.let_go(NAME).await;
    read_to_end(harness.backend().watch(NAME)).await;
}

/// Of many callers one makes the Job.
pub async fn the_same_job_submitted_by_many_at_once_is_created_once(harness: &dyn Harness) {
    let backend = harness.backend();
    let job = harness.job(NAME, Behaviour::Exits(0)).into();
    let answers = futures::future::join_all((0..8).map(|_| backend.submit(&job))).await;
    let created = answers.into_iter().filter(|answer| matches!(answer, Ok(Submitted::Created))).count();
    assert_eq!(created, 1);
    harness.start(NAME).await;
    harness.let_go(NAME).await;
    read_to_end(backend.watch(NAME)).await;
}

/// A name belongs to one Job, and the first one is not disturbed by another.
pub async fn another_job_under_a_used_name_is_a_conflict(harness: &dyn Harness) {
    run(harness, Behaviour::Exits(0)).await;
    let mut other = harness.job(NAME, Behaviour::Exits(0));
    other.metadata.annotations = Some([(IDENTITY_ANNOTATION.to_owned(), "another hash".to_owned())].into());
    let error = harness.backend().submit(&other.into()).await.expect_err("the name is taken");
    assert_eq!(error.kind, ErrorKind::Conflict);
    harness.let_go(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Completed)));
}

/// A Job runs once, however often it is submitted.
pub async fn the_same_job_after_its_end_is_already_there(harness: &dyn Harness) {
    run_to_end(harness, Behaviour::Exits(0)).await;
    let again = harness.backend().submit(&harness.job(NAME, Behaviour::Exits(0)).into()).await;
    assert_eq!(again.expect("the same Job is welcome"), Submitted::AlreadyThere);
    assert_eq!(read_to_end(harness.backend().watch(NAME)).await, [JobPhase::Ended(Cause::Completed)]);
}

/// Nothing is made of a Job that cannot be named.
pub async fn a_job_without_a_name_is_invalid(harness: &dyn Harness) {
    for name in ["", "../escape", "Capital"] {
        let error = harness.backend().submit(&sample_job(name).into()).await.expect_err("no good name");
        assert_eq!(error.kind, ErrorKind::Invalid, "{name:?}");
    }
}

/// A watch before the submit says so and ends.
pub async fn watching_an_unknown_job_is_not_found(harness: &dyn Harness) {
    let mut phases = harness.backend().watch(NAME);
    assert_eq!(next(&mut phases).await.expect_err("nobody submitted it").kind, ErrorKind::NotFound);
    assert!(within("the end", futures::StreamExt::next(&mut phases)).await.is_none());
    // Asking does no harm.
    run_to_end(harness, Behaviour::Exits(0)).await;
}

/// Phases come in order, none twice in a row, and nothing follows the last.
pub async fn a_watch_tells_the_phases_in_order_and_ends(harness: &dyn Harness) {
    submit(harness, Behaviour::Exits(0)).await;
    let mut phases = harness.backend().watch(NAME);
    let first = next(&mut phases).await.expect("it is known");
    harness.start(NAME).await;
    harness.let_go(NAME).await;
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

/// A watcher first hears how things stand.
pub async fn a_watch_in_the_middle_starts_in_the_middle(harness: &dyn Harness) {
    run(harness, Behaviour::Exits(0)).await;
    let mut phases = harness.backend().watch(NAME);
    assert_eq!(next(&mut phases).await.expect("it is known"), JobPhase::Running);
    harness.let_go(NAME).await;
    assert_eq!(read_to_end(phases).await, [JobPhase::Ended(Cause::Completed)]);
}

/// The end can be asked for at any time later.
pub async fn a_watch_after_the_end_tells_the_end_alone(harness: &dyn Harness) {
    run_to_end(harness, Behaviour::Exits(0)).await;
    for _ in 0..2 {
        assert_eq!(read_to_end(harness.backend().watch(NAME)).await, [JobPhase::Ended(Cause::Completed)]);
    }
}

/// The exit code is the cause.
pub async fn an_exit_code_is_told(harness: &dyn Harness) {
    run(harness, Behaviour::Exits(7)).await;
    harness.let_go(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::ExitCode(Some(7)))));
}

/// Two watchers never disagree.
pub async fn two_watchers_see_one_order(harness: &dyn Harness) {
    submit(harness, Behaviour::Exits(0)).await;
    let backend = harness.backend();
    let (mut one, mut two) = (backend.watch(NAME), backend.watch(NAME));
    harness.start(NAME).await;
    let running = |phase: &JobPhase| *phase == JobPhase::Running;
    read_until(&mut one, running).await;
    read_until(&mut two, running).await;
    harness.let_go(NAME).await;
    assert_eq!(read_to_end(one).await, read_to_end(two).await);
}

/// Watching is only watching.
pub async fn dropping_a_watcher_leaves_the_job_alone(harness: &dyn Harness) {
    run(harness, Behaviour::Exits(0)).await;
    let mut phases = harness.backend().watch(NAME);
    next(&mut phases).await.expect("it is known");
    drop(phases);
    harness.let_go(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Completed)));
}

/// What was cancelled before it started never starts.
pub async fn a_job_that_cannot_start_waits_and_can_be_cancelled(harness: &dyn Harness) {
    submit(harness, Behaviour::NeverStarts).await;
    let mut phases = harness.backend().watch(NAME);
    let first = next(&mut phases).await.expect("it is known");
    assert!(matches!(first, JobPhase::Pending { .. }), "{first:?}");
    harness.backend().cancel(NAME).await.expect("a waiting Job can be cancelled");
    harness.let_go(NAME).await;
    let seen = read_to_end(phases).await;
    assert!(!seen.contains(&JobPhase::Running), "{seen:?}");
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Deleted)));
}

/// A running container gets TERM.
pub async fn cancelling_a_running_job_ends_it(harness: &dyn Harness) {
    run(harness, Behaviour::RunsUntilCancelled).await;
    let mut phases = harness.backend().watch(NAME);
    assert_eq!(next(&mut phases).await.expect("it is known"), JobPhase::Running);
    harness.backend().cancel(NAME).await.expect("a running Job can be cancelled");
    harness.let_go(NAME).await;
    let seen = read_to_end(phases).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Deleted)));
    if harness.remembers_cancelled() {
        assert_eq!(read_to_end(harness.backend().watch(NAME)).await, [JobPhase::Ended(Cause::Deleted)]);
    }
}

/// Asking for the same end twice is asking once.
pub async fn cancelling_twice_is_ok(harness: &dyn Harness) {
    run(harness, Behaviour::RunsUntilCancelled).await;
    let mut phases = harness.backend().watch(NAME);
    next(&mut phases).await.expect("it is known");
    for _ in 0..2 {
        harness.backend().cancel(NAME).await.expect("a Job can be cancelled again");
    }
    harness.let_go(NAME).await;
    let seen = read_to_end(phases).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Deleted)));
    harness.backend().cancel(NAME).await.expect("a cancelled Job can be cancelled");
}

/// An end is final.
pub async fn cancelling_an_ended_job_changes_nothing(harness: &dyn Harness) {
    run_to_end(harness, Behaviour::Exits(7)).await;
    harness.backend().cancel(NAME).await.expect("the wanted state holds");
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen, [JobPhase::Ended(Cause::ExitCode(Some(7)))]);
}

/// Nothing has to be ended.
pub async fn cancelling_an_unknown_job_is_ok(harness: &dyn Harness) {
    harness.backend().cancel(NAME).await.expect("the wanted state holds");
    run_to_end(harness, Behaviour::Exits(0)).await;
}

/// TERM is a request, KILL is not.
pub async fn a_job_that_ignores_term_is_killed_after_its_grace_period(harness: &dyn Harness) {
    run(harness, Behaviour::IgnoresTerm).await;
    let mut phases = harness.backend().watch(NAME);
    next(&mut phases).await.expect("it is known");
    harness.backend().cancel(NAME).await.expect("a running Job can be cancelled");
    harness.let_go(NAME).await;
    let seen = read_to_end(phases).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Deleted)));
}

/// A container that prints much does not wait for a reader.
pub async fn output_larger_than_a_pipe_blocks_nobody(harness: &dyn Harness) {
    const MUCH: u64 = 1 << 20;
    run(harness, Behaviour::Prints(MUCH)).await;
    harness.let_go(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Completed)));
    if let Some(printed) = harness.printed(NAME).await {
        assert!(printed >= MUCH, "{printed} bytes were kept of {MUCH}");
    }
}

/// A deadline ends a Job, and is told as what it is.
pub async fn a_job_that_overstays_its_deadline_is_ended(harness: &dyn Harness) {
    submit(harness, Behaviour::OverstaysDeadline).await;
    harness.start(NAME).await;
    harness.let_go(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::DeadlineExceeded)));
}

/// While a backend is away it says that it may work later, and afterwards the Job is still there.
pub async fn a_backend_that_goes_away_is_unavailable_and_loses_nothing(harness: &dyn Harness) {
    run(harness, Behaviour::Exits(0)).await;
    let backend = harness.backend();
    let mut phases = backend.watch(NAME);
    next(&mut phases).await.expect("it is known");
    harness.go_away().await;
    assert_eq!(next(&mut phases).await.expect_err("it is away").kind, ErrorKind::Unavailable);
    assert!(within("the end", futures::StreamExt::next(&mut phases)).await.is_none());
    let job = harness.job(NAME, Behaviour::Exits(0)).into();
    let refused = within("submit", backend.submit(&job)).await.expect_err("it is away");
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    let refused = within("cancel", backend.cancel(NAME)).await.expect_err("it is away");
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    drop((phases, backend));
    harness.come_back().await;
    let again = harness.backend().submit(&job).await.expect("it is back");
    assert_eq!(again, Submitted::AlreadyThere);
    let mut phases = harness.backend().watch(NAME);
    assert_eq!(next(&mut phases).await.expect("it is known"), JobPhase::Running);
    harness.let_go(NAME).await;
    read_to_end(phases).await;
}
