//! What the actor stores for each kind of error of the backend.

use std::{collections::BTreeSet, path::Path, time::Duration};

use config_core::{EnvSnapshot, EphemeralSettings, Policy};
use job_spec::StepType;
use k8s_backend::{Action as BackendAction, BackendError, ErrorKind, Submitted, testing::MockJobBackend};

use super::*;
use crate::{
    blobs::Blobs,
    encryption::EncryptionKey,
    logs::Logs,
    model::{AttemptPhase, IacType, NewStep, StepSettings, VariableCategory, VariableOwner},
    services::rules,
    store::{NewVariable, NewWorkspace, Store},
};

const EVERY_KIND: [ErrorKind; 7] = [
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::Invalid,
    ErrorKind::Forbidden,
    ErrorKind::Unavailable,
    ErrorKind::Refused,
    ErrorKind::Internal,
];

/// One job with one attempt that is to be submitted.
struct Fixture {
    actor: Actor,
    job_id: i64,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new(backend: MockJobBackend) -> Self {
        Self::with_variable(backend, "REGION", "eu-west-1").await
    }

    /// The workspace has this sensitive variable.
    async fn with_variable(backend: MockJobBackend, key: &str, value: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let services = services(folder.path(), backend).await;
        let store = &services.store;
        let organization = store.create_organization("acme").await.unwrap();
        let workspace = NewWorkspace {
            organization_id: organization.id.clone(),
            name: "net".to_owned(),
            source: "https://git.example.com/net.git".into(),
            branch: "main".to_owned(),
            folder: "/".to_owned(),
            iac_type: IacType::Terraform,
            terraform_version: "1.9.0".to_owned(),
        };
        let workspace = store.create_workspace(workspace).await.unwrap();
        let variable = NewVariable {
            category: VariableCategory::Env,
            key: key.to_owned(),
            value: value.into(),
            sensitive: true,
            hcl: false,
        };
        let mut change = store.change_variables().await.unwrap();
        change.create(&VariableOwner::Workspace(workspace.id.clone()), variable).await.unwrap();
        change.commit().await.unwrap();
        let template = store.create_template(&organization.id, "plan", "flow: []").await.unwrap();
        let step = NewStep {
            number: 100,
            name: "Plan".to_owned(),
            step_type: StepType::TerraformPlan,
            settings: StepSettings::default(),
        };
        let job_id = store.create_job(&workspace, &template.id, &[step]).await.unwrap().id;
        let store = services.store.clone();
        let fixture = Self { actor: Actor { services, store }, job_id, _folder: folder };
        let step = fixture.job().await.steps[0].id.clone();
        fixture.act(Action::CreateAttempt { step, number: 1, not_before: None }).await;
        fixture
    }

    async fn job(&self) -> Job {
        self.actor.services.store.job(self.job_id).await.unwrap()
    }

    async fn act(&self, action: Action) {
        let job = self.job().await;
        self.actor.act(&job, action).await.unwrap();
    }

    async fn attempt(&self) -> Attempt {
        self.job().await.steps.remove(0).attempts.remove(0)
    }

    async fn submit(&self) -> Attempt {
        let attempt = self.attempt().await.id;
        self.act(Action::Submit { attempt }).await;
        self.attempt().await
    }

    async fn cancel(&self) -> Attempt {
        let attempt = self.attempt().await.id;
        self.act(Action::CancelKubernetesJob { attempt, keep: None }).await;
        self.attempt().await
    }
}

async fn services(folder: &Path, backend: MockJobBackend) -> Arc<Services> {
    let key = EncryptionKey::new([7; 32]);
    let settings = EphemeralSettings::load_with(&EnvSnapshot::default(), None).unwrap();
    let api_url = "https://api.example.com".to_owned();
    Arc::new(Services {
        rules: rules(&settings, &api_url, None, Duration::from_mins(10)),
        store: Store::open(&folder.join("store.sqlite"), key.clone()).await.unwrap(),
        blobs: Blobs::new(folder, key),
        logs: Logs::new(folder),
        backend: Arc::new(backend),
        settings,
        policy: Policy::default(),
        api_url,
        executor_temp: None,
        local_sources: false,
    })
}

fn error(kind: ErrorKind, action: BackendAction) -> BackendError {
    BackendError::new(kind, action, "job-1-100-1", format!("for a test of {kind:?}"))
}

