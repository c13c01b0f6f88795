//! Waits: each says why, behind whom, and what ends it; each is bounded, or ends by a named user.

use super::*;
use crate::model::Ahead;

fn message_of(job: &Job, hold: WorkspaceHold, now: Timestamp) -> String {
    let (next, message) = settle(job, hold, now, START_TIMEOUT);
    assert!(matches!(next, Next::Wait(_)), "{next:?}");
    message.expect("every wait has a reason")
}

fn seconds(seconds: i64) -> Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

#[test]
fn job_behind_another_one_names_it_and_what_frees_it() {
    let pending = Job { status: JobStatus::Pending, ..job() };
    for (status, part) in [
        (JobStatus::Unknown, "recheck it by a plan, accept it or abandon it"),
        (JobStatus::WaitingApproval, "Approve, reject or cancel it"),
        (JobStatus::Running, "starts when that one has ended"),
        (JobStatus::Pending, "before this one in the queue"),
    ] {
        let message = message_of(&pending, WorkspaceHold::Other(Blocker { job: 16, status }), NOW);
        assert!(message.contains("job 16") && message.contains(part), "{message}");
    }
}

#[test]
fn job_without_a_place_says_which_limit_and_who_is_before_it() {
    let wait = SlotWait::Server { limit: 20, ahead: Ahead { count: 3, first: Some(4) } };
    let view = View { hold: WorkspaceHold::This, slot: Slot::Wait(wait), rules: &rules(START_TIMEOUT) };
    let next = super::super::decide(&job(), &view, NOW);
    let Next::Do(Action::SetMessage { message: Some(message) }) = next else { unreachable!("{next:?}") };
    assert_eq!(
        message,
        "waiting for a free place: this server runs 20 steps at a time (setting MaxRunningSteps); 3 jobs are \
         before this one, first job 4."
    );
    assert!(needs_slot(&job(), WorkspaceHold::This));
    assert!(!needs_slot(&applying(attempt(1)), WorkspaceHold::This), "its step runs");
    assert!(!needs_slot(&Job { status: JobStatus::Pending, ..job() }, OTHER));
}

#[test]
fn pending_plan_starts_beside_a_job_at_rest() {
    let pending = Job { status: JobStatus::Pending, ..job() };
    let next = decide(&pending, WorkspaceHold::Beside, NOW, START_TIMEOUT);
    assert_eq!(next, Next::Do(Action::StartJob));
}

fn starting() -> Attempt {
    let waiting = Waiting::Starting;
    Attempt { waiting: Some(WaitingSince { waiting, since: NOW }), ..attempt(1) }
}

#[test]
fn pod_that_is_not_ready_for_an_unknown_reason_says_what_it_usually_is() {
    let timeout = Duration::from_mins(10);
    let (next, message) = settle(&applying(starting()), WorkspaceHold::This, NOW, timeout);
    assert_eq!(next, Next::Wait(Some(seconds(20))), "the notice is due before the timeout");
    assert_eq!(message.as_deref(), Some("waiting: the pod is not ready yet"));
    let (next, message) = settle(&applying(starting()), WorkspaceHold::This, seconds(20), timeout);
    assert_eq!(next, Next::Wait(Some(seconds(600))));
    let message = message.unwrap();
    for part in [
        "Usually the image cannot be pulled",
        "kubectl -n terrakube describe pod -l batch.kubernetes.io/job-name=job-17-100-1",
    ] {
        assert!(message.contains(part), "{part:?} in {message}");
    }
}

#[test]
fn kubernetes_job_that_did_not_start_is_kept_as_evidence() {
    let next = decide(&applying(starting()), WorkspaceHold::This, seconds(10), START_TIMEOUT);
    let Next::Do(Action::GiveUp { cause, .. }) = next else { unreachable!("{next:?}") };
    let given_up = Attempt { live: false, cause: Some(cause), ..starting() };
    let keep = Some(Duration::from_mins(10));
    let expected = Action::CancelKubernetesJob { attempt: "attempt-1".to_owned(), keep };
    assert_eq!(action(&applying(given_up.clone())), expected);
    let Action::EndAttempt { status: AttemptStatus::Failed, message: Some(message), .. } =
        action(&applying(Attempt { cancel_sent: true, ..given_up }))
    else {
        unreachable!()
    };
    assert!(message.contains("start timeout expired") && message.contains("kubectl"), "{message}");
    // A pod that the quota does not let in would only take the place of another one.
    let refused = Attempt {
        cause: Some(Cause::CannotStart {
            waiting: Waiting::NotCreated { by: Refuser::Quota, message: String::new() },
        }),
        ..starting()
    };
    let keep = Some(Duration::ZERO);
    let expected = Action::CancelKubernetesJob { attempt: "attempt-1".to_owned(), keep };
    assert_eq!(action(&applying(refused)), expected);
}

fn running() -> Attempt {
    let progress = Progress { running_at: Some(NOW), ..Progress::default() };
    Attempt { progress, ..attempt(1) }
}

