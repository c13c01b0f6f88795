//! Single Jobs; whole recordings are replayed in the tests of `kubernetes::follow`.

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
fn failed_condition_shows_cause() {
    let by_code = "Container executor for pod terrakube/job-1-abcde failed with exit \
        code 42 matching FailJob rule at index 0";
    let disrupted =
        "Pod terrakube/job-1-abcde has condition DisruptionTarget matching FailJob rule at index 0";
    for (reason, message, cause) in [
        ("BackoffLimitExceeded", "Job has reached the specified backoff limit", Cause::ExitCode(None)),
        ("DeadlineExceeded", "Job was active longer than specified deadline", Cause::DeadlineExceeded),
        ("PodFailurePolicy", by_code, Cause::ExitCode(Some(42))),
        ("PodFailurePolicy", disrupted, Cause::Disrupted { message: disrupted.to_owned() }),
        ("PodFailurePolicy", "message of a later version", Cause::ExitCode(None)),
        ("OfALaterVersion", "", Cause::ExitCode(None)),
    ] {
        assert_eq!(of(&failed(reason, message)), JobPhase::Ended(cause), "{message}");
    }
}

#[test]
fn decided_outcome_is_not_an_end() {
    for kind in ["SuccessCriteriaMet", "FailureTarget"] {
        let job = job(&json!({"conditions": [{"type": kind, "status": "True"}]}));
        assert!(!of(&job).is_terminal(), "{kind}");
    }
    let not_true = job(&json!({"conditions": [{"type": "Complete", "status": "False"}]}));
    assert!(!of(&not_true).is_terminal());
}

#[test]
fn pending_job_shows_what_it_waits_for() {
    let at = "2026-11-23T19:08:51Z";
    for (status, waiting) in [
        (json!(null), Waiting::Accepted),
        (json!({}), Waiting::ControllerPending { controller: None }),
        (json!({"startTime": at}), Waiting::NoPod),
        (json!({"startTime": at, "active": 1, "ready": 0}), Waiting::Starting),
        (json!({"startTime": at, "terminating": 1}), Waiting::Terminating),
        (json!({"conditions": [{"type": "Suspended", "status": "True"}]}), Waiting::Suspended),
    ] {
        assert_eq!(of(&job(&status)), JobPhase::Pending { waiting });
    }
    assert_eq!(of(&job(&json!({"startTime": at, "active": 1, "ready": 1}))), JobPhase::Running);
}

#[test]
fn reads_evicted_resource_from_message() {
    for (message, resource) in [
        (
            "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
            Some("ephemeral-storage"),
        ),
        ("Usage of EmptyDir volume \"workspace\" exceeds the limit \"10Mi\". ", Some("volume workspace")),
        ("The node was low on resource: memory. Threshold quantity: 100Mi, available: 80Mi.", Some("memory")),
        ("message of a later version", None),
    ] {
        let pod = json!({"status": {"phase": "Failed", "reason": "Evicted", "message": message}});
        let cause = pod::cause(&serde_json::from_value(pod).unwrap(), true).unwrap();
        let (resource, message) = (resource.map(str::to_owned), message.trim_end().to_owned());
        assert_eq!(cause, Cause::Evicted { resource, message });
    }
}

