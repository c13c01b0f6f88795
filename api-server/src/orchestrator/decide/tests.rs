//! Tests of single decisions. A model in `model.rs` runs whole jobs with random events.

use std::time::Duration;

use job_spec::attempt_api::{StepOutcome, StepResult};
use k8s_backend::{Cause, Refuser, Retry, Waiting};

use super::*;
use crate::{
    decision_rules::Rules,
    messages::Place,
    model::{Blocker, Progress, StepSettings, WaitingSince},
};

mod causes;
mod diagram;
mod flows;
mod model;
mod waits;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const START_TIMEOUT: Duration = Duration::from_secs(10);

const OTHER: WorkspaceHold = WorkspaceHold::Other(Blocker { job: 16, status: JobStatus::Running });

/// A claimed attempt is looked at again when contact would be lost.
const WAIT_FOR_CONTACT: Next = Next::Wait(Some(Timestamp::constant(120, 0)));

fn rules(start_timeout: Duration) -> Rules {
    Rules {
        start_timeout,
        lost_contact_timeout: Duration::from_mins(2),
        plan_retries: 1,
        started_at: NOW,
        place: Place {
            api_url: "https://api.example.com".to_owned(),
            namespace: Some("terrakube".to_owned()),
        },
    }
}

/// Decides until the message of the job is stored.
fn decide(job: &Job, hold: WorkspaceHold, now: Timestamp, start_timeout: Duration) -> Next {
    settle(job, hold, now, start_timeout).0
}

/// Decides as `decide` does, and returns the message too.
fn settle(job: &Job, hold: WorkspaceHold, now: Timestamp, start_timeout: Duration) -> (Next, Option<String>) {
    let mut job = job.clone();
    let rules = rules(start_timeout);
    let view = View { hold, slot: Slot::Free, rules: &rules };
    loop {
        match super::decide(&job, &view, now) {
            Next::Do(Action::SetMessage { message }) => job.message = message,
            next => return (next, job.message),
        }
    }
}

fn step(number: u32, step_type: StepType) -> Step {
    Step {
        id: format!("step-{number}"),
        number,
        name: format!("Step {number}"),
        step_type,
        status: StepStatus::Pending,
        message: None,
        has_changes: None,
        settings: StepSettings::default(),
        answer: None,
        started_at: None,
        ended_at: None,
        attempts: Vec::new(),
    }
}

fn job() -> Job {
    Job {
        id: 17,
        organization_id: "organization".to_owned(),
        workspace_id: "workspace".to_owned(),
        template_id: "template".to_owned(),
        status: JobStatus::Running,
        message: None,
        cancel_requested: false,
        recheck_of: None,
        created_at: NOW,
        ended_at: None,
        steps: vec![
            step(100, StepType::TerraformPlan),
            step(150, StepType::Approval),
            step(200, StepType::TerraformApply),
        ],
    }
}

fn attempt(number: u32) -> Attempt {
    let new = Attempt::new(format!("attempt-{number}"), number, format!("job-17-100-{number}"), NOW);
    Attempt { phase: AttemptPhase::Submitted, ..new }
}

fn report(outcome: StepOutcome) -> StepResult {
    StepResult {
        outcome,
        has_changes: None,
        message: None,
        evidence: None,
        commit_id: None,
        timings: Vec::new(),
        log_bytes: 0,
        log_complete: None,
        memory: None,
    }
}

/// A job that is at its apply step with this attempt.
fn applying(attempt: Attempt) -> Job {
    let mut job = job();
    job.steps[0].status = StepStatus::Completed;
    job.steps[0].has_changes = Some(true);
    job.steps[1].status = StepStatus::Completed;
    job.steps[2].status = StepStatus::Running;
    job.steps[2].attempts.push(attempt);
    job
}

fn action(job: &Job) -> Action {
    match decide(job, WorkspaceHold::This, NOW, START_TIMEOUT) {
        Next::Do(action) => action,
        other => panic!("expected an action, got {other:?}"),
    }
}

#[test]
fn pending_job_waits_for_its_workspace() {
    let job = Job { status: JobStatus::Pending, ..job() };
    assert_eq!(decide(&job, OTHER, NOW, START_TIMEOUT), Next::Wait(Some(NOW + SLOT_INTERVAL)));
    assert_eq!(decide(&job, WorkspaceHold::Free, NOW, START_TIMEOUT), Next::Do(Action::StartJob));
}

