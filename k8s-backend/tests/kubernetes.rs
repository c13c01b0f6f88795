//! Behavior of the Kubernetes backend alone: lost responses, owned Secrets, labels and annotations.

use std::{error::Error as _, time::Duration};

use futures::StreamExt as _;
use k8s_backend::{
    ErrorKind, IDENTITY_ANNOTATION, JobBackend as _, JobRules, KubeBackend, KubeOptions, Submitted,
    testing::{
        ApiServer, Fault, Verb,
        conformance::{sample_job, sample_submission},
    },
};
use k8s_openapi::api::batch::v1::Job;
use serde_json::json;

const NAME: &str = "job-1001-100-1";

fn cluster() -> (ApiServer, KubeBackend) {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), KubeOptions::new());
    (server, backend)
}

/// Injects a fault into every request of one kind.
fn break_only(server: &ApiServer, verb: Verb, resource: &'static str, fault: Fault) {
    server.inject_faults(move |request| {
        if request.verb == verb && request.resource == resource { fault } else { Fault::default() }
    });
}

#[tokio::test(start_paused = true)]
async fn repeated_submit_finds_job_whose_response_was_lost() {
    let (server, backend) = cluster();
    break_only(&server, Verb::Create, "jobs", Fault::BROKEN_AFTER);
    let submission = sample_job(NAME).into();
    assert_eq!(backend.submit(&submission).await.unwrap_err().kind, ErrorKind::Unavailable);
    server.clear_faults();
    assert_eq!(backend.submit(&submission).await.unwrap(), Submitted::AlreadyThere);
    assert_eq!(server.times_created("jobs", NAME), 1);
}