#[tokio::test]
async fn submit_passes_the_stored_job_and_continues() {
    let mut backend = MockJobBackend::new();
    let submitted = |submission: &k8s_backend::Submission| submission.name() == "job-1-100-1";
    backend.expect_submit().withf(submitted).times(1).returning(|_| Ok(Submitted::AlreadyThere));
    let attempt = Fixture::new(backend).await.submit().await;
    assert_eq!((attempt.phase, attempt.refusal), (AttemptPhase::Submitted, None));
}

#[tokio::test]
async fn submit_that_never_succeeds_is_refused_with_its_error() {
    let retryable = [ErrorKind::Unavailable, ErrorKind::Refused, ErrorKind::Internal];
    for kind in EVERY_KIND.into_iter().filter(|kind| !retryable.contains(kind)) {
        let mut backend = MockJobBackend::new();
        backend.expect_submit().returning(move |_| Err(error(kind, BackendAction::Submit)));
        let fixture = Fixture::new(backend).await;
        let attempt = fixture.submit().await;
        let expected = format!("could not submit Kubernetes Job \"job-1-100-1\": for a test of {kind:?}");
        assert_eq!(attempt.refusal, Some(expected));
        assert_eq!((attempt.phase, attempt.retry_at), (AttemptPhase::Prepared, None));
        assert_eq!(fixture.job().await.message, None, "the attempt has the message");
    }
}

#[tokio::test]
async fn submit_that_may_succeed_later_is_retried_after_a_growing_delay() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Refused, ErrorKind::Internal] {
        let mut backend = MockJobBackend::new();
        backend.expect_submit().times(3).returning(move |_| Err(error(kind, BackendAction::Submit)));
        backend.expect_submit().times(1).returning(|_| Ok(Submitted::Created));
        let fixture = Fixture::new(backend).await;
        for (failures, milliseconds) in [(1, 500), (2, 1000), (3, 2000)] {
            let before = Timestamp::now();
            let attempt = fixture.submit().await;
            assert_eq!((attempt.submit_failures, &attempt.refusal), (failures, &None));
            let delay = attempt.retry_at.unwrap().duration_since(before).as_millis();
            assert!((milliseconds..milliseconds + 60_000).contains(&delay), "{delay} ms after {failures}");
            let message = fixture.job().await.message.unwrap();
            assert!(message.starts_with("waiting, will be retried: could not submit"), "{message}");
        }
        let attempt = fixture.submit().await;
        assert_eq!((attempt.phase, attempt.retry_at), (AttemptPhase::Submitted, None));
        assert_eq!(fixture.job().await.message, None);
    }
}

#[tokio::test]
async fn error_that_quotes_a_sensitive_value_is_stored_without_it() {
    for kind in EVERY_KIND {
        let mut backend = MockJobBackend::new();
        backend.expect_submit().returning(move |submission| {
            let job = serde_json::to_string(&submission.job).unwrap();
            let message = format!("Invalid value: {:?}; refused: {job}", "hunter2-\"quoted\"");
            Err(BackendError::new(kind, BackendAction::Submit, submission.name(), message))
        });
        let fixture = Fixture::with_variable(backend, "TOKEN", "hunter2-\"quoted\"").await;
        let prepared = fixture.actor.store.prepared(&fixture.attempt().await.id).await.unwrap();
        let attempt = fixture.submit().await;
        let text = attempt.refusal.or(fixture.job().await.message).unwrap();
        assert!(text.contains("Invalid value: \"(sensitive)\"; refused: "), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        for credential in prepared.credentials() {
            assert!(!text.contains(&credential), "{credential}: {text}");
        }
    }
}

#[tokio::test]
async fn cancel_is_retried_after_every_error() {
    for kind in EVERY_KIND {
        let mut backend = MockJobBackend::new();
        backend.expect_cancel().times(1).returning(move |_| Err(error(kind, BackendAction::Cancel)));
        backend.expect_cancel().times(1).returning(|_| Ok(()));
        let fixture = Fixture::new(backend).await;
        let attempt = fixture.cancel().await;
        assert!(!attempt.cancel_sent && attempt.retry_at.is_some(), "{kind:?}");
        assert!(fixture.job().await.message.unwrap().contains("could not cancel"), "{kind:?}");
        assert!(fixture.cancel().await.cancel_sent, "{kind:?}");
    }
}

#[test]
fn every_kind_of_error_is_tested_once() {
    let names: BTreeSet<_> = EVERY_KIND.iter().map(|kind| format!("{kind:?}")).collect();
    assert_eq!(names.len(), EVERY_KIND.len());
}