#[test]
fn plan_without_changes_ends_the_job() {
    let mut job = job();
    job.steps[0].status = StepStatus::Completed;
    job.steps[0].has_changes = Some(false);
    assert_eq!(action(&job), Action::EndJob { status: JobStatus::NoChanges, message: None });
}

#[test]
fn approval_waits_for_a_user_without_an_attempt() {
    let mut job = job();
    job.steps[0].status = StepStatus::Completed;
    assert_eq!(action(&job), Action::AskApproval { step: "step-150".to_owned() });
    job.steps[1].status = StepStatus::WaitingApproval;
    job.status = JobStatus::WaitingApproval;
    assert_eq!(decide(&job, WorkspaceHold::This, NOW, START_TIMEOUT), Next::Wait(None));
}

#[test]
fn unclaimed_apply_is_retried() {
    let lost = Attempt { cause: Some(Cause::Lost { message: "gone".to_owned() }), ..attempt(1) };
    let job = applying(lost.clone());
    assert!(matches!(action(&job), Action::EndAttempt { status: AttemptStatus::Lost, .. }));
    let ended = Attempt { phase: AttemptPhase::Ended, live: false, status: AttemptStatus::Lost, ..lost };
    assert!(matches!(action(&applying(ended)), Action::CreateAttempt { number: 2, .. }));
}

#[test]
fn unclaimed_attempt_that_completed_is_not_retried() {
    let completed = Attempt { cause: Some(Cause::Completed), ..attempt(1) };
    let ended = action(&applying(completed.clone()));
    let Action::EndAttempt { status: AttemptStatus::Lost, message: Some(message), .. } = ended else {
        unreachable!("{ended:?}")
    };
    assert!(message.contains("no executor claimed the attempt"), "{message}");
    let over = Attempt { phase: AttemptPhase::Ended, status: AttemptStatus::Lost, ..completed };
    assert!(matches!(action(&applying(over)), Action::EndStep { status: StepStatus::Failed, .. }));
}

#[test]
fn start_timeout_does_not_count_while_the_job_waits_in_a_queue() {
    let waiting = Waiting::AwaitingAdmission { queue: "team-a".to_owned() };
    let since = NOW - SignedDuration::from_hours(24);
    let queued = Attempt { waiting: Some(WaitingSince { waiting, since }), ..attempt(1) };
    assert_eq!(decide(&applying(queued), WorkspaceHold::This, NOW, START_TIMEOUT), Next::Wait(None));
}

#[test]
fn step_fails_after_three_unclaimed_attempts() {
    let ended = Attempt { phase: AttemptPhase::Ended, status: AttemptStatus::Lost, ..attempt(3) };
    assert!(matches!(action(&applying(ended)), Action::EndStep { status: StepStatus::Failed, .. }));
}

#[test]
fn claimed_apply_without_report_is_unknown_and_never_repeated() {
    let lost = Attempt {
        claimed_at: Some(NOW),
        phase: AttemptPhase::Ended,
        status: AttemptStatus::Lost,
        ..attempt(1)
    };
    let mut job = applying(lost);
    assert!(matches!(action(&job), Action::EndStep { status: StepStatus::Unknown, .. }));
    job.steps[2].status = StepStatus::Unknown;
    assert!(matches!(action(&job), Action::EndJob { status: JobStatus::Unknown, .. }));
}

#[test]
fn report_takes_precedence_over_the_cause() {
    let reported = Attempt {
        claimed_at: Some(NOW),
        result: Some(report(StepOutcome::Completed)),
        cause: Some(Cause::Signal(9)),
        ..attempt(1)
    };
    assert!(matches!(
        action(&applying(reported)),
        Action::EndAttempt { status: AttemptStatus::Completed, .. }
    ));
}

#[test]
fn completed_kubernetes_job_without_report_is_lost() {
    let silent = Attempt { claimed_at: Some(NOW), cause: Some(Cause::Completed), ..attempt(1) };
    assert!(matches!(action(&applying(silent)), Action::EndAttempt { status: AttemptStatus::Lost, .. }));
}

#[test]
fn cancel_fences_an_unclaimed_attempt_before_the_backend_is_called() {
    let mut job = applying(attempt(1));
    job.cancel_requested = true;
    assert_eq!(action(&job), Action::Fence { attempt: "attempt-1".to_owned() });
    job.steps[2].attempts[0].live = false;
    assert_eq!(action(&job), Action::CancelKubernetesJob { attempt: "attempt-1".to_owned(), keep: None });
    job.steps[2].attempts[0].cancel_sent = true;
    assert!(matches!(action(&job), Action::EndAttempt { status: AttemptStatus::Cancelled, .. }));
}

