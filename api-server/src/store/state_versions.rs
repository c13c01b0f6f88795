//! The versions of Terraform states. Their bytes live in [`crate::blobs`].
//!
//! Every version is kept. A new one must follow the current one: the same lineage, a higher serial. The
//! writer of the current version may replace it under the same serial,
//! and an administrator may force any state.

use super::{
    LockOutcome, ResultExt as _, StateWriter, Store, StoreError,
    db::{Transaction, query, query_as},
    now,
    states::{may_write, read_lock},
};
use crate::{blobs::StoredBlob, state_document::StateDocument};

/// A list of versions has at most this many.
const MAX_LISTED: i64 = 100;

/// A stored version of a state.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct StateVersion {
    pub id: i64,
    /// Terraform's serial number.
    pub serial: i64,
    /// Terraform's lineage.
    pub lineage: String,
    /// Name of the blob with its bytes.
    pub blob: String,
    /// SHA-256 of its bytes; `None` for a version of an earlier release, like the size.
    pub digest: Option<String>,
    pub size: Option<i64>,
    /// Who wrote it: the executor of an attempt, or the user whose token has this name.
    pub attempt_id: Option<String>,
    pub written_by: Option<String>,
    pub created_at: String,
}
from_row!(StateVersion { id, serial, lineage, blob, digest, size, attempt_id, written_by, created_at });

impl StateVersion {
    /// Returns why a state does not follow this version; `None` if it does.
    fn conflict(&self, new: &StateDocument, writer: &StateWriter) -> Option<String> {
        let advice = "an administrator may store it with `?force=true`";
        if new.lineage != self.lineage {
            return Some(format!(
                "this state has lineage {:?}, the current one has {:?}: it belongs to something else; \
                 {advice}",
                new.lineage, self.lineage
            ));
        }
        let is_of_writer = match writer {
            StateWriter::Attempt(id) => self.attempt_id.as_ref() == Some(id),
            StateWriter::User(name) => self.written_by.as_ref() == Some(name),
        };
        if new.serial < self.serial {
            return Some(format!(
                "this state has serial {}, the current one has {}, which is higher; {advice}",
                new.serial, self.serial
            ));
        }
        (new.serial == self.serial && !is_of_writer).then(|| {
            format!(
                "this state has serial {0}, the current one has {0} too, with other content of another \
                 writer; {advice}",
                new.serial
            )
        })
    }
}

impl Store {
    /// Reads the latest state of a workspace.
    ///
    /// # Errors
    /// The database failed.
    pub async fn latest_state(&self, workspace_id: &str) -> Result<Option<StateVersion>, StoreError> {
        let mut tx = self.pool.begin().await.context("look up a state")?;
        latest(&mut tx, workspace_id).await
    }

    /// Reads the latest state for an attempt, and records which version the attempt has read: none counts as
    /// serial 0 without lineage.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read_state(
        &self,
        workspace_id: &str,
        attempt_id: &str,
    ) -> Result<Option<StateVersion>, StoreError> {
        let mut tx = self.write().await?;
        let version = latest(&mut tx, workspace_id).await?;
        let (id, serial, lineage) = version
            .as_ref()
            .map_or((0, 0, ""), |version| (version.id, version.serial, version.lineage.as_str()));
        // A plan that is stored was made from what was read before.
        query(
            "UPDATE attempts SET read_state = $1, read_serial = $2, read_lineage = $3
             WHERE id = $4 AND live AND NOT has_plan",
        )
        .bind(id)
        .bind(serial)
        .bind(lineage)
        .bind(attempt_id)
        .execute(&mut *tx)
        .await
        .context("record which state was read")?;
        tx.commit().await.context("record which state was read")?;
        Ok(version)
    }

    /// Stores a new version of a state. `lock_id` is the lock that the writer claims to hold. With `force` it
    /// need not follow the current version.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put_state(
        &self,
        workspace_id: &str,
        (document, blob): (&StateDocument, &StoredBlob),
        writer: &StateWriter,
        lock_id: Option<&str>,
        force: bool,
    ) -> Result<LockOutcome, StoreError> {
        let mut tx = self.write().await?;
        if !may_write(&mut tx, writer).await? {
            return Ok(LockOutcome::Fenced);
        }
        if let Some(lock) = read_lock(&mut tx, workspace_id).await?
            && !lock.is_held_by(writer, lock_id)
        {
            return Ok(LockOutcome::HeldBy(lock));
        }
        if let Some(current) = latest(&mut tx, workspace_id).await? {
            if current.digest.as_ref() == Some(&blob.digest) {
                return Ok(LockOutcome::Unchanged);
            }
            if !force && let Some(reason) = current.conflict(document, writer) {
                return Ok(LockOutcome::Conflict(reason));
            }
        }
        query(
            "INSERT INTO states (workspace_id, serial, lineage, attempt_id, written_by, blob, digest, size,
                                 created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(workspace_id)
        .bind(document.serial)
        .bind(&document.lineage)
        .bind(writer.attempt())
        .bind(writer.user())
        .bind(&blob.name)
        .bind(&blob.digest)
        .bind(i64::try_from(blob.size).unwrap_or(i64::MAX))
        .bind(now())
        .execute(&mut *tx)
        .await
        .context("store a state")?;
        tx.commit().await.context("store a state")?;
        Ok(LockOutcome::Done)
    }

    /// Lists versions of a workspace's state, newest first, 100 at most; `before` continues a list with
    /// versions that are older than the one with this id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn state_versions(
        &self,
        workspace_id: &str,
        before: Option<i64>,
    ) -> Result<Vec<StateVersion>, StoreError> {
        query_as(
            "SELECT id, serial, lineage, blob, digest, size, attempt_id, written_by, created_at FROM states
             WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(workspace_id)
        .bind(before.unwrap_or(i64::MAX))
        .bind(MAX_LISTED)
        .fetch_all(&self.pool)
        .await
        .context("list the states of a workspace")
    }

    /// Reads a version of a workspace's state.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the workspace has no such version.
    pub async fn state_version(&self, workspace_id: &str, id: i64) -> Result<StateVersion, StoreError> {
        query_as(
            "SELECT id, serial, lineage, blob, digest, size, attempt_id, written_by, created_at FROM states
             WHERE workspace_id = $1 AND id = $2",
        )
        .bind(workspace_id)
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .context("read a version of a state")?
        .ok_or_else(|| StoreError::NotFound { kind: "state", id: id.to_string() })
    }

    /// Returns the highest serial that the workspace's state has ever had.
    ///
    /// # Errors
    /// The database failed.
    pub async fn highest_serial(&self, workspace_id: &str) -> Result<i64, StoreError> {
        let highest: (Option<i64>,) = query_as("SELECT max(serial) FROM states WHERE workspace_id = $1")
            .bind(workspace_id)
            .fetch_one(&self.pool)
            .await
            .context("read the serial of a state")?;
        Ok(highest.0.unwrap_or_default())
    }
}

async fn latest(tx: &mut Transaction, workspace_id: &str) -> Result<Option<StateVersion>, StoreError> {
    query_as(
        "SELECT id, serial, lineage, blob, digest, size, attempt_id, written_by, created_at FROM states
         WHERE workspace_id = $1 ORDER BY id DESC LIMIT 1",
    )
    .bind(workspace_id)
    .fetch_optional(&mut **tx)
    .await
    .context("look up a state")
}
