//! One Job at a time; whole stories are told in the tests of `kube::follow`.

use serde_json::{Value, json};

use super::*;

fn job(status: &Value) -> Job {
    serde_json::from_value(json!({"metadata": {"name": "job-1"}, "status": status})).unwrap()
}

fn failed(reason: &str, message: &str) -> Job {
    job(&json!({"failed": 1, "conditions": [
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
    for (status, waiting) in [
        (json!(null), Waiting::Accepted),
        (json!({}), Waiting::NotTakenUp),
        (json!({"startTime": at}), Waiting::NoPod),
        (json!({"startTime": at, "active": 1, "ready": 0}), Waiting::Starting),
        (json!({"startTime": at, "terminating": 1}), Waiting::BeingEnded),
        (json!({"conditions": [{"type": "Suspended", "status": "True"}]}), Waiting::Suspended),
    ] {
        assert_eq!(of(&job(&status)), JobPhase::Pending { waiting });
    }
    assert_eq!(of(&job(&json!({"startTime": at, "active": 1, "ready": 1}))), JobPhase::Running);
}

#[test]
fn what_an_eviction_was_for_is_read_out_of_the_words() {
    for (message, resource) in [
        (
            "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
            Some("ephemeral-storage"),
        ),
        ("Usage of EmptyDir volume \"workspace\" exceeds the limit \"10Mi\". ", Some("volume workspace")),
        ("The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi.", Some("memory")),
        ("in words of a later version", None),
    ] {
        let pod = json!({"status": {"phase": "Failed", "reason": "Evicted", "message": message}});
        let cause = pod::cause(&serde_json::from_value(pod).unwrap(), true).unwrap();
        let (resource, message) = (resource.map(str::to_owned), message.trim_end().to_owned());
        assert_eq!(cause, Cause::Evicted { resource, message });
    }
}

#[test]
fn what_a_container_printed_is_not_taken_for_what_the_system_says() {
    let pod = |message: &str| {
        serde_json::from_value(json!({
            "spec": {"containers": [{"name": "executor"}]},
            "status": {"containerStatuses": [{"name": "executor", "ready": false, "restartCount": 0, "image": "", "imageID": "",
                "state": {"terminated": {"exitCode": 1, "reason": "Error", "message": message}}}]},
        }))
        .unwrap()
    };
    for message in [
        "password is hunter2",
        "started\nexec /bin/sh: argument list too long",
        "exec /bin/sh: argument list too long\nmore",
    ] {
        assert_eq!(pod::cause(&pod(message), true), Some(Cause::ExitCode(Some(1))), "{message}");
    }
}

#[test]
fn a_pull_that_backs_off_without_words_keeps_those_of_its_fault() {
    let job = job(&json!({"startTime": "2026-11-23T19:08:51Z", "active": 1}));
    let pod = |reason: &str, message: &str| -> Pod {
        serde_json::from_value(json!({"status": {"containerStatuses": [{"name": "executor", "ready": false,
            "restartCount": 0, "image": "", "imageID": "", "state": {"waiting": {"reason": reason, "message": message}}}]}}))
        .unwrap()
    };
    let mut observer = Observer::default();
    let first = observer.observe(&job, &[pod("ErrImagePull", "x:1: not found")], &[]).unwrap();
    let message = "x:1: not found".to_owned();
    assert_eq!(
        first,
        JobPhase::Pending { waiting: Waiting::ImagePull { problem: ImageProblem::NotFound, message } }
    );
    assert_eq!(
        observer.observe(&job, &[pod("ImagePullBackOff", "Back-off pulling image \"x:1\"")], &[]),
        None
    );
}

#[test]
fn causes_are_stored_and_read_back() {
    let waiting = Waiting::for_config("secret \"x\" not found");
    for cause in [
        Cause::Completed,
        Cause::ExitCode(None),
        Cause::CannotStart { waiting },
        Cause::DeadlineBeforeStart { waiting: Waiting::NoPod },
        Cause::OutOfMemory { limit: Some("64Mi".to_owned()), exit_code: 1 },
        Cause::PodDeleted { ran: false },
        Cause::Vanished,
    ] {
        let text = serde_json::to_string(&cause).unwrap();
        assert_eq!(serde_json::from_str::<Cause>(&text).unwrap(), cause, "{text}");
    }
    let old = r#"{"type": "lost", "detail": {"message": "gone"}}"#;
    assert_eq!(serde_json::from_str::<Cause>(old).unwrap(), Cause::Lost { message: "gone".to_owned() });
}

#[test]
fn a_phase_never_goes_back_and_is_not_repeated() {
    let pending = || JobPhase::Pending { waiting: Waiting::NoPod };
    assert_eq!(news(None, pending()), Some(pending()));
    assert_eq!(news(Some(&pending()), pending()), None);
    let other = JobPhase::Pending { waiting: Waiting::Starting };
    assert_eq!(news(Some(&pending()), other.clone()), Some(other));
    assert_eq!(news(Some(&JobPhase::Running), pending()), None);
    assert_eq!(news(Some(&JobPhase::Running), JobPhase::Running), None);
}