#[test]
fn cancel_of_a_claimed_attempt_waits_for_its_report() {
    let mut job = applying(Attempt { claimed_at: Some(NOW), cancel_sent: true, ..attempt(1) });
    job.cancel_requested = true;
    assert_eq!(decide(&job, WorkspaceHold::This, NOW, START_TIMEOUT), WAIT_FOR_CONTACT);
    job.steps[2].attempts[0].result = Some(report(StepOutcome::Cancelled));
    assert!(matches!(action(&job), Action::EndAttempt { status: AttemptStatus::Cancelled, .. }));
}

#[test]
fn failed_submit_waits_for_its_retry_time() {
    let later = NOW + SignedDuration::from_secs(5);
    let waiting = Attempt { phase: AttemptPhase::Prepared, retry_at: Some(later), ..attempt(1) };
    assert_eq!(
        decide(&applying(waiting.clone()), WorkspaceHold::This, NOW, START_TIMEOUT),
        Next::Wait(Some(later))
    );
    let due = decide(&applying(waiting), WorkspaceHold::This, later, START_TIMEOUT);
    assert_eq!(due, Next::Do(Action::Submit { attempt: "attempt-1".to_owned() }));
}

#[test]
fn refused_kubernetes_job_fails_the_step_with_the_error_of_the_backend() {
    let refused = Attempt { phase: AttemptPhase::Prepared, refusal: Some("quota".to_owned()), ..attempt(1) };
    assert_eq!(
        action(&applying(refused)),
        Action::EndAttempt {
            attempt: "attempt-1".to_owned(),
            status: AttemptStatus::Failed,
            message: Some("quota".to_owned()),
            fence: true,
        }
    );
}

fn stuck(since: Timestamp) -> Attempt {
    let waiting = Waiting::NotCreated { by: Refuser::Quota, message: "exceeded quota: pods".to_owned() };
    Attempt { waiting: Some(WaitingSince { waiting, since }), ..attempt(1) }
}

#[test]
fn attempt_is_given_up_when_the_start_timeout_expires() {
    let (job, end) = (applying(stuck(NOW)), NOW + SignedDuration::try_from(START_TIMEOUT).unwrap());
    assert_eq!(decide(&job, WorkspaceHold::This, NOW, START_TIMEOUT), Next::Wait(Some(end)));
    let late = decide(&job, WorkspaceHold::This, end, START_TIMEOUT);
    let Next::Do(Action::GiveUp { attempt, cause }) = late else { unreachable!("{late:?}") };
    assert_eq!((attempt.as_str(), cause.retry()), ("attempt-1", Retry::Safe));

    // From then on it cannot be claimed. Its Kubernetes Job is cancelled, then the step fails, with the
    // message and advice.
    let given_up = Attempt { live: false, cause: Some(cause), ..stuck(NOW) };
    assert!(matches!(action(&applying(given_up.clone())), Action::CancelKubernetesJob { .. }));
    let cancelled = Attempt { cancel_sent: true, ..given_up };
    let ended = action(&applying(cancelled.clone()));
    let Action::EndAttempt { status: AttemptStatus::Failed, message: Some(message), fence: true, .. } = ended
    else {
        unreachable!("{ended:?}")
    };
    assert!(
        message.contains("exceeded quota: pods") && message.contains("raise the ResourceQuota"),
        "{message}"
    );
    let over = Attempt { phase: AttemptPhase::Ended, status: AttemptStatus::Failed, ..cancelled };
    assert!(matches!(action(&applying(over)), Action::EndStep { status: StepStatus::Failed, .. }));
}

#[test]
fn claimed_attempt_has_no_start_timeout() {
    let job = applying(Attempt { claimed_at: Some(NOW), ..stuck(NOW - SignedDuration::from_hours(1)) });
    assert_eq!(decide(&job, WorkspaceHold::This, NOW, START_TIMEOUT), WAIT_FOR_CONTACT);
}

#[test]
fn cancelled_attempt_stays_cancelled_after_the_start_timeout() {
    let cause = Cause::CannotStart { waiting: Waiting::NoPod };
    let given_up = Attempt { live: false, cause: Some(cause), cancel_sent: true, ..stuck(NOW) };
    let job = Job { cancel_requested: true, ..applying(given_up) };
    assert!(matches!(action(&job), Action::EndAttempt { status: AttemptStatus::Cancelled, .. }));
}
