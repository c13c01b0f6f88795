//! The test cases about the Secret of a Job. A backend that supports none must refuse it.

use super::{Behavior, Harness, NAME, next, read_to_end, read_until, run, within};
use crate::{
    backend::{Cause, JobPhase, Submitted},
    error::ErrorKind,
    rules::IDENTITY_ANNOTATION,
    submission::Submission,
    testing::conformance::sample_submission,
};

fn with_secret(harness: &dyn Harness) -> Submission {
    Submission { job: harness.job(NAME, Behavior::ReadsSecret), ..sample_submission(NAME) }
}

/// Runs a Job with its Secret until its start; `false` if the backend supports no Secrets and refuses it.
async fn run_with_secret(harness: &dyn Harness) -> bool {
    let submitted = within("submit", harness.backend().submit(&with_secret(harness))).await;
    if harness.secret_remains(NAME).await.is_none() {
        assert_eq!(submitted.expect_err("it supports no Secrets").kind, ErrorKind::Invalid);
        return false;
    }
    assert_eq!(submitted.expect("a valid Secret is accepted"), Submitted::Created);
    harness.start(NAME).await;
    read_until(&mut harness.backend().watch(NAME), |phase| *phase == JobPhase::Running).await;
    true
}

async fn completes(harness: &dyn Harness) {
    harness.release(NAME).await;
    let seen = read_to_end(harness.backend().watch(NAME)).await;
    assert_eq!(seen.last(), Some(&JobPhase::Ended(Cause::Completed)), "it has not got its Secret");
}

/// The Secret exists when the container starts, and not after the Job.
pub async fn secret_reaches_its_container_and_is_deleted_with_the_job(harness: &dyn Harness) {
    if run_with_secret(harness).await {
        completes(harness).await;
        assert_eq!(harness.secret_remains(NAME).await, Some(false));
    }
}

/// A cancelled Job leaves no Secret either.
pub async fn secret_of_cancelled_job_is_deleted(harness: &dyn Harness) {
    if run_with_secret(harness).await {
        let mut phases = harness.backend().watch(NAME);
        next(&mut phases).await.expect("it is known");
        harness.backend().cancel(NAME).await.expect("a running Job can be cancelled");
        harness.release(NAME).await;
        read_to_end(phases).await;
        assert_eq!(harness.secret_remains(NAME).await, Some(false));
    }
}

/// Submitting is idempotent with a Secret, too, and so is its removal.
pub async fn same_job_with_its_secret_again_is_already_there(harness: &dyn Harness) {
    if run_with_secret(harness).await {
        let again = harness.backend().submit(&with_secret(harness)).await;
        assert_eq!(again.expect("the same Job is accepted"), Submitted::AlreadyThere);
        completes(harness).await;
        let again = harness.backend().submit(&with_secret(harness)).await;
        assert_eq!(again.expect("the same Job is accepted"), Submitted::AlreadyThere);
        assert_eq!(harness.secret_remains(NAME).await, Some(false));
    }
}

/// The first Secret stays. A backend may refuse another one, but need not.
pub async fn secret_is_never_replaced(harness: &dyn Harness) {
    if run_with_secret(harness).await {
        let mut other = with_secret(harness);
        if let Some(secret) = &mut other.secret {
            secret.string_data = Some([("token".to_owned(), "another".to_owned())].into());
        }
        match harness.backend().submit(&other).await {
            Ok(submitted) => assert_eq!(submitted, Submitted::AlreadyThere),
            Err(error) => assert_eq!(error.kind, ErrorKind::Conflict),
        }
        completes(harness).await;
    }
}

/// A Secret without its Job would never be deleted.
pub async fn refused_submit_leaves_no_secret(harness: &dyn Harness) {
    run(harness, Behavior::Exits(0)).await;
    let mut other = sample_submission(NAME);
    other.job.metadata.annotations =
        Some([(IDENTITY_ANNOTATION.to_owned(), "another hash".to_owned())].into());
    let error = harness.backend().submit(&other).await.expect_err("the name belongs to another Job");
    let remains = harness.secret_remains(NAME).await;
    assert_eq!(error.kind, if remains.is_none() { ErrorKind::Invalid } else { ErrorKind::Conflict });
    assert_ne!(remains, Some(true));
    completes(harness).await;
}

/// A Secret has a name, and the namespace of its Job.
pub async fn secret_that_does_not_belong_to_its_job_is_invalid(harness: &dyn Harness) {
    let mut nameless = with_secret(harness);
    let mut elsewhere = with_secret(harness);
    if let (Some(one), Some(two)) = (&mut nameless.secret, &mut elsewhere.secret) {
        one.metadata.name = None;
        two.metadata.namespace = Some("another-namespace".to_owned());
    }
    for submission in [nameless, elsewhere] {
        let error = harness.backend().submit(&submission).await.expect_err("the Secret is invalid");
        assert_eq!(error.kind, ErrorKind::Invalid);
    }
    assert_ne!(harness.secret_remains(NAME).await, Some(true));
}
