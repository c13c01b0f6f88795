//! Changes that the orchestrator makes to attempts: stored before their Kubernetes Job exists, fenced when
//! they end.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    ClaimData, Prepared, ResultExt as _, Store, StoreError,
    db::{Query, query, query_as},
    now, prepared,
    schedule::has_room,
    stored_messages::reported_message,
};
use crate::{
    model::{Attempt, AttemptPhase, AttemptStatus, Limits, StepStatus},
    token::TokenHash,
};

/// The fields of a new attempt.
#[derive(Debug)]
pub struct NewAttempt {
    /// Id (UUID), chosen by the caller because the Kubernetes Job contains it.
    pub id: String,
    /// The job.
    pub job_id: i64,
    /// The step.
    pub step_id: String,
    /// Counts from 1 within the step.
    pub number: u32,
    /// Name of the Kubernetes Job.
    pub kubernetes_job: String,
    /// Hash of the attempt's token.
    pub token_hash: TokenHash,
    /// Its Kubernetes objects.
    pub prepared: Prepared,
    /// What its executor gets with the claim.
    pub claim: ClaimData,
    /// The Kubernetes Job is not submitted before this time.
    pub not_before: Option<Timestamp>,
    /// Its deadline and what has set it, as users read it.
    pub deadline: String,
    /// It is not stored when that many steps run.
    pub limits: Limits,
}

/// What is known about the log of an attempt.
#[derive(Debug, Clone)]
pub struct LogState {
    /// Its name, which is that of the Kubernetes Job.
    pub name: String,
    /// The attempt has ended.
    pub has_ended: bool,
    /// No executor may append to it any more.
    pub is_closed: bool,
    /// What the executor has reported about it.
    pub delivered: Option<DeliveredLog>,
}

/// The part of a report that is about the log.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveredLog {
    log_bytes: u64,
    #[serde(default)]
    log_complete: Option<bool>,
}

impl DeliveredLog {
    /// Returns whether a log of this length is all that the executor had.
    #[must_use]
    pub fn is_complete_at(self, length: u64) -> bool {
        self.log_complete != Some(false) && length >= self.log_bytes
    }
}

