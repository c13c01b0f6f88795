//! The promises about the Secret of a Job. A backend that takes none must say so.

use super::{Behaviour, Harness, NAME, next, read_to_end, read_until, run, within};
use crate::{
    backend::{Cause, JobPhase, Submitted},
    error::ErrorKind,
    rules::IDENTITY_ANNOTATION,
    submission::Submission,
    testing::conformance::sample_submission,
};

fn with_secret(harness: &dyn Harness) -> Submission {
    Submission { job: harness.job(NAME, Behaviour::ReadsSecret), ..sample_submission(NAME) }
}

/// Runs a Job with its Secret until it has started; `false` if the backend takes no Secret, and says so.
async fn run_with_secret(harness: &dyn Harness) -> bool {
    let submitted = within("submit", harness.backend().submit(&with_secret(harness))).await;
    if harness.secret_is_left(NAME).await.is_none() {
        assert_eq!(submitted.expect_err("it takes no Secrets").kind, ErrorKind::Invalid);
        return false;
    }
    assert_eq!(submitted.expect("a good Secret is accepted"), Submitted::Created);
    harness.start(NAME).await;
    read_until(&mut harness.backend().watch(NAME), |phase| *phase == JobPhase::Running).await;
    true
}

async fn completes(harness: &dyn Harness) {
    harness.let_go(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Completed)), "it did not get its Secret");
}

/// What was submitted is there when the container starts, and not after the Job.
pub async fn a_secret_reaches_its_container_and_goes_with_the_job(harness: &dyn Harness) {
    if run_with_secret(harness).await {
        completes(harness).await;
        assert_eq!(harness.secret_is_left(NAME).await, Some(false));
    }
}

/// A Job that is ended by hand leaves no Secret either.
pub async fn the_secret_of_a_cancelled_job_goes_too(harness: &dyn Harness) {
    if run_with_secret(harness).await {
        let mut phases = harness.backend().watch(NAME);
        next(&mut phases).await.expect("it is known");
        harness.backend().cancel(NAME).await.expect("a running Job can be cancelled");
        harness.let_go(NAME).await;
        read_to_end(phases).await;
        assert_eq!(harness.secret_is_left(NAME).await, Some(false));
    }
}

/// Submitting is idempotent with a Secret, too, and so is its removal.
pub async fn the_same_job_with_its_secret_again_is_already_there(harness: &dyn Harness) {
    if run_with_secret(harness).await {
        let again = harness.backend().submit(&with_secret(harness)).await;
        assert_eq!(again.expect("the same Job is welcome"), Submitted::AlreadyThere);
        completes(harness).await;
        let again = harness.backend().submit(&with_secret(harness)).await;
        assert_eq!(again.expect("the same Job is welcome"), Submitted::AlreadyThere);
        assert_eq!(harness.secret_is_left(NAME).await, Some(false));
    }
}

/// The Secret that came first is the one of the Job. A backend may notice another one, but need not.
pub async fn a_secret_is_never_replaced(harness: &dyn Harness) {
    if run_with_secret(harness).await {
        let mut other = with_secret(harness);
        if let Some(secret) = &mut other.secret {
            secret.string_data = Some([("token".to_owned(), "another".to_owned())].into());
        }
        match harness.backend().submit(&other).await {
            Ok(answer) => assert_eq!(answer, Submitted::AlreadyThere),
            Err(error) => assert_eq!(error.kind, ErrorKind::Conflict),
        }
        completes(harness).await;
    }
}

/// A Secret without its Job would stay for ever.
pub async fn a_submit_that_is_refused_leaves_no_secret(harness: &dyn Harness) {
    run(harness, Behaviour::Exits(0)).await;
    let mut other = sample_submission(NAME);
    other.job.metadata.annotations =
        Some([(IDENTITY_ANNOTATION.to_owned(), "another hash".to_owned())].into());
    let error = harness.backend().submit(&other).await.expect_err("the name is taken");
    let left = harness.secret_is_left(NAME).await;
    assert_eq!(error.kind, if left.is_none() { ErrorKind::Invalid } else { ErrorKind::Conflict });
    assert_ne!(left, Some(true));
    completes(harness).await;
}

/// A Secret has a name, and stands where its Job stands.
pub async fn a_secret_that_does_not_belong_to_its_job_is_invalid(harness: &dyn Harness) {
    let mut nameless = with_secret(harness);
    let mut elsewhere = with_secret(harness);
    if let (Some(one), Some(two)) = (&mut nameless.secret, &mut elsewhere.secret) {
        one.metadata.name = None;
        two.metadata.namespace = Some("another-namespace".to_owned());
    }
    for submission in [nameless, elsewhere] {
        let error = harness.backend().submit(&submission).await.expect_err("the Secret does not fit");
        assert_eq!(error.kind, ErrorKind::Invalid);
    }
    assert_ne!(harness.secret_is_left(NAME).await, Some(true));
}
