//! The API server in memory compared with recorded responses of a real one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

#[path = "fidelity/replay.rs"]
mod replay;

use k8s_backend::testing::{Fault, PodEnd, Verb};
use serde_json::json;

use replay::Replay;

#[tokio::test(start_paused = true)]
async fn job_is_created_once() {
    let mut replay = Replay::open("create-twice-409");
    replay.requests(&["01-create", "02-create-same", "03-create-other-spec"]).await;
    replay.server.create_pod("job-1201-100-1");
    replay.requests(&["04-get", "05-create-with-resource-version", "06-create-with-generate-name"]).await;
}

#[tokio::test(start_paused = true)]
async fn foreground_deletion_waits_for_the_pod() {
    const JOB: &str = "job-1104-100-1";
    let mut replay = Replay::open("delete-foreground-traps-term");
    replay.replace("resourceVersion=1356", "resourceVersion=1");
    let watching = replay.watch("watch-jobs").await;
    replay.request("01-create").await;
    replay.server.create_pod(JOB);
    replay.server.start_pod(JOB);
    replay.requests(&["02-delete", "03-get-job-just-after", "04-delete-again-at-once"]).await;
    replay.requests(&["05-create-same-name-while-deleting", "06-patch-while-deleting"]).await;
    replay.server.terminate_pod(JOB);
    replay.server.collect(JOB);
    replay.requests(&["07-get-job-after", "08-create-same-name-after"]).await;
    replay.server.create_pod(JOB);
    replay.server.start_pod(JOB);
    replay.request("09-get-job-at-the-end").await;
    watching.compare().await;
}

#[tokio::test(start_paused = true)]
async fn background_deletion_does_not_wait() {
    const JOB: &str = "job-1101-100-1";
    let mut replay = Replay::open("delete-background-traps-term");
    replay.replace("resourceVersion=4692", "resourceVersion=1");
    let watching = replay.watch("watch-jobs").await;
    replay.request("01-create").await;
    replay.server.create_pod(JOB);
    replay.server.start_pod(JOB);
    replay.requests(&["02-delete", "03-get-job-just-after", "04-delete-again-at-once"]).await;
    replay.request("05-get-job-at-the-end").await;
    watching.compare().await;
}

#[tokio::test(start_paused = true)]
async fn deletion_without_options_orphans_the_pod_and_warns() {
    const JOB: &str = "job-1107-100-1";
    let mut replay = Replay::open("delete-default-propagation");
    replay.replace("resourceVersion=3299", "resourceVersion=1");
    let watching = replay.watch("watch-jobs").await;
    replay.request("01-create").await;
    replay.server.create_pod(JOB);
    replay.server.start_pod(JOB);
    replay.requests(&["02-delete", "03-get-job-just-after", "04-delete-again-at-once"]).await;
    replay.server.collect(JOB);
    replay.request("05-get-job-at-the-end").await;
    watching.compare().await;
}

#[tokio::test(start_paused = true)]
async fn ended_job_can_be_deleted() {
    const JOB: &str = "job-1108-100-1";
    let mut replay = Replay::open("delete-finished");
    replay.replace("resourceVersion=1356", "resourceVersion=1");
    let watching = replay.watch("watch-jobs").await;
    replay.request("01-create").await;
    replay.server.create_pod(JOB);
    replay.server.start_pod(JOB);
    replay.server.end_pod(JOB, &PodEnd::Succeeds);
    replay.requests(&["02-delete", "03-delete-again", "04-get-job-at-the-end"]).await;
    watching.compare().await;
}

#[tokio::test(start_paused = true)]
async fn deletion_respects_preconditions() {
    let mut replay = Replay::open("delete-preconditions");
    replay.request("01-create").await;
    replay.server.create_pod("job-1212-100-1");
    replay.requests(&["02-wrong-uid", "03-stale-resource-version"]).await;
    replay.requests(&["04-orphan-dependents-and-policy-422", "05-right-uid", "06-again", "07-get"]).await;
}

#[tokio::test(start_paused = true)]
async fn compacted_version_has_expired() {
    let mut replay = Replay::open("expired-410");
    for number in 1400..1406 {
        replay.create(&format!("job-{number}-100-1"), &json!({"page": "old"})).await;
    }
    replay.request("01-page-1").await;
    replay.server.compact();
    // In the recording this Job was deleted meanwhile.
    replay.server.remove("jobs", "job-1403-100-1");
    replay.requests(&["02-page-2-expired-410", "03-page-2-with-the-token-of-the-410"]).await;
    replay.requests(&["04-list-exact-old-version", "05-list-not-older-than-old-version"]).await;
    replay.watch("watch-from-1").await.compare().await;
}