#[test]
fn output_of_container_is_not_taken_for_a_system_message() {
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
fn image_pull_back_off_keeps_message_of_first_fault() {
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

/// A Job with this specification and status, and with the label of a queue.
fn queued(spec: &Value, status: &Value) -> Job {
    let labels = json!({"kueue.x-k8s.io/queue-name": "team-a"});
    let job = json!({"metadata": {"name": "job-1", "labels": labels}, "spec": spec, "status": status});
    serde_json::from_value(job).unwrap()
}

#[test]
fn suspended_job_waits_for_its_queue_or_for_a_client() {
    let template = json!({"spec": {"containers": []}});
    let suspended = json!({"conditions": [{"type": "Suspended", "status": "True"}]});
    let admission = JobPhase::Pending { waiting: Waiting::AwaitingAdmission { queue: "team-a".to_owned() } };
    // The field is set before any controller has noticed the Job, the condition until it has noticed the
    // admission.
    for (suspend, status) in [(true, &json!({})), (true, &suspended), (false, &suspended)] {
        let spec = json!({"suspend": suspend, "template": template});
        assert_eq!(of(&queued(&spec, status)), admission);
    }
    let mut by_client = queued(&json!({"suspend": true, "template": template}), &json!({}));
    by_client.metadata.labels = None;
    assert_eq!(of(&by_client), JobPhase::Pending { waiting: Waiting::Suspended });
    assert_eq!(admission.to_string(), "pending: the Job is suspended until queue \"team-a\" admits it");
}

#[test]
fn job_that_is_suspended_after_its_start_stays_running() {
    let template = json!({"spec": {"containers": []}});
    let mut observer = Observer::default();
    let mut see = |suspend: bool, status: Value| {
        observer.observe(&queued(&json!({"suspend": suspend, "template": template}), &status), &[], &[])
    };
    let running = json!({"startTime": "2026-11-23T19:08:51Z", "active": 1, "ready": 1});
    assert_eq!(see(false, running.clone()), Some(JobPhase::Running));
    assert_eq!(see(true, running.clone()), None);
    assert_eq!(see(true, json!({"conditions": [{"type": "Suspended", "status": "True"}]})), None);
    assert_eq!(see(false, running), None);
}

#[test]
fn job_of_another_controller_names_it() {
    let with = |controller: &str| -> Job {
        serde_json::from_value(json!({"metadata": {"name": "job-1"}, "status": {},
            "spec": {"managedBy": controller, "template": {"spec": {"containers": []}}}}))
        .unwrap()
    };
    let JobPhase::Pending { waiting } = of(&with("kueue.x-k8s.io/multikueue")) else {
        unreachable!("no status")
    };
    assert_eq!(
        waiting.to_string(),
        "controller \"kueue.x-k8s.io/multikueue\" (spec.managedBy) has not processed the Job yet"
    );
    let waiting = Waiting::ControllerPending { controller: None };
    assert_eq!(of(&with("kubernetes.io/job-controller")), JobPhase::Pending { waiting });
}

/// A pod of [`parallel`], created in this second.
fn pod_of_parallel(second: u32, state: &Value, deleted: bool) -> Pod {
    let mut metadata = json!({"name": format!("pod-{second}"), "uid": format!("{second}"),
        "creationTimestamp": format!("2026-11-23T19:08:{second:02}Z"),
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "job-1", "uid": "job"}]});
    if deleted {
        metadata["deletionTimestamp"] = json!("2026-11-23T19:09:30Z");
    }
    serde_json::from_value(json!({"metadata": metadata, "status": {"containerStatuses": [{"name": "main",
        "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": state}]}}))
    .unwrap()
}

fn parallel(status: &Value) -> Job {
    let spec = json!({"parallelism": 3, "completions": 3, "completionMode": "Indexed",
        "template": {"spec": {"containers": [{"name": "main"}]}}});
    serde_json::from_value(
        json!({"metadata": {"name": "job-1", "uid": "job"}, "spec": spec, "status": status}),
    )
    .unwrap()
}

#[test]
fn job_with_several_pods_runs_until_the_last_one_is_over() {
    let at = "2026-11-23T19:08:51Z";
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    let newest = pod_of_parallel(9, &waiting, false);
    let starting = parallel(&json!({"startTime": at, "active": 3, "ready": 0}));
    let pending = JobPhase::Pending { waiting: Waiting::Starting };
    assert_eq!(observe(&starting, std::slice::from_ref(&newest), &[]), pending);
    let one_runs = parallel(&json!({"startTime": at, "active": 3, "ready": 1}));
    assert_eq!(observe(&one_runs, std::slice::from_ref(&newest), &[]), JobPhase::Running);
    let decided = json!({"startTime": at, "active": 1, "terminating": 1, "succeeded": 2,
        "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}]});
    assert_eq!(of(&parallel(&decided)), JobPhase::Running);
    let complete = json!({"succeeded": 3, "conditions": [{"type": "Complete", "status": "True"}]});
    assert_eq!(of(&parallel(&complete)), JobPhase::Ended(Cause::Completed));
}

#[test]
fn cause_of_parallel_job_is_that_of_the_pod_that_failed() {
    let ended = |code: i32| json!({"terminated": {"exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" }}});
    let pods = [
        pod_of_parallel(1, &ended(7), false),
        pod_of_parallel(2, &ended(0), false),
        // Deleted by the Job controller, because the first one has failed.
        pod_of_parallel(3, &ended(143), true),
    ];
    let failed = parallel(&json!({"failed": 2, "succeeded": 1, "conditions": [
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}));
    assert_eq!(observe(&failed, &pods, &[]), JobPhase::Ended(Cause::ExitCode(Some(7))));
    assert_eq!(observe(&failed, &pods[2..], &[]), JobPhase::Ended(Cause::PodDeleted { ran: true }));
}

#[test]
fn phase_never_goes_back_and_is_not_repeated() {
    let pending = || JobPhase::Pending { waiting: Waiting::NoPod };
    assert_eq!(next_phase(None, pending()), Some(pending()));
    assert_eq!(next_phase(Some(&pending()), pending()), None);
    let other = JobPhase::Pending { waiting: Waiting::Starting };
    assert_eq!(next_phase(Some(&pending()), other.clone()), Some(other));
    assert_eq!(next_phase(Some(&JobPhase::Running), pending()), None);
    assert_eq!(next_phase(Some(&JobPhase::Running), JobPhase::Running), None);
}
