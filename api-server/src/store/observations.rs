//! Records what the backend reports about the Kubernetes Job of an attempt.

use jiff::Timestamp;
use k8s_backend::{Cause, Waiting};

use super::{
    ResultExt as _, Store, StoreError,
    cause_record::{CauseRecord, WaitingRecord},
    db::{query, query_as},
    rows::waiting_of,
};
use crate::model::WaitingSince;

impl Store {
    /// Records why the Kubernetes Job ended, as the backend reported. The first cause is kept.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_cause(&self, attempt_id: &str, cause: &Cause) -> Result<(), StoreError> {
        let (kind, detail) = CauseRecord::from(cause).to_columns();
        self.change(
            "record the end of a Kubernetes Job",
            query(
                "UPDATE attempts SET cause_kind = $1, cause_detail = $2 WHERE id = $3 AND cause_kind IS NULL",
            )
            .bind(kind)
            .bind(detail)
            .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Records what the Kubernetes Job waits for, or that it no longer waits. The time of the first report is
    /// kept while the kind of waiting is the same.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_waiting(
        &self,
        attempt_id: &str,
        waiting: Option<&Waiting>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let before: Option<(Option<String>, Option<String>)> =
            query_as("SELECT waiting, waiting_since FROM attempts WHERE id = $1")
                .bind(attempt_id)
                .fetch_optional(&mut *tx)
                .await
                .context("read what an attempt waits for")?;
        let (text, since) = before.ok_or_else(|| StoreError::no_attempt(attempt_id))?;
        let before = waiting_of(text.as_deref(), since.as_deref())?;
        let next = waiting.map(|waiting| WaitingSince::after(before.as_ref(), waiting, now));
        query("UPDATE attempts SET waiting = $1, waiting_since = $2 WHERE id = $3")
            .bind(next.as_ref().map(|next| WaitingRecord::from(&next.waiting).to_column()))
            .bind(next.as_ref().map(|next| next.since.to_string()))
            .bind(attempt_id)
            .execute(&mut *tx)
            .await
            .context("record what an attempt waits for")?;
        tx.commit().await.context("record what an attempt waits for")
    }

    /// Records that the container was seen running, and that the Kubernetes Job no longer waits.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_running(&self, attempt_id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.change(
            "record the start of a container",
            query(
                "UPDATE attempts SET waiting = NULL, waiting_since = NULL,
                        running_at = coalesce(running_at, $1)
                 WHERE id = $2",
            )
            .bind(now.to_string())
            .bind(attempt_id.to_owned()),
        )
        .await
    }

    /// Gives up an unclaimed attempt with this cause, so that no executor can claim it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn give_up(&self, attempt_id: &str, cause: &Cause) -> Result<(), StoreError> {
        let (kind, detail) = CauseRecord::from(cause).to_columns();
        self.change(
            "give up an attempt",
            query(
                // What is right of a SET reads the old row: a cause that is there stays as it is.
                "UPDATE attempts SET live = FALSE, cause_kind = coalesce(cause_kind, $1),
                        cause_detail = CASE WHEN cause_kind IS NULL THEN $2 ELSE cause_detail END
                 WHERE id = $3 AND claimed_at IS NULL",
            )
            .bind(kind)
            .bind(detail)
            .bind(attempt_id.to_owned()),
        )
        .await
    }
}
