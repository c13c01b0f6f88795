//! Carries out one action: in the store, or at the backend and then in the store.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use job_spec::{AttemptAccess, JobPlan};
use k8s_backend::{BackendError, ErrorKind, Submission, Submitted};
use secrecy::ExposeSecret as _;

use super::{Action, leftovers, retry};
use crate::{
    attempt_building::{StepInput, WorkspaceInput, plan_attempt},
    messages,
    model::{Attempt, Job, Step, StepStatus},
    redaction::Redactor,
    services::{Services, chain},
    store::{ClaimData, NewAttempt, Prepared, Store, StoreError},
    token::{TokenHash, new_token},
};

/// A submit that takes longer says so.
const SUBMIT_NOTICE: Duration = Duration::from_millis(800);

/// Carries out actions. Not part of the driver, whose watch would be borrowed meanwhile.
pub(super) struct Actor {
    pub(super) services: Arc<Services>,
    /// The store of the driver: it writes only while this replica decides about the job.
    pub(super) store: Store,
}

impl Actor {
    /// Carries out an action of [`decide`](super::decide) about a job.
    pub(super) async fn act(&self, job: &Job, action: Action) -> Result<(), StoreError> {
        let store = &self.store;
        match action {
            Action::StartJob => store.start_job(job).await,
            Action::AskApproval { step } => store.ask_approval(job.id, &step).await,
            Action::CreateAttempt { step, number, not_before } => {
                Box::pin(self.create_attempt(job, step_of(job, &step)?, number, not_before)).await
            }
            Action::Submit { attempt } => self.submit(job, attempt_of(job, &attempt)?).await,
            Action::Fence { attempt } => store.fence_unclaimed(&attempt).await,
            Action::SetMessage { message } => store.set_job_message(job.id, message.as_deref()).await,
            Action::CancelKubernetesJob { attempt, keep } => {
                self.cancel(job, attempt_of(job, &attempt)?, keep).await
            }
            Action::GiveUp { attempt, cause } => {
                tracing::warn!(job = job.id, attempt, %cause, "start timeout expired");
                store.give_up(&attempt, &cause).await
            }
            Action::EndAttempt { attempt, status, message, fence } => {
                let attempt = attempt_of(job, &attempt)?;
                if attempt.claimed_at.is_some() && attempt.result.is_none() {
                    leftovers::collect(&self.services, job, attempt).await;
                }
                store.end_attempt(attempt, status, message.as_deref(), fence).await?;
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

    /// Renders the Kubernetes Job of an attempt and stores it before it is submitted.
    async fn create_attempt(
        &self,
        job: &Job,
        step: &Step,
        number: u32,
        not_before: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let store = &self.store;
        let id = uuid::Uuid::now_v7().to_string();
        let token = new_token("attempt");
        let workspace = store.workspace(&job.workspace_id).await?;
        let input = WorkspaceInput {
            organization_name: store.organization(&job.organization_id).await?.name,
            variables: store.variable_layers(&workspace).await?,
            workspace,
        };
        let input = match input.for_step(&step.settings) {
            Ok(input) => input,
            Err(problems) => {
                return store.end_step(step, StepStatus::Failed, Some(&problems.to_string())).await;
            }
        };
        let step_input = StepInput {
            job_id: job.id,
            step_id: step.id.clone(),
            number: step.number,
            step_type: step.step_type,
            attempt: number,
            commit_id: self.commit_of(job).await?,
            settings: step.settings.clone(),
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
        let deadline = deadline_text(&plan);
        let claim = ClaimData::new(&plan, &input.variables);
        let prepared = Prepared::of(plan);
        let stored = store
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
                deadline,
                limits: self.services.limits(),
            })
            .await?;
        if !stored {
            // Another job took the place since this one has looked.
            return Err(StoreError::Conflict(format!("there is no room for a step of job {}", job.id)));
        }
        Ok(())
    }

    /// Returns the commit that the job has fixed; a job that rechecks another one uses the commit of that.
    async fn commit_of(&self, job: &Job) -> Result<Option<String>, StoreError> {
        match (fixed_commit(job), job.recheck_of) {
            (None, Some(other)) => Ok(fixed_commit(&self.services.store.job(other).await?)),
            (commit, _) => Ok(commit),
        }
    }

    /// Submits the stored Kubernetes Job to the backend.
    async fn submit(&self, job: &Job, attempt: &Attempt) -> Result<(), StoreError> {
        let store = &self.store;
        let submission = store.prepared(&attempt.id).await?.into_submission();
        match self.submit_with_notice(job, &submission).await {
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
            Err(error) if is_retryable(&error) => self.retry_later(job, attempt, &error).await,
            Err(error) => {
                let text = Redactor::of_attempt(store, &attempt.id).await?.backend_error(&error);
                store.attempt_refused(&attempt.id, &text).await
            }
        }
    }

    /// Submits, and says so when the backend takes its time: an admission webhook may keep a request waiting.
    async fn submit_with_notice(
        &self,
        job: &Job,
        submission: &Submission,
    ) -> Result<Submitted, BackendError> {
        let submit = self.services.backend.submit(submission);
        tokio::pin!(submit);
        if let Ok(submitted) = tokio::time::timeout(SUBMIT_NOTICE, &mut submit).await {
            return submitted;
        }
        let stored = self.store.set_job_message(job.id, Some(messages::SUBMIT_UNANSWERED)).await;
        if let Err(error) = stored {
            tracing::warn!(job = job.id, error = chain(&error), "could not store a message");
        }
        submit.await
    }

    async fn cancel(&self, job: &Job, attempt: &Attempt, keep: Option<Duration>) -> Result<(), StoreError> {
        let backend = &self.services.backend;
        let ended = match keep {
            None => backend.cancel(&attempt.kubernetes_job).await,
            Some(keep) => backend.end_after(&attempt.kubernetes_job, keep).await,
        };
        match ended {
            Ok(()) => self.store.cancel_sent(&attempt.id).await,
            Err(error) => self.retry_later(job, attempt, &error).await,
        }
    }

    async fn retry_later(
        &self,
        job: &Job,
        attempt: &Attempt,
        error: &BackendError,
    ) -> Result<(), StoreError> {
        let store = &self.store;
        let delay = retry::delay(attempt.submit_failures);
        let text = Redactor::of_attempt(store, &attempt.id).await?.backend_error(error);
        tracing::warn!(
            job = job.id,
            kubernetes_job = attempt.kubernetes_job,
            error = text,
            ?delay,
            "retrying"
        );
        let refused = error.kind == ErrorKind::Refused;
        store.backend_failed(&attempt.id, &text, refused, Timestamp::now() + delay).await?;
        store.set_job_message(job.id, Some(&messages::retrying(&text))).await
    }
}

/// Returns whether a failed submit is repeated. A fault of the backend itself may pass with its next version.
fn is_retryable(error: &BackendError) -> bool {
    matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Refused | ErrorKind::Internal)
}

/// Returns the deadline of a plan and what has set it, as users read it.
fn deadline_text(plan: &JobPlan) -> String {
    let (deadline, origin) = plan.deadline();
    format!("{deadline} ({origin})")
}

/// Returns the commit that an earlier step of the job checked out: later steps use the same.
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

#[cfg(test)]
mod tests;
