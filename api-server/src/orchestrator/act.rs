//! Carrying out one action: in the store, or at the backend and then in the store.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use job_spec::AttemptAccess;
use k8s_backend::{BackendError, ErrorKind};
use secrecy::ExposeSecret as _;

use super::Action;
use crate::{
    attempt_building::{StepInput, WorkspaceInput, plan_attempt},
    model::{Attempt, Job, Step, StepStatus},
    services::{Services, chain},
    store::{ClaimData, NewAttempt, Prepared, StoreError},
    token::{TokenHash, new_token},
};

/// A backend that is away is asked again after this time, doubled at each failure up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Carries out actions; apart from the driver, so that the driver's watch is not borrowed meanwhile.
pub(super) struct Actor {
    pub(super) services: Arc<Services>,
}

impl Actor {
    /// Carries out an action of [`decide`](super::decide) about a job.
    pub(super) async fn act(&self, job: &Job, action: Action) -> Result<(), StoreError> {
        let store = &self.services.store;
        match action {
            Action::StartJob => store.start_job(job).await,
            Action::AskApproval { step } => store.ask_approval(job.id, &step).await,
            Action::CreateAttempt { step, number, not_before } => {
                Box::pin(self.create_attempt(job, step_of(job, &step)?, number, not_before)).await
            }
            Action::Submit { attempt } => self.submit(job, attempt_of(job, &attempt)?).await,
            Action::Fence { attempt } => store.fence_unclaimed(&attempt).await,
            Action::CancelKubernetesJob { attempt } => self.cancel(job, attempt_of(job, &attempt)?).await,
            Action::GiveUp { attempt, cause } => {
                tracing::warn!(job = job.id, attempt, %cause, "given up");
                store.give_up(&attempt, &cause).await
            }
            Action::EndAttempt { attempt, status, message, fence } => {
                store.end_attempt(attempt_of(job, &attempt)?, status, message.as_deref(), fence).await?;
                self.services.logs.notify();
                Ok(())
            }
            Action::EndStep { step, status, message } => {
                store.end_step(step_of(job, &step)?, status, message.as_deref()).await
            }
            Action::EndJob { status, message } => {
                tracing::info!(job = job.id, %status, "job ended");
                store.end_job(job, status, message.as_deref()).await
            }
        }
    }

    /// Renders the Kubernetes Job of an attempt and stores it, before anybody hears of it.
    async fn create_attempt(
        &self,
        job: &Job,
        step: &Step,
        number: u32,
        not_before: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let store = &self.services.store;
        let id = uuid::Uuid::now_v7().to_string();
        let token = new_token("attempt");
        let workspace = store.workspace(&job.workspace_id).await?;
        let input = WorkspaceInput {
            organization_name: store.organization(&job.organization_id).await?.name,
            variables: store.variable_layers(&workspace).await?,
            workspace,
        };
        let step_input = StepInput {
            job_id: job.id,
            step_id: step.id.clone(),
            number: step.number,
            step_type: step.step_type,
            attempt: number,
            commit_id: fixed_commit(job),
        };
        let access = AttemptAccess::new(self.services.attempt_url(&id), token.expose_secret());
        // The job was checked when it was created; the workspace's variables may have changed since.
        let Services { settings, policy, .. } = &*self.services;
        let plan = match plan_attempt(settings, policy, &input, &step_input, access) {
            Ok(plan) => plan,
            Err(problems) => {
                return store.end_step(step, StepStatus::Failed, Some(&problems.to_string())).await;
            }
        };
        let prepared = Prepared::of(&plan);
        let claim = ClaimData::new(&plan, input.variables.sensitive_keys());
        store
            .create_attempt(NewAttempt {
                id,
                job_id: job.id,
                step_id: step.id.clone(),
                number,
                kubernetes_job: prepared.name().to_owned(),
                token_hash: TokenHash::of(token.expose_secret()),
                prepared,
                claim,
                not_before,
            })
            .await
    }

    /// Hands the stored Kubernetes Job to the backend.
    async fn submit(&self, job: &Job, attempt: &Attempt) -> Result<(), StoreError> {
        let store = &self.services.store;
        let submission = store.prepared(&attempt.id).await?.into_submission();
        match self.services.backend.submit(&submission).await {
            Ok(submitted) => {
                tracing::info!(
                    job = job.id,
                    kubernetes_job = attempt.kubernetes_job,
                    ?submitted,
                    "submitted"
                );
                store.attempt_submitted(&attempt.id).await?;
                store.set_job_message(job.id, None).await
            }
            Err(error) if may_work_later(&error) => self.retry_later(job, attempt, &error).await,
            Err(error) => store.attempt_refused(&attempt.id, &chain(&error)).await,
        }
    }

    async fn cancel(&self, job: &Job, attempt: &Attempt) -> Result<(), StoreError> {
        match self.services.backend.cancel(&attempt.kubernetes_job).await {
            Ok(()) => self.services.store.cancel_sent(&attempt.id).await,
            Err(error) => self.retry_later(job, attempt, &error).await,
        }
    }

    async fn retry_later(
        &self,
        job: &Job,
        attempt: &Attempt,
        error: &BackendError,
    ) -> Result<(), StoreError> {
        let wait = backoff(attempt.submit_failures);
        let text = chain(error);
        tracing::warn!(
            job = job.id,
            kubernetes_job = attempt.kubernetes_job,
            error = text,
            ?wait,
            "trying again"
        );
        let store = &self.services.store;
        store.backend_away(&attempt.id, Timestamp::now() + wait).await?;
        store.set_job_message(job.id, Some(&format!("waiting, will be tried again: {text}"))).await
    }
}

fn may_work_later(error: &BackendError) -> bool {
    matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Internal)
}

fn backoff(failures: u32) -> SignedDuration {
    let wait = FIRST_RETRY.saturating_mul(1 << failures.min(10)).min(LONGEST_RETRY);
    SignedDuration::try_from(wait).unwrap_or_default()
}

/// The commit that an earlier step of the job has checked out: later steps use the same.
fn fixed_commit(job: &Job) -> Option<String> {
    job.steps
        .iter()
        .flat_map(|step| &step.attempts)
        .filter_map(|attempt| attempt.result.as_ref()?.commit_id.clone())
        .next_back()
}

fn step_of<'a>(job: &'a Job, id: &str) -> Result<&'a Step, StoreError> {
    job.steps
        .iter()
        .find(|step| step.id == id)
        .ok_or_else(|| StoreError::NotFound { kind: "step", id: id.to_owned() })
}

fn attempt_of<'a>(job: &'a Job, id: &str) -> Result<&'a Attempt, StoreError> {
    job.steps
        .iter()
        .flat_map(|step| &step.attempts)
        .find(|attempt| attempt.id == id)
        .ok_or_else(|| StoreError::NotFound { kind: "attempt", id: id.to_owned() })
}