#[test]
fn container_that_never_calls_names_the_address_and_is_given_up() {
    let timeout = Duration::from_mins(1);
    let job = applying(running());
    assert_eq!(settle(&job, WorkspaceHold::This, NOW, timeout), (Next::Wait(Some(seconds(10))), None));
    let (next, message) = settle(&job, WorkspaceHold::This, seconds(10), timeout);
    assert_eq!(next, Next::Wait(Some(seconds(60))));
    let message = message.unwrap();
    for part in ["has not called https://api.example.com", "network policy", "logs job/job-17-100-1"] {
        assert!(message.contains(part), "{part:?} in {message}");
    }
    let next = decide(&job, WorkspaceHold::This, seconds(60), timeout);
    let Next::Do(Action::GiveUp { cause, .. }) = next else { unreachable!("{next:?}") };
    let attempt = Attempt { live: false, cancel_sent: true, cause: Some(cause), ..running() };
    let Action::EndAttempt { status, message: Some(message), .. } = action(&applying(attempt)) else {
        unreachable!()
    };
    assert_eq!(status, AttemptStatus::Failed, "the next attempt would not reach it either");
    assert!(message.contains("never called https://api.example.com"), "{message}");
}

#[test]
fn time_in_which_this_server_was_down_does_not_count() {
    let mut rules = rules(Duration::from_mins(1));
    rules.started_at = seconds(3600);
    let claimed = Attempt { claimed_at: Some(NOW), last_contact_at: Some(NOW), ..running() };
    for attempt in [running(), claimed] {
        let view = View { hold: WorkspaceHold::This, slot: Slot::Free, rules: &rules };
        let next = super::super::decide(&applying(attempt), &view, seconds(3600));
        assert!(matches!(next, Next::Wait(Some(_))), "{next:?}");
    }
}

#[test]
fn executors_call_several_times_before_contact_is_lost() {
    for (timeout, heartbeat) in [(1, 1), (10, 1), (60, 7), (120, 15), (3600, 15)] {
        let rules = Rules { lost_contact_timeout: Duration::from_secs(timeout), ..rules(START_TIMEOUT) };
        assert_eq!(rules.heartbeat_seconds(), heartbeat, "{timeout} s");
    }
}

#[test]
fn lost_contact_is_a_message_and_ends_nothing() {
    let claimed = Attempt {
        claimed_at: Some(NOW),
        last_contact_at: Some(seconds(30)),
        status: AttemptStatus::Running,
        ..running()
    };
    let job = applying(claimed);
    let lost_at = seconds(150);
    assert_eq!(settle(&job, WorkspaceHold::This, NOW, START_TIMEOUT), (Next::Wait(Some(lost_at)), None));
    for time in [lost_at, seconds(1_000_000)] {
        let (next, message) = settle(&job, WorkspaceHold::This, time, START_TIMEOUT);
        let again = time + SignedDuration::from_secs(15);
        assert_eq!(next, Next::Wait(Some(again)), "a heartbeat removes the message");
        let message = message.unwrap();
        for part in ["contact lost", "1970-01-01T00:00:30Z", "attempt-1/confirm-end", "get pod -o wide"] {
            assert!(message.contains(part), "{part:?} in {message}");
        }
    }
    // A cancelled job waits in the same way for the executor to stop.
    let mut cancelled = Job { cancel_requested: true, ..job };
    cancelled.steps[2].attempts[0].cancel_sent = true;
    assert!(message_of(&cancelled, WorkspaceHold::This, lost_at).contains("contact lost"));
}

/// An earlier submit was carried out, and its answer was lost.
#[test]
fn refusal_of_a_later_submit_does_not_end_a_claimed_apply() {
    let claimed = Attempt {
        claimed_at: Some(NOW),
        refusal: Some("forbidden".to_owned()),
        status: AttemptStatus::Running,
        ..running()
    };
    let (next, message) = settle(&applying(claimed), WorkspaceHold::This, NOW, START_TIMEOUT);
    assert!(matches!(next, Next::Wait(Some(_))) && message.is_none(), "{next:?}, {message:?}");
}

#[test]
fn refused_submission_says_so_and_is_bounded_by_the_start_timeout() {
    let error = "the API server responded with 403: exceeded quota: limits".to_owned();
    let progress = Progress { last_error: Some(error), refused_since: Some(NOW), ..Progress::default() };
    let retry_at = Some(seconds(5));
    let refused = Attempt { phase: AttemptPhase::Prepared, retry_at, progress, ..attempt(1) };
    let job = applying(refused.clone());
    let message = message_of(&job, WorkspaceHold::This, NOW);
    assert!(message.contains("exceeded quota") && message.contains("raise the ResourceQuota"), "{message}");
    let next = decide(&job, WorkspaceHold::This, seconds(10), START_TIMEOUT);
    let Next::Do(Action::GiveUp { cause, .. }) = next else { unreachable!("{next:?}") };
    // A creation that was not answered may have succeeded before: the Kubernetes Job is cancelled.
    let given_up = Attempt { live: false, cause: Some(cause), retry_at: None, ..refused.clone() };
    assert!(matches!(action(&applying(given_up)), Action::CancelKubernetesJob { .. }));
    // A server that does not answer has refused nothing, and is waited for.
    let mut away = refused;
    away.progress.refused_since = None;
    let next = decide(&applying(away), WorkspaceHold::This, seconds(100_000), START_TIMEOUT);
    assert!(matches!(next, Next::Do(Action::Submit { .. })));
}
