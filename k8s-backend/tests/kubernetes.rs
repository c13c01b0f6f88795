//! What is special about the Kubernetes backend: lost answers, Secrets with an owner, labels.

use std::error::Error as _;

use futures::StreamExt as _;
use k8s_backend::{
    ErrorKind, IDENTITY_ANNOTATION, JobBackend as _, JobRules, KubeBackend, KubeOptions, Submitted,
    testing::{
        ApiServer, Trouble, Verb,
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

/// Lets every request of one kind fail.
fn break_only(server: &ApiServer, verb: Verb, resource: &'static str, trouble: Trouble) {
    server.trouble(move |request| {
        if request.verb == verb && request.resource == resource { trouble } else { Trouble::default() }
    });
}

#[tokio::test(start_paused = true)]
async fn a_submit_whose_answer_was_lost_is_found_again() {
    let (server, backend) = cluster();
    break_only(&server, Verb::Create, "jobs", Trouble::CUT_AFTER);
    let submission = sample_job(NAME).into();
    assert_eq!(backend.submit(&submission).await.unwrap_err().kind, ErrorKind::Unavailable);
    server.no_trouble();
    assert_eq!(backend.submit(&submission).await.unwrap(), Submitted::AlreadyThere);
    assert_eq!(server.times_made("jobs", NAME), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_arrives_twice_makes_one_job() {
    let (server, backend) = cluster();
    server.trouble(|_| Trouble { twice: true, ..Trouble::default() });
    assert_eq!(backend.submit(&sample_submission(NAME)).await.unwrap(), Submitted::AlreadyThere);
    assert_eq!((server.times_made("jobs", NAME), server.times_made("secrets", NAME)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn labels_job_and_pod_so_that_they_are_watched() {
    let server = ApiServer::new("terrakube");
    let options = KubeOptions::new().managed_by("report-server").field_manager("reports");
    let backend = KubeBackend::new(server.client(), options);
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    let there = server.object("jobs", NAME).unwrap();
    for labels in [&there["metadata"]["labels"], &there["spec"]["template"]["metadata"]["labels"]] {
        assert_eq!(labels["app.kubernetes.io/managed-by"], "report-server");
    }
    assert_eq!(there["metadata"]["annotations"][IDENTITY_ANNOTATION], format!("hash-of-{NAME}"));

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
async fn a_secret_belongs_to_its_job_from_the_first_moment() {
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
async fn a_delivery_that_broke_half_way_goes_on_with_the_next_submit() {
    for trouble in [Trouble::CUT_BEFORE, Trouble::CUT_AFTER, Trouble::refused(500)] {
        let (server, backend) = cluster();
        break_only(&server, Verb::Create, "secrets", trouble);
        let error = backend.submit(&sample_submission(NAME)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        server.no_trouble();
        // The right to read Secrets is not needed for it.
        server.forbid(Verb::Get, "secrets");
        assert_eq!(backend.submit(&sample_submission(NAME)).await.unwrap(), Submitted::AlreadyThere);
        assert_eq!(
            (server.times_made("jobs", NAME), server.times_made("secrets", NAME)),
            (1, 1),
            "{trouble:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_may_not_be_made_leaves_no_job() {
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
async fn the_secret_of_somebody_else_is_neither_used_nor_changed() {
    let (server, backend) = cluster();
    let other = json!({"metadata": {"name": NAME}, "data": {"token": "b3RoZXI="}});
    server.put("secrets", other.clone());
    let error = backend.submit(&sample_submission(NAME)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(server.names("jobs"), [""; 0]);
    assert_eq!(server.object("secrets", NAME).unwrap()["data"], other["data"]);
}

#[tokio::test(start_paused = true)]
async fn a_role_without_the_right_to_watch_is_told_the_rule() {
    let (server, backend) = cluster();
    server.forbid(Verb::Watch, "jobs");
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    let told: Vec<_> = backend.watch(NAME).collect().await;
    let error = told.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert!(error.source.to_string().contains("verbs: [\"watch\"]"), "{}", error.source);
}
