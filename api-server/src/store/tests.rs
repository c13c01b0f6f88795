//! Tests of the store on SQLite and PostgreSQL: key, versions, messages, concurrent changes, and the SQL in
//! its sources.

use job_spec::{
    StepType,
    attempt_api::{ClaimRequest, StepOutcome, StepResult},
};
use k8s_openapi::api::batch::v1::Job as KubernetesJob;

use super::*;
use crate::{
    model::{
        AttemptPhase, AttemptStatus, IacType, Job, JobStatus, NewStep, StepSettings, StepStatus,
        VariableCategory, VariableOwner, Workspace,
    },
    token::TokenHash,
};
use postgres_server::new_database;

/// What the executor of the test reports.
const SENTENCE: &str = "terraform plan failed with exit code 1";

const KEY: [u8; 32] = [1; 32];

/// Runs a test on SQLite, and on PostgreSQL if it is installed.
pub(super) async fn on_each_database(test: impl AsyncFn(Store)) {
    let folder = tempfile::tempdir().unwrap();
    test(Store::open(&folder.path().join("store.sqlite"), EncryptionKey::new(KEY)).await.unwrap()).await;
    if let Some(url) = new_database() {
        test(Store::connect(PostgresAddress::parse(&url).unwrap(), EncryptionKey::new(KEY)).await.unwrap())
            .await;
    }
}

pub(super) async fn workspace(store: &Store) -> Workspace {
    let organization = store.create_organization("acme").await.unwrap();
    let new = NewWorkspace {
        organization_id: organization.id,
        name: "net".to_owned(),
        source: "https://git.example.com/net.git".into(),
        branch: "main".to_owned(),
        folder: "/".to_owned(),
        iac_type: IacType::Terraform,
        terraform_version: String::new(),
    };
    store.create_workspace(new).await.unwrap()
}

/// A job whose only step has a claimed attempt.
pub(super) async fn claimed_job(store: &Store) -> Job {
    let workspace = workspace(store).await;
    let template = store.create_template(&workspace.organization_id, "plan", "flow: []").await.unwrap();
    let step = NewStep {
        number: 100,
        name: "Plan".to_owned(),
        step_type: StepType::TerraformPlan,
        settings: StepSettings::default(),
    };
    let job = store.create_job(&workspace, &template.id, &[step]).await.unwrap();
    let new = NewAttempt {
        id: "attempt".to_owned(),
        job_id: job.id,
        step_id: job.steps[0].id.clone(),
        number: 1,
        kubernetes_job: "job-1-100-1".to_owned(),
        token_hash: TokenHash::of("token"),
        prepared: Prepared { job: KubernetesJob::default(), secret: None },
        claim: ClaimData::default(),
        not_before: None,
        deadline: "6h (default EPHEMERAL_CONFIG_DEADLINE)".to_owned(),
        limits: crate::model::Limits::default(),
    };
    store.create_attempt(new).await.unwrap();
    let claim = ClaimRequest { executor_id: "e".to_owned(), host: "test".to_owned() };
    store.claim("attempt", &claim).await.unwrap();
    store.job(job.id).await.unwrap()
}

/// The server may have been killed between the submit and its record; the Kubernetes Job must be watched.
#[tokio::test]
async fn claim_proves_that_the_kubernetes_job_was_submitted() {
    on_each_database(async |store| {
        let job = claimed_job(&store).await;
        assert_eq!(job.steps[0].attempts[0].phase, AttemptPhase::Submitted);
    })
    .await;
}

/// Terraform does not wait for a lock: that of an attempt that was lost would fail the next one.
#[tokio::test]
async fn lock_of_a_lost_plan_is_released_and_that_of_an_unknown_apply_stays() {
    on_each_database(async |store| {
        let job = claimed_job(&store).await;
        let attempt = &job.steps[0].attempts[0];
        let writer = StateWriter::Attempt(attempt.id.clone());
        let lock = StateLock {
            lock_id: "l".to_owned(),
            info: "{}".to_owned(),
            attempt_id: Some(attempt.id.clone()),
        };
        store.lock_state(&job.workspace_id, &lock, &writer).await.unwrap();
        let is_locked = async || store.lock_of_attempt(&attempt.id).await.unwrap().is_some();
        // Its executor may still write.
        store.end_attempt(attempt, AttemptStatus::Lost, None, false).await.unwrap();
        assert!(is_locked().await);
        store.end_attempt(attempt, AttemptStatus::Lost, None, true).await.unwrap();
        assert!(!is_locked().await);
    })
    .await;
}

#[tokio::test]
async fn stores_a_message_once_and_shows_it_with_attempt_step_and_job() {
    on_each_database(async |store| {
        let store = &store;
        let job = claimed_job(store).await;
        let result = StepResult {
            outcome: StepOutcome::Failed,
            has_changes: None,
            message: Some(SENTENCE.to_owned()),
            evidence: None,
            commit_id: None,
            timings: Vec::new(),
            log_bytes: 0,
            log_complete: None,
            memory: None,
        };
        store.report("attempt", &result).await.unwrap();
        let job = store.job(job.id).await.unwrap();
        let attempt = &job.steps[0].attempts[0];
        assert_eq!(attempt.message, None, "it has not ended");
        store.end_attempt(attempt, AttemptStatus::Failed, Some(SENTENCE), true).await.unwrap();
        let job = store.job(job.id).await.unwrap();
        store.end_step(&job.steps[0], StepStatus::Failed, Some(SENTENCE)).await.unwrap();
        let job = store.job(job.id).await.unwrap();
        store.end_job(&job, JobStatus::Failed, Some(SENTENCE)).await.unwrap();

        let job = store.job(job.id).await.unwrap();
        let shown = [&job.message, &job.steps[0].message, &job.steps[0].attempts[0].message];
        assert!(shown.iter().all(|message| message.as_deref() == Some(SENTENCE)), "{job:#?}");
        let stored: Vec<Option<String>> = query_scalar(
            "SELECT message FROM jobs UNION ALL SELECT message FROM steps
         UNION ALL SELECT message FROM attempts UNION ALL SELECT result FROM attempts",
        )
        .fetch_all(&store.pool)
        .await
        .unwrap();
        let copies = stored.iter().flatten().filter(|text| text.contains(SENTENCE)).count();
        assert_eq!(copies, 1, "{stored:?}");
    })
    .await;
}

