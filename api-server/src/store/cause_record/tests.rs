//! Causes and waits of this version and of earlier ones.

use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};

use super::*;
use crate::{
    encryption::EncryptionKey,
    store::{Store, migrations},
};

fn every_waiting() -> Vec<Waiting> {
    let message = || "a message".to_owned();
    vec![
        Waiting::Accepted,
        Waiting::ControllerPending { controller: None },
        Waiting::ControllerPending { controller: Some("example.com/controller".to_owned()) },
        Waiting::Suspended,
        Waiting::AwaitingAdmission { queue: "team-a".to_owned() },
        Waiting::Terminating,
        Waiting::NoPod,
        Waiting::NotCreated { by: Refuser::Quota, message: message() },
        Waiting::Gated { message: message() },
        Waiting::Unschedulable { message: message() },
        Waiting::Starting,
        Waiting::Setup { message: message() },
        Waiting::ImagePull { problem: ImageProblem::NotFound, message: message() },
        Waiting::ConfigError { problem: ConfigProblem::MissingKey, message: message() },
        Waiting::Other { reason: "A reason".to_owned(), message: message() },
    ]
}

fn every_cause() -> Vec<Cause> {
    let message = || "a message".to_owned();
    let mut causes = vec![
        Cause::Completed,
        Cause::ExitCode(Some(7)),
        Cause::ExitCode(None),
        Cause::ExitMessage { exit_code: 13, message: "no route".to_owned() },
        Cause::Signal(9),
        Cause::InitContainer { container: "init".to_owned(), exit_code: 3 },
        Cause::OutOfMemory { limit: Some("64Mi".to_owned()), exit_code: 1 },
        Cause::OutOfMemory { limit: None, exit_code: 137 },
        Cause::DeadlineExceeded,
        Cause::NotStarted { message: message() },
        Cause::Evicted { resource: Some("memory".to_owned()), message: message() },
        Cause::Preempted { message: message() },
        Cause::NodeLost { message: message() },
        Cause::Disrupted { message: message() },
        Cause::PodDeleted { ran: false },
        Cause::Deleted,
        Cause::Vanished,
        Cause::Lost { message: message() },
    ];
    causes.extend(every_waiting().into_iter().flat_map(|waiting| {
        [Cause::DeadlineBeforeStart { waiting: waiting.clone() }, Cause::CannotStart { waiting }]
    }));
    causes
}

#[test]
fn reads_back_every_cause() {
    for cause in every_cause() {
        let (kind, detail) = CauseRecord::from(&cause).to_columns();
        let record = CauseRecord::from_columns(&kind, detail.as_deref()).unwrap();
        assert_eq!(Cause::from(record), cause, "{kind} {detail:?}");
    }
}

#[test]
fn reads_back_every_waiting() {
    for waiting in every_waiting() {
        let column = WaitingRecord::from(&waiting).to_column();
        assert_eq!(WaitingRecord::from_column(&column).map(Waiting::from), Some(waiting), "{column}");
    }
}

