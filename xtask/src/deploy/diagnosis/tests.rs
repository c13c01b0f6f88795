//! Tests of the reading of a roll-out. Messages are in the forms of a real cluster (v1.36).

use serde_json::json;

use super::*;

fn words(deployment: &Value, pods: &[Value], events: &[Value]) -> Vec<String> {
    match look(deployment, pods, events) {
        Rollout::Done => vec!["done".to_owned()],
        Rollout::Waiting(reasons) => reasons.into_iter().map(|reason| reason.words).collect(),
    }
}

fn deployment(generation: i64, observed: i64, [all, updated, available]: [i64; 3]) -> Value {
    json!({
        "metadata": { "generation": generation },
        "spec": { "replicas": 1 },
        "status": { "observedGeneration": observed, "replicas": all, "updatedReplicas": updated, "availableReplicas": available },
    })
}

#[test]
fn a_rollout_is_done_when_only_the_new_pod_is_left_and_ready() {
    assert_eq!(words(&deployment(2, 2, [1, 1, 1]), &[], &[]), ["done"]);
    for (observed, replicas) in [(1, [1, 1, 1]), (2, [1, 0, 1]), (2, [2, 1, 1]), (2, [1, 1, 0])] {
        assert!(words(&deployment(2, observed, replicas), &[], &[]).is_empty(), "{observed} {replicas:?}");
    }
    assert!(words(&Value::Null, &[], &[]).is_empty(), "a Deployment that is not there yet is not done");
}

#[test]
fn a_pod_that_may_not_be_made_is_told_in_the_words_of_the_server() {
    let mut deployment = deployment(1, 1, [0, 0, 0]);
    let message =
        "pods \"a\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0";
    deployment["status"]["conditions"] =
        json!([{ "type": "ReplicaFailure", "status": "True", "message": message }]);
    assert_eq!(words(&deployment, &[], &[]), [format!("no pod can be made: {message}")]);
}

#[test]
fn the_state_of_the_container_tells_why_it_does_not_start() {
    let states = [
        (json!({ "waiting": { "reason": "ContainerCreating" } }), None),
        (
            json!({ "waiting": { "reason": "ErrImageNeverPull", "message": "m" } }),
            Some("ErrImageNeverPull: m"),
        ),
        (json!({ "waiting": { "reason": "PodInitializing" } }), None),
        (json!({ "terminated": { "exitCode": 1 } }), Some("the api-server ended with exit code 1")),
        (json!({ "running": {} }), Some("the api-server runs and is not ready yet")),
    ];
    for (state, expected) in states {
        let pod = json!({ "status": { "containerStatuses": [{ "ready": false, "state": state }] } });
        let found = words(&Value::Null, &[pod], &[]);
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{state}");
    }
}

#[test]
fn a_pod_that_is_going_away_is_none_of_the_reasons() {
    let state = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    let status = json!({ "containerStatuses": [{ "state": state }] });
    let pod = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" }, "status": status });
    assert!(words(&Value::Null, &[pod], &[]).is_empty());
}

#[test]
fn of_the_warnings_about_a_pod_the_newest_of_each_kind_is_told_once() {
    let pod = json!({ "metadata": { "uid": "1" } });
    let event = |uid: &str, kind: &str, reason: &str, message: &str, key: &str, time: &str| json!({ "involvedObject": { "uid": uid }, "type": kind, "reason": reason, "message": message, key: time });
    let events = [
        event("1", "Warning", "FailedMount", "second", "lastTimestamp", "2026-01-01T00:00:02Z"),
        event("1", "Warning", "FailedMount", "first", "lastTimestamp", "2026-01-01T00:00:01Z"),
        event("1", "Warning", "FailedScheduling", "none fits", "eventTime", "2026-01-01T00:00:00.000000Z"),
        event("1", "Warning", "Unhealthy", "probe failed", "lastTimestamp", "2026-01-01T00:00:03Z"),
        event("1", "Normal", "Pulled", "there", "lastTimestamp", "2026-01-01T00:00:03Z"),
        event("2", "Warning", "FailedMount", "of another", "lastTimestamp", "2026-01-01T00:00:03Z"),
    ];
    assert_eq!(words(&Value::Null, &[pod], &events), ["FailedScheduling: none fits", "FailedMount: second"]);
}

#[test]
fn a_reason_that_can_be_mended_has_a_hint() {
    let hints = [
        (
            "unschedulable: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            "--storage",
        ),
        (
            "ErrImageNeverPull: Container image \"a\" is not present with pull policy of Never",
            "load the image",
        ),
        ("ImagePullBackOff: Back-off pulling image \"a\"", "--image"),
        (
            "FailedMount: MountVolume.SetUp failed for volume \"secrets\" : secret \"ephemeral-agents-api\" not found",
            "deploy again",
        ),
    ];
    for (words, expected) in hints {
        assert!(Reason::new(words.to_owned()).hint.is_some_and(|hint| hint.contains(expected)), "{words}");
    }
    assert_eq!(Reason::new("the api-server ended with exit code 1".to_owned()).hint, None);
}