#[tokio::test(start_paused = true)]
async fn missing_object_is_not_found() {
    let mut replay = Replay::open("not-found-404");
    replay.requests(&["01-get-job", "02-delete-job", "03-patch-job", "04-put-job"]).await;
    replay.request("05-create-in-missing-namespace-as-admin").await;
    replay.request("06-list-in-missing-namespace-as-admin").await;
    replay.requests(&["07-unknown-version", "08-unknown-group", "09-unknown-resource"]).await;
    replay.requests(&["10-unknown-version-as-seed-role", "11-watch-by-name-of-missing-job"]).await;
}

#[tokio::test(start_paused = true)]
async fn list_has_pages() {
    let mut replay = Replay::open("list-paging");
    for number in [1104, 1105, 1109, 1110, 1220, 1221, 1222, 1223, 1224, 1230] {
        let labels = if (1220..1225).contains(&number) { json!({"page": "yes"}) } else { json!({}) };
        replay.create(&format!("job-{number}-100-1"), &labels).await;
    }
    replay.requests(&["01-page-1", "02-page-2", "03-page-3", "04-without-selector-page-1"]).await;
    replay.requests(&["05-cache-resource-version-0", "07-continue-with-resource-version-400"]).await;
    replay.requests(&["08-negative-limit", "09-empty-list"]).await;
}

#[tokio::test(start_paused = true)]
async fn busy_server_returns_retry_after() {
    let mut replay = Replay::open("rate-limited-429");
    replay.server.inject_faults(|_| Fault::refused(429));
    replay.requests(&["04-list", "05-create", "06-delete", "07-get", "08-patch"]).await;
    replay.watch("watch-jobs").await.compare().await;
    assert_eq!(replay.server.names("jobs"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn invalid_job_is_refused_with_its_fields() {
    let mut replay = Replay::open("invalid-spec-422");
    replay.requests(&["02-no-containers", "03-bad-name", "04-name-of-64-characters", "09-numbers"]).await;
}

#[tokio::test(start_paused = true)]
async fn missing_right_is_refused_with_its_name() {
    let mut replay = Replay::open("forbidden-403");
    for (verb, resource) in
        [(Verb::List, "pods"), (Verb::Get, "pods"), (Verb::Watch, "pods"), (Verb::List, "events")]
    {
        replay.server.forbid(verb, resource);
    }
    replay.requests(&["01-list-pods", "02-get-pod", "03-watch-pods", "05-list-events"]).await;
    let mut replay = Replay::open("unauthorized-401");
    replay.server.accept_only_token("another");
    replay.requests(&["01-bad-token", "02-bad-token-create", "04-bad-token-watch"]).await;
}

#[tokio::test(start_paused = true)]
async fn future_version_is_a_timeout() {
    let mut replay = Replay::open("resource-version-in-the-future");
    replay.requests(&["01-list-not-older-than", "02-list-exact"]).await;
}

#[tokio::test(start_paused = true)]
async fn watch_starts_at_its_version() {
    let mut replay = Replay::open("watch-variants");
    for number in [1320, 1321] {
        let name = format!("job-{number}-100-1");
        replay.create(&name, &json!({"jobId": number.to_string(), "watched": "yes"})).await;
        replay.server.create_pod(&name);
    }
    replay.request("01-list").await;
    let mut watches = Vec::new();
    for what in ["watch-from-list", "watch-from-0", "watch-without-version", "watch-initial-events"] {
        watches.push(replay.watch(what).await);
    }
    replay.requests(&["02-label-leaves-selector", "03-label-comes-back", "04-delete"]).await;
    for what in
        ["watch-initial-events-without-bookmarks", "watch-initial-events-without-match", "watch-by-name"]
    {
        watches.push(replay.watch(what).await);
    }
    for watching in watches {
        watching.compare().await;
    }
}

#[tokio::test(start_paused = true)]
async fn job_ends_in_the_steps_of_the_job_controller() {
    for (recording, job, before, end) in [
        ("success", "job-1001-100-1", "579", PodEnd::Succeeds),
        ("exit-code-7", "job-1003-100-1", "579", PodEnd::Fails),
        ("pod-failure-policy-fail-job", "job-1120-100-1", "1962", PodEnd::FailsByPolicy(42)),
    ] {
        let mut replay = Replay::open(recording);
        replay.replace(&format!("resourceVersion={before}"), "resourceVersion=1");
        let watching = replay.watch("watch-jobs").await;
        replay.request("01-create").await;
        replay.server.create_pod(job);
        replay.server.start_pod(job);
        replay.server.end_pod(job, &end);
        watching.compare().await;
    }
}
