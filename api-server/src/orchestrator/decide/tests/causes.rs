//! Ends: each has the cause that the cluster shows, whichever report arrives first; retries follow the claim.

use job_spec::attempt_api::{Evidence, RescuedState};

use super::*;

fn reported_at(outcome: StepOutcome, message: &str, seconds: i64) -> Attempt {
    let result = StepResult { message: Some(message.to_owned()), ..report(outcome) };
    let progress = Progress {
        reported_at: Some(NOW + SignedDuration::from_secs(seconds)),
        deadline: Some("1h30m (workspace variable EPHEMERAL_CONFIG_DEADLINE)".to_owned()),
        ..Progress::default()
    };
    Attempt { claimed_at: Some(NOW), result: Some(result), progress, ..attempt(1) }
}

fn stopped() -> Attempt {
    reported_at(StepOutcome::Cancelled, "terraform was interrupted", 0)
}

fn ended(job: &Job, now: Timestamp) -> (AttemptStatus, String) {
    match decide(job, WorkspaceHold::This, now, START_TIMEOUT) {
        Next::Do(Action::EndAttempt { status, message, .. }) => (status, message.unwrap_or_default()),
        other => panic!("expected an end, got {other:?}"),
    }
}

#[test]
fn interruption_that_no_user_requested_has_the_cause_of_the_cluster() {
    for (cause, expected) in [
        (
            Cause::DeadlineExceeded,
            "deadline exceeded after 1h30m (workspace variable EPHEMERAL_CONFIG_DEADLINE): terraform was \
             interrupted. Allow the step more time (EPHEMERAL_CONFIG_DEADLINE), or split its work.",
        ),
        (
            Cause::PodDeleted { ran: true },
            "pod deleted by a client: terraform was interrupted. Find out which client deletes pods or Jobs \
             in this namespace.",
        ),
        (
            Cause::Evicted { resource: Some("memory".to_owned()), message: "node low".to_owned() },
            "pod evicted: node low: terraform was interrupted. Raise the limit of the executor for this \
             resource, or use less of it.",
        ),
    ] {
        // The report comes first: the end waits for the cause, but not for ever.
        let first = applying(stopped());
        let until = NOW + SignedDuration::from_secs(30);
        let (next, message) = settle(&first, WorkspaceHold::This, NOW, START_TIMEOUT);
        assert_eq!(next, Next::Wait(Some(until)));
        assert!(message.unwrap().contains("waiting for the end of its Kubernetes Job"));
        // Then the cause, or both at once.
        let both = applying(Attempt { cause: Some(cause), ..stopped() });
        assert_eq!(ended(&both, NOW), (AttemptStatus::Failed, expected.to_owned()));
    }
}

#[test]
fn interruption_without_a_visible_cause_says_what_it_usually_is() {
    for cause in [None, Some(Cause::Completed), Some(Cause::ExitCode(Some(14)))] {
        let job = applying(Attempt { cause, ..stopped() });
        let (status, message) = ended(&job, NOW + SignedDuration::from_secs(31));
        assert_eq!(status, AttemptStatus::Failed);
        assert!(
            message.contains("a signal that this server did not send: terraform was interrupted. Usually a")
                && message.contains("kubectl -n terrakube get events"),
            "{message}"
        );
    }
}

#[test]
fn requested_stop_is_cancelled_whatever_the_cluster_says() {
    let attempt = Attempt { cause: Some(Cause::DeadlineExceeded), cancel_sent: true, ..stopped() };
    let job = Job { cancel_requested: true, ..applying(attempt) };
    assert_eq!(ended(&job, NOW), (AttemptStatus::Cancelled, "terraform was interrupted".to_owned()));
}

#[test]
fn failure_by_out_of_memory_has_its_cause_and_advice() {
    let cause = Cause::OutOfMemory { limit: Some("64Mi".to_owned()), exit_code: 10 };
    let report = reported_at(StepOutcome::Failed, "terraform was killed by signal 9.", 0);
    let waits = decide(&applying(report.clone()), WorkspaceHold::This, NOW, START_TIMEOUT);
    assert_eq!(waits, Next::Wait(Some(NOW + SignedDuration::from_secs(5))));
    let (status, message) = ended(&applying(Attempt { cause: Some(cause), ..report }), NOW);
    assert_eq!(status, AttemptStatus::Failed);
    assert!(
        message
            .starts_with("out of memory: limit 64Mi exceeded: terraform was killed by signal 9. Raise the"),
        "{message}"
    );
}

#[test]
fn failure_on_a_full_disk_says_what_to_do() {
    let report =
        reported_at(StepOutcome::Failed, "cannot write plan: No space left on device (os error 28)", 0);
    let (_, message) = ended(&applying(report), NOW + SignedDuration::from_secs(6));
    assert!(message.contains("(os error 28). Give the executor more ephemeral storage"), "{message}");
}

