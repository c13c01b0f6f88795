//! What is special about the Kubernetes backend: lost answers, Secrets with an owner, labels.

use std::error::Error as _;

use futures::StreamExt as _;
use job_spec::labels;
use k8s_backend::{
    ErrorKind, JobBackend as _, KubeBackend, Submitted,
    testing::{
        ApiServer, Trouble, Verb,
        conformance::{sample_job, sample_submission},
    },
};
use serde_json::json;

const NAME: &str = "job-1001-100-1";

fn cluster() -> (ApiServer, KubeBackend) {
    let server = ApiServer::new("terrakube");
    let backend = KubeBackend::new(server.client(), "terrakube");
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
async fn a_job_gets_the_label_by_which_it_is_watched() {
    let (server, backend) = cluster();
    backend.submit(&sample_job(NAME).into()).await.unwrap();
    let there = server.object("jobs", NAME).unwrap();
    assert_eq!(there["metadata"]["labels"][labels::MANAGED_BY], labels::MANAGED_BY_VALUE);

    let mut of_others = sample_job("job-1002-100-1");
    of_others
        .metadata
        .labels
        .get_or_insert_default()
        .insert(labels::MANAGED_BY.to_owned(), "Helm".to_owned());
    let error = backend.submit(&of_others.into()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.source.to_string().contains("\"Helm\""), "{}", error.source);
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