impl Store {
    /// Stores an attempt before its Kubernetes Job is created, and starts its step. Returns `false`, and
    /// stores nothing, if as many steps run as may, or one of another job in the same workspace.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create_attempt(&self, new: NewAttempt) -> Result<bool, StoreError> {
        let NewAttempt {
            id,
            job_id,
            step_id,
            number,
            kubernetes_job,
            token_hash,
            prepared,
            claim,
            not_before,
            deadline,
            limits,
        } = new;
        let prepared = serde_json::to_vec(&prepared).expect("Kubernetes objects are plain data");
        let mut tx = self.write().await?;
        if !has_room(&mut tx, job_id, limits).await? {
            return Ok(false);
        }
        query(
            "INSERT INTO attempts (id, job_id, step_id, number, kubernetes_job, token_hash, job_object_sealed,
                                   claim_sealed, phase, retry_at, status, created_at, deadline)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(&id)
        .bind(job_id)
        .bind(&step_id)
        .bind(number)
        .bind(&kubernetes_job)
        .bind(token_hash.0)
        .bind(self.secrets.seal(&prepared::job_context(&id), &prepared))
        .bind(self.seal_claim(&id, &claim))
        .bind(AttemptPhase::Prepared.as_str())
        .bind(not_before.map(|time| time.to_string()))
        .bind(AttemptStatus::Pending.as_str())
        .bind(now())
        .bind(deadline)
        .execute(&mut *tx)
        .await
        .context("store an attempt")?;
        query("UPDATE steps SET status = $1, started_at = coalesce(started_at, $2) WHERE id = $3")
            .bind(StepStatus::Running.as_str())
            .bind(now())
            .bind(step_id)
            .execute(&mut *tx)
            .await
            .context("start a step")?;
        tx.commit().await.context("store an attempt")?;
        Ok(true)
    }

    /// Records that the backend accepted the Kubernetes Job.
    ///
    /// # Errors
    /// The database failed.
    pub async fn attempt_submitted(&self, attempt_id: &str) -> Result<(), StoreError> {
        self.change(
            "record a submit",
            query(
                "UPDATE attempts SET phase = $1, retry_at = NULL, last_error = NULL, refused_since = NULL
                 WHERE id = $2 AND phase = $3",
            )
            .bind(AttemptPhase::Submitted.as_str())
            .bind(attempt_id.to_owned())
            .bind(AttemptPhase::Prepared.as_str()),
        )
        .await
    }

    /// Records that a call of the backend failed and why, whether the cluster refused it, and when to retry.
    ///
    /// # Errors
    /// The database failed.
    pub async fn backend_failed(
        &self,
        attempt_id: &str,
        error: &str,
        refused: bool,
        retry_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(
            "record a failed call",
            query(
                "UPDATE attempts SET submit_failures = submit_failures + 1, retry_at = $1, last_error = $2,
                        refused_since = CASE WHEN $3 THEN coalesce(refused_since, $4) END
                 WHERE id = $5",
            )
            .bind(retry_at.to_string())
            .bind(error.to_owned())
            .bind(refused)
            .bind(now())
            .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Records that the backend rejected the Kubernetes Job for good. Does nothing if an executor has claimed
    /// the attempt: an earlier submit was carried out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn attempt_refused(&self, attempt_id: &str, refusal: &str) -> Result<(), StoreError> {
        self.change(
            "record a refusal",
            query("UPDATE attempts SET refusal = $1 WHERE id = $2 AND claimed_at IS NULL")
                .bind(refusal.to_owned())
                .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Fences an unclaimed attempt, so that no executor can claim it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn fence_unclaimed(&self, attempt_id: &str) -> Result<(), StoreError> {
        self.change(
            "fence an attempt",
            query("UPDATE attempts SET live = FALSE WHERE id = $1 AND claimed_at IS NULL")
                .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Records that the backend accepted the cancellation of the Kubernetes Job.
    ///
    /// # Errors
    /// The database failed.
    pub async fn cancel_sent(&self, attempt_id: &str) -> Result<(), StoreError> {
        self.change(
            "record a cancellation",
            query("UPDATE attempts SET cancel_sent = TRUE, retry_at = NULL, last_error = NULL WHERE id = $1")
                .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Closes an attempt, unless it was claimed or reported after `seen` was read. With `fence` its executor
    /// cannot write any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_attempt(
        &self,
        seen: &Attempt,
        status: AttemptStatus,
        message: Option<&str>,
        fence: bool,
    ) -> Result<(), StoreError> {
        let reported = reported_message(seen.result.as_ref(), seen.refusal.as_deref());
        let message = message.filter(|message| reported != Some(message));
        let mut tx = self.write().await?;
        let done = query(
            "UPDATE attempts SET phase = $1, live = live AND NOT $2, status = $3, message = $4, ended_at = $5
             WHERE id = $6 AND (claimed_at IS NOT NULL) = $7 AND (result IS NOT NULL) = $8",
        )
        .bind(AttemptPhase::Ended.as_str())
        .bind(fence)
        .bind(status.as_str())
        .bind(message)
        .bind(now())
        .bind(&seen.id)
        .bind(seen.claimed_at.is_some())
        .bind(seen.result.is_some())
        .execute(&mut *tx)
        .await
        .context("end an attempt")?;
        // A run that reported, never started or only planned does not need its lock any more: it would be in
        // the way of the next attempt. That of a run with an unknown outcome is evidence.
        let is_evidence = !fence || status == AttemptStatus::Unknown;
        if done.rows_affected() == 1 && !is_evidence {
            query("DELETE FROM state_locks WHERE attempt_id = $1")
                .bind(&seen.id)
                .execute(&mut *tx)
                .await
                .context("release a state lock")?;
        }
        tx.commit().await.context("end an attempt")
    }

    /// Reads what is known about the log of an attempt.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such attempt.
    pub async fn attempt_log_state(&self, attempt_id: &str) -> Result<LogState, StoreError> {
        let row: Option<(String, bool, bool, Option<String>)> = query_as(
            "SELECT kubernetes_job, phase = $1, NOT live OR result IS NOT NULL, result FROM attempts
             WHERE id = $2",
        )
        .bind(AttemptPhase::Ended.as_str())
        .bind(attempt_id)
        .fetch_optional(&self.pool)
        .await
        .context("look up an attempt")?;
        let (name, has_ended, is_closed, result) = row.ok_or_else(|| StoreError::no_attempt(attempt_id))?;
        // Reports are stored as they were read, so this is one.
        let delivered = result.and_then(|text| serde_json::from_str(&text).ok());
        Ok(LogState { name, has_ended, is_closed, delivered })
    }

    pub(super) async fn change(&self, action: &'static str, query: Query) -> Result<(), StoreError> {
        query.execute(&self.pool).await.context(action)?;
        Ok(())
    }
}
