//! One Job at a time; whole stories are told in the tests of `kube::follow`.

use serde_json::{Value, json};

use super::*;

fn job(status: &Value) -> Job {
    serde_json::from_value(json!({"metadata": {"name": "job-1"}, "status": status})).unwrap()
}

fn failed(reason: &str, message: &str) -> Job {
    job(&json!({"conditions": [
        {"type": "FailureTarget", "status": "True", "reason": reason, "message": message},
        {"type": "Failed", "status": "True", "reason": reason, "message": message},
    ]}))
}

#[test]
fn a_failed_job_tells_what_it_knows() {
    let by_code = "Container executor for pod terrakube/job-1-abcde failed with exit code 42 matching FailJob rule at index 0";
    let disrupted =
        "Pod terrakube/job-1-abcde has condition DisruptionTarget matching FailJob rule at index 0";
    for (reason, message, cause) in [
        ("BackoffLimitExceeded", "Job has reached the specified backoff limit", Cause::ExitCode(None)),
        ("DeadlineExceeded", "Job was active longer than specified deadline", Cause::DeadlineExceeded),
        ("PodFailurePolicy", by_code, Cause::ExitCode(Some(42))),
        ("PodFailurePolicy", disrupted, Cause::Disrupted { message: disrupted.to_owned() }),
        ("PodFailurePolicy", "in words of a later version", Cause::ExitCode(None)),
        ("OfALaterVersion", "", Cause::ExitCode(None)),
    ] {
        assert_eq!(of(&failed(reason, message)), JobPhase::Ended(cause), "{message}");
    }
}

#[test]
fn a_decided_outcome_is_not_an_end() {
    for kind in ["SuccessCriteriaMet", "FailureTarget"] {
        let job = job(&json!({"conditions": [{"type": kind, "status": "True"}]}));
        assert!(!of(&job).is_terminal(), "{kind}");
    }
    let not_true = job(&json!({"conditions": [{"type": "Complete", "status": "False"}]}));
    assert!(!of(&not_true).is_terminal());
}

#[test]
fn a_job_that_does_not_run_yet_says_what_it_waits_for() {
    let at = "2026-11-23T19:08:51Z";
    for (status, reason) in [
        (json!({}), "the cluster has not taken the Job up yet"),
        (json!({"startTime": at}), "the Job has no pod"),
        (json!({"startTime": at, "active": 1, "ready": 0}), "the pod is not ready yet"),
        (json!({"conditions": [{"type": "Suspended", "status": "True"}]}), "the Job is suspended"),
    ] {
        assert_eq!(of(&job(&status)), JobPhase::Pending { reason: Some(reason.to_owned()) });
    }
    assert_eq!(of(&job(&json!({"startTime": at, "active": 1, "ready": 1}))), JobPhase::Running);
}

#[test]
fn a_phase_never_goes_back_and_is_not_repeated() {
    let pending = || JobPhase::Pending { reason: None };
    assert_eq!(news(None, pending()), Some(pending()));
    assert_eq!(news(Some(&pending()), pending()), None);
    let other = JobPhase::Pending { reason: Some("no node fits".to_owned()) };
    assert_eq!(news(Some(&pending()), other.clone()), Some(other));
    assert_eq!(news(Some(&JobPhase::Running), pending()), None);
    assert_eq!(news(Some(&JobPhase::Running), JobPhase::Running), None);
}