#[test]
fn unknown_report_of_an_apply_holds_the_workspace() {
    let mut attempt = reported_at(StepOutcome::Unknown, "terraform was killed by signal 9", 0);
    attempt.result.as_mut().unwrap().evidence =
        Some(Evidence { signal: Some(9), rescued_state: RescuedState::Stored, ..Evidence::default() });
    attempt.cause = Some(Cause::OutOfMemory { limit: None, exit_code: 137 });
    let (status, message) = ended(&applying(attempt.clone()), NOW);
    assert_eq!(status, AttemptStatus::Unknown);
    assert!(message.contains("out of memory") && message.contains("keeps the state"), "{message}");
    let over = Attempt { phase: AttemptPhase::Ended, status, ..attempt.clone() };
    let mut job = applying(over.clone());
    assert!(matches!(action(&job), Action::EndStep { status: StepStatus::Unknown, .. }));
    job.steps[2].status = StepStatus::Unknown;
    assert!(matches!(action(&job), Action::EndJob { status: JobStatus::Unknown, .. }));
    // A plan changes nothing, so it has failed.
    let mut plan = super::job();
    plan.steps[0].attempts.push(over);
    assert!(matches!(action(&plan), Action::EndStep { status: StepStatus::Failed, .. }));
}

#[test]
fn deadline_without_a_report_names_its_origin() {
    let progress = Progress { deadline: Some("6h (default X)".to_owned()), ..Progress::default() };
    let silent =
        Attempt { claimed_at: Some(NOW), cause: Some(Cause::DeadlineExceeded), progress, ..attempt(1) };
    let (status, message) = ended(&applying(silent), NOW);
    assert_eq!(status, AttemptStatus::Lost);
    assert!(message.contains("deadline exceeded after 6h (default X)"), "{message}");
}

/// A plan step whose attempts ended so.
fn planning(attempts: Vec<Attempt>) -> Job {
    let mut job = job();
    job.steps[0].status = StepStatus::Running;
    job.steps[0].attempts = attempts;
    job
}

fn lost(number: u32, claimed: bool, cause: Cause) -> Attempt {
    Attempt {
        claimed_at: claimed.then_some(NOW),
        cause: Some(cause),
        phase: AttemptPhase::Ended,
        status: AttemptStatus::Lost,
        live: false,
        ..attempt(number)
    }
}

fn node_lost() -> Cause {
    Cause::NodeLost { message: "gone".to_owned() }
}

#[test]
fn claimed_plan_is_repeated_after_a_disruption_as_often_as_the_setting_says() {
    let first = action(&planning(vec![lost(1, true, node_lost())]));
    assert!(matches!(first, Action::CreateAttempt { number: 2, .. }), "{first:?}");
    let second = action(&planning(vec![lost(1, true, node_lost()), lost(2, true, node_lost())]));
    assert!(matches!(second, Action::EndStep { status: StepStatus::Failed, .. }), "{second:?}");
    // An interrupted plan that could still report is the same.
    let reported = Attempt { status: AttemptStatus::Failed, ..lost(1, true, node_lost()) };
    assert!(matches!(action(&planning(vec![reported])), Action::CreateAttempt { number: 2, .. }));
}

#[test]
fn claimed_plan_is_not_repeated_for_a_cause_of_its_own() {
    for cause in [
        Cause::OutOfMemory { limit: None, exit_code: 137 },
        Cause::DeadlineExceeded,
        Cause::Evicted { resource: Some("memory".to_owned()), message: String::new() },
        Cause::ExitCode(Some(1)),
        Cause::PodDeleted { ran: true },
    ] {
        let next = action(&planning(vec![lost(1, true, cause.clone())]));
        assert!(matches!(next, Action::EndStep { status: StepStatus::Failed, .. }), "{cause}: {next:?}");
    }
}

#[test]
fn claimed_apply_is_never_repeated_whatever_the_cause() {
    for cause in [node_lost(), Cause::Preempted { message: String::new() }, Cause::Vanished] {
        let next = action(&applying(lost(1, true, cause.clone())));
        assert!(matches!(next, Action::EndStep { status: StepStatus::Unknown, .. }), "{cause}: {next:?}");
    }
}

#[test]
fn budget_and_delay_of_unclaimed_attempts_depend_on_the_cause() {
    let attempts_until_failure = |cause: &Cause| {
        (1..20)
            .find(|number| {
                matches!(action(&applying(lost(*number, false, cause.clone()))), Action::EndStep { .. })
            })
            .unwrap()
    };
    assert_eq!(attempts_until_failure(&node_lost()), 6);
    assert_eq!(attempts_until_failure(&Cause::ExitCode(Some(1))), 3);
    assert_eq!(attempts_until_failure(&Cause::Completed), 1);
    assert_eq!(attempts_until_failure(&Cause::GivenUp { reason: String::new() }), 1);
    let delay = |number, cause| match action(&applying(lost(number, false, cause))) {
        Action::CreateAttempt { not_before: Some(time), .. } => time.duration_since(NOW).as_millis(),
        other => panic!("{other:?}"),
    };
    assert_eq!([delay(1, node_lost()), delay(2, node_lost())], [2000, 4000]);
    assert_eq!(delay(1, Cause::ExitCode(None)), 500);
}

#[test]
fn cancelled_job_is_not_repeated() {
    let job = Job { cancel_requested: true, ..planning(vec![lost(1, true, node_lost())]) };
    assert!(matches!(action(&job), Action::EndStep { status: StepStatus::Cancelled, .. }));
}