#[test]
fn reads_names_of_earlier_versions() {
    for (old, expected) in [
        (r#"{"type": "notTakenUp"}"#, Waiting::ControllerPending { controller: None }),
        (r#"{"type": "beingEnded"}"#, Waiting::Terminating),
    ] {
        assert_eq!(WaitingRecord::from_column(old).map(Waiting::from), Some(expected));
    }
    assert_eq!(WaitingRecord::from_column(r#"{"type": "ofALaterVersion"}"#), None);
}

#[test]
fn columns_are_the_type_and_its_detail() {
    let columns = |cause: Cause| CauseRecord::from(&cause).to_columns();
    assert_eq!(columns(Cause::Completed), ("completed".to_owned(), None));
    assert_eq!(columns(Cause::ExitCode(Some(7))), ("exitCode".to_owned(), Some("7".to_owned())));
    let evicted = Cause::Evicted { resource: None, message: "drained".to_owned() };
    let (kind, detail) = columns(evicted);
    let detail: Value = serde_json::from_str(&detail.unwrap()).unwrap();
    assert_eq!(
        (kind.as_str(), detail),
        ("evicted", serde_json::json!({"resource": null, "message": "drained"}))
    );
    assert!(CauseRecord::from_columns("ofALaterVersion", None).is_err());
}

/// The causes of attempts 1, 2, … of a store of version 2, and what they are now.
fn old_causes() -> [(&'static str, Option<Cause>); 9] {
    let image = Waiting::ImagePull { problem: ImageProblem::NotFound, message: "x:1: not found".to_owned() };
    [
        ("NULL", None),
        (r#"'{"type":"completed"}'"#, Some(Cause::Completed)),
        (r#"'{"type":"exitCode","detail":7}'"#, Some(Cause::ExitCode(Some(7)))),
        (r#"'{"type":"exitCode","detail":null}'"#, Some(Cause::ExitCode(None))),
        (
            r#"'{"type":"lost","detail":{"message":"gone"}}'"#,
            Some(Cause::Lost { message: "gone".to_owned() }),
        ),
        (
            r#"'{"type":"cannotStart","detail":{"waiting":{"type":"notTakenUp"}}}'"#,
            Some(Cause::CannotStart { waiting: Waiting::ControllerPending { controller: None } }),
        ),
        (
            r#"'{"type":"deadlineBeforeStart","detail":{"waiting":{"type":"imagePull","detail":{"problem":"notFound","message":"x:1: not found"}}}}'"#,
            Some(Cause::DeadlineBeforeStart { waiting: image }),
        ),
        // Even earlier, a cause was a text.
        ("'node \"a\" went away'", Some(Cause::Lost { message: "node \"a\" went away".to_owned() })),
        ("'7'", Some(Cause::Lost { message: "7".to_owned() })),
    ]
}

#[tokio::test]
async fn migration_keeps_causes_and_waits_of_version_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    migrations::sqlite_to(2).run(&pool).await.unwrap();
    let at = "2026-11-23T19:08:51Z";
    let mut rows = vec![
        format!("INSERT INTO organizations VALUES ('o', 'acme', '{at}')"),
        format!(
            "INSERT INTO workspaces VALUES ('w', 'o', 'net', 's', 'b', '/', 'terraform', '1', NULL, '{at}')"
        ),
        "INSERT INTO templates VALUES ('t', 'o', 'plan', 'flow: []')".to_owned(),
        format!(
            "INSERT INTO jobs (id, organization_id, workspace_id, template_id, status, created_at)
             VALUES (1, 'o', 'w', 't', 'running', '{at}')"
        ),
        "INSERT INTO steps (id, job_id, number, name, type, status)
         VALUES ('s', 1, 100, 'Plan', 'terraformPlan', 'running')"
            .to_owned(),
    ];
    for (number, (cause, _)) in (1..).zip(old_causes()) {
        rows.push(format!(
            "INSERT INTO attempts (id, job_id, step_id, number, kubernetes_job, token_hash, \
             job_object_sealed, phase,
                                   live, status, created_at, cause, waiting, waiting_since)
             VALUES ('a{number}', 1, 's', {number}, 'job-1-100-{number}', x'00', x'00', 'submitted', FALSE, \
             'pending', '{at}',
                     {cause}, '{{\"type\":\"beingEnded\"}}', '{at}')"
        ));
    }
    for row in rows {
        sqlx::query(sqlx::AssertSqlSafe(row)).execute(&pool).await.unwrap();
    }
    pool.close().await;

    let store = Store::open(&path, EncryptionKey::new([1; 32])).await.unwrap();
    let attempts = store.job(1).await.unwrap().steps.remove(0).attempts;
    let expected = old_causes();
    assert_eq!(attempts.len(), expected.len());
    for (attempt, (old, cause)) in attempts.iter().zip(expected) {
        assert_eq!(attempt.cause, cause, "{old}");
        assert_eq!(attempt.waiting.as_ref().unwrap().waiting, Waiting::Terminating);
    }
    // The first cause of an attempt stays, and a new one is read back.
    for (attempt, expected) in [("a2", Cause::Completed), ("a1", Cause::Vanished)] {
        store.record_cause(attempt, &Cause::Vanished).await.unwrap();
        store.give_up(attempt, &Cause::Deleted).await.unwrap();
        let attempts = store.job(1).await.unwrap().steps.remove(0).attempts;
        let found = attempts.into_iter().find(|found| found.id == attempt).unwrap();
        assert_eq!(found.cause, Some(expected));
    }
}