#[tokio::test(start_paused = true)]
async fn duplicated_request_creates_one_job() {
    let (server, backend) = cluster();
    server.inject_faults(|_| Fault::new().duplicated());
    assert_eq!(backend.submit(&sample_submission(NAME)).await.unwrap(), Submitted::AlreadyThere);
    assert_eq!((server.times_created("jobs", NAME), server.times_created("secrets", NAME)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn labels_job_and_pod_so_that_they_are_watched() {
    let server = ApiServer::new("terrakube");
    let options = KubeOptions::new().managed_by("report-server").field_manager("reports");
    let backend = KubeBackend::new(server.client(), options);
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    let found = server.object("jobs", NAME).unwrap();
    for labels in [&found["metadata"]["labels"], &found["spec"]["template"]["metadata"]["labels"]] {
        assert_eq!(labels["app.kubernetes.io/managed-by"], "report-server");
    }
    assert_eq!(found["metadata"]["annotations"][IDENTITY_ANNOTATION], format!("hash-of-{NAME}"));

    let mut of_helm = sample_job("job-1002-100-1");
    let labels = of_helm.metadata.labels.get_or_insert_default();
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned());
    let error = backend.submit(&of_helm.clone().into()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.source.to_string().contains("\"Helm\""), "{}", error.source);
    let plain = KubeBackend::new(server.client(), KubeOptions::new());
    assert_eq!(plain.submit(&of_helm.into()).await.unwrap(), Submitted::Created);
}

#[tokio::test(start_paused = true)]
async fn identifies_job_by_the_annotation_of_the_options() {
    let server = ApiServer::new("terrakube");
    let rules = JobRules::new().identity_annotation("example.com/hash").require_identity();
    let backend = KubeBackend::new(server.client(), KubeOptions::new().rules(rules));
    let mut job = sample_job(NAME);
    assert_eq!(backend.submit(&job.clone().into()).await.unwrap_err().kind, ErrorKind::Invalid);
    let annotations = job.metadata.annotations.get_or_insert_default();
    annotations.insert("example.com/hash".to_owned(), "1".to_owned());
    assert_eq!(backend.submit(&job.clone().into()).await.unwrap(), Submitted::Created);
    // The content does not count, as long as the annotation is the same.
    job.spec.as_mut().unwrap().backoff_limit = Some(6);
    assert_eq!(backend.submit(&job.into()).await.unwrap(), Submitted::AlreadyThere);
}

#[tokio::test(start_paused = true)]
async fn accepts_job_of_any_program() {
    let (server, backend) = cluster();
    let job = json!({"metadata": {"name": "nightly.report"}, "spec": {"parallelism": 2, "template": {"spec": {
        "restartPolicy": "OnFailure", "containers": [{"name": "report"}, {"name": "log-shipper"}]}}}});
    let submission = serde_json::from_value::<Job>(job).unwrap().into();
    assert_eq!(backend.submit(&submission).await.unwrap(), Submitted::Created);
    assert_eq!(backend.submit(&submission).await.unwrap(), Submitted::AlreadyThere);
    let elsewhere = json!({"metadata": {"name": "a", "namespace": "elsewhere"}, "spec": {"template": {"spec": {
        "containers": [{"name": "a"}]}}}});
    let error = backend.submit(&serde_json::from_value::<Job>(elsewhere).unwrap().into()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.source.to_string().contains("expected \"terrakube\" or none"), "{}", error.source);
    assert_eq!(server.names("jobs"), ["nightly.report"]);
}

#[tokio::test(start_paused = true)]
async fn secret_is_created_with_its_job_as_owner() {
    let (server, backend) = cluster();
    backend.submit(&sample_submission(NAME)).await.unwrap();
    let job = server.object("jobs", NAME).unwrap();
    let owners = server.object("secrets", NAME).unwrap()["metadata"]["ownerReferences"].clone();
    let expected = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": NAME, "uid": job["metadata"]["uid"],
        "controller": true}]);
    assert_eq!(owners, expected);
    server.delete_in_background(NAME);
    assert_eq!(server.names("secrets"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn repeated_submit_creates_secret_that_is_missing() {
    for fault in [Fault::BROKEN_BEFORE, Fault::BROKEN_AFTER, Fault::refused(500)] {
        let (server, backend) = cluster();
        break_only(&server, Verb::Create, "secrets", fault);
        let error = backend.submit(&sample_submission(NAME)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        server.clear_faults();
        // This does not require the right to read Secrets.
        server.forbid(Verb::Get, "secrets");
        assert_eq!(backend.submit(&sample_submission(NAME)).await.unwrap(), Submitted::AlreadyThere);
        assert_eq!(
            (server.times_created("jobs", NAME), server.times_created("secrets", NAME)),
            (1, 1),
            "{fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn forbidden_secret_leaves_no_job() {
    let (server, backend) = cluster();
    server.forbid(Verb::Create, "secrets");
    let error = backend.submit(&sample_submission(NAME)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    let text = error.source().unwrap().to_string();
    assert!(text.contains("{apiGroups: [\"\"], resources: [\"secrets\"], verbs: [\"create\"]}"), "{text}");
    assert_eq!((server.names("jobs"), server.names("secrets")), (vec![], vec![]));
    server.permit(Verb::Create, "secrets");
    assert_eq!(backend.submit(&sample_submission(NAME)).await.unwrap(), Submitted::Created);
}

#[tokio::test(start_paused = true)]
async fn secret_of_another_owner_is_neither_used_nor_changed() {
    let (server, backend) = cluster();
    let other = json!({"metadata": {"name": NAME}, "data": {"token": "b3RoZXI="}});
    server.put("secrets", other.clone());
    let error = backend.submit(&sample_submission(NAME)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(server.names("jobs"), [""; 0]);
    assert_eq!(server.object("secrets", NAME).unwrap()["data"], other["data"]);
}

#[tokio::test(start_paused = true)]
async fn error_names_the_rule_when_the_role_cannot_watch() {
    let (server, backend) = cluster();
    server.forbid(Verb::Watch, "jobs");
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    let seen: Vec<_> = backend.watch(NAME).collect().await;
    let error = seen.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert!(error.source.to_string().contains("verbs: [\"watch\"]"), "{}", error.source);
}

#[tokio::test(start_paused = true)]
async fn job_that_did_not_start_is_kept_with_a_shorter_deadline() {
    let (server, backend) = cluster();
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    server.create_pod(NAME);
    backend.end_after(NAME, Duration::from_mins(10)).await.unwrap();
    let job = server.object("jobs", NAME).unwrap();
    assert!(job["metadata"]["deletionTimestamp"].is_null(), "{job}");
    let deadline = job["spec"]["activeDeadlineSeconds"].as_i64().unwrap();
    assert!((600..700).contains(&deadline), "{deadline}");
    // Without the right to patch it is cancelled, and what does not exist needs no end.
    server.forbid(Verb::Patch, "jobs");
    backend.end_after(NAME, Duration::ZERO).await.unwrap();
    assert!(server.object("jobs", NAME).is_none_or(|job| job["metadata"]["deletionTimestamp"].is_string()));
    backend.end_after("job-2-100-1", Duration::ZERO).await.unwrap();
}