#[tokio::test]
async fn sorts_and_finds_names_by_their_bytes() {
    on_each_database(async |store| {
        let names = ["b", "B", "a-1", "a1", "ä", "a\0"];
        for name in names {
            store.create_organization(name).await.unwrap();
        }
        let error = store.create_organization("a\0").await.unwrap_err();
        assert!(matches!(error, StoreError::Exists { .. }), "{error}");
        let organization = store.create_organization("of the collections").await.unwrap().id;
        for name in ["b", "B", "a-1", "a1", "ä"] {
            store.create_collection(&organization, name, 1).await.unwrap();
        }
        let sorted = store.collections(&organization).await.unwrap();
        let sorted: Vec<_> = sorted.iter().map(|collection| collection.name.as_str()).collect();
        assert_eq!(sorted, ["B", "a-1", "a1", "b", "ä"]);
    })
    .await;
}

#[tokio::test]
async fn keeps_messages_that_differ() {
    on_each_database(async |store| {
        let store = &store;
        let job = claimed_job(store).await;
        let attempt = &job.steps[0].attempts[0];
        store.end_attempt(attempt, AttemptStatus::Lost, Some("lost"), true).await.unwrap();
        let job = store.job(job.id).await.unwrap();
        store.end_step(&job.steps[0], StepStatus::Failed, Some("of the step")).await.unwrap();
        let job = store.job(job.id).await.unwrap();
        store.end_job(&job, JobStatus::Failed, Some("of the job")).await.unwrap();
        let job = store.job(job.id).await.unwrap();
        let step = &job.steps[0];
        let shown =
            [&job.message, &step.message, &step.attempts[0].message].map(|message| message.as_deref());
        assert_eq!(shown, [Some("of the job"), Some("of the step"), Some("lost")]);
    })
    .await;
}

#[test]
fn sql_holds_no_text_of_an_enum() {
    let texts: Vec<&str> = [
        JobStatus::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>(),
        StepStatus::ALL.iter().map(|status| status.as_str()).collect(),
        AttemptStatus::ALL.iter().map(|status| status.as_str()).collect(),
        AttemptPhase::ALL.iter().map(|phase| phase.as_str()).collect(),
        VariableCategory::ALL.iter().map(|category| category.as_str()).collect(),
        StepType::ALL.iter().map(|step_type| step_type.as_str()).collect(),
    ]
    .concat();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.ends_with("tests.rs") {
            continue;
        }
        files += 1;
        let source = std::fs::read_to_string(&path).unwrap();
        for text in &texts {
            assert!(!source.contains(&format!("'{text}'")), "{path:?} names {text:?} in SQL");
        }
    }
    assert!(files > 8, "only {files} files were read");
}

#[test]
fn lists_the_statuses_of_open_jobs_for_sql() {
    assert_eq!(rows::open_statuses(), "('pending', 'running', 'waitingApproval')");
}

#[tokio::test]
async fn opens_again_with_the_same_key_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = Store::open(&path, EncryptionKey::new([1; 32])).await.unwrap();
    let organization = store.create_organization("acme").await.unwrap();
    store.close().await;
    let error = Store::open(&path, EncryptionKey::new([2; 32])).await.unwrap_err();
    assert!(matches!(error, StoreError::WrongKey), "{error}");
    let store = Store::open(&path, EncryptionKey::new([1; 32])).await.unwrap();
    assert_eq!(store.organization(&organization.id).await.unwrap().name, "acme");
}

#[tokio::test]
async fn rejects_database_of_a_newer_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = Store::open(&path, EncryptionKey::new([1; 32])).await.unwrap();
    query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&store.pool)
    .await
    .unwrap();
    store.close().await;
    let error = Store::open(&path, EncryptionKey::new([1; 32])).await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error}");
}

#[tokio::test]
async fn variable_of_a_collection_that_is_deleted_meanwhile_is_not_stored() {
    on_each_database(async |store| {
        let store = &store;
        let workspace = workspace(store).await;
        let gpu = store.create_collection(&workspace.organization_id, "gpu", 1).await.unwrap();
        let mut change = store.change_variables().await.unwrap();
        change.delete_collection(&gpu).await.unwrap();
        change.commit().await.unwrap();

        let mut change = store.change_variables().await.unwrap();
        let new = NewVariable {
            category: VariableCategory::Env,
            key: "A".to_owned(),
            value: "1".into(),
            sensitive: false,
            hcl: false,
        };
        let error = change.create(&VariableOwner::Collection(gpu.id.clone()), new).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { kind: "collection", .. }), "{error}");
        let mut change = {
            // An error ends the transaction.
            drop(change);
            store.change_variables().await.unwrap()
        };
        let error = change.attach(&workspace, &gpu.id).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { kind: "collection", .. }), "{error}");
    })
    .await;
}
