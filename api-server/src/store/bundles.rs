//! What plan steps leave behind: bundles, and their parts by the digest of their content.
//!
//! A part belongs to a workspace. It is kept while a job that has not ended uses it, and for a while after
//! its last use, so that the next plan of the same source sends nothing.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use job_spec::attempt_api::{Bundle, Part};

use super::{
    ResultExt as _, Store, StoreError,
    db::{query, query_as, query_scalar},
    now,
};
use crate::blobs::StoredBlob;

/// How long a part is kept after its last use.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

struct PartRow {
    digest: String,
    size: i64,
}
from_row!(PartRow { digest, size });

impl Store {
    /// Returns the digests of parts of a bundle that the workspace does not have.
    ///
    /// # Errors
    /// The database failed.
    pub async fn missing_parts(
        &self,
        workspace_id: &str,
        bundle: &Bundle,
    ) -> Result<Vec<String>, StoreError> {
        let mut missing = BTreeSet::new();
        for part in bundle.parts() {
            if self.part_blob(workspace_id, &part.digest).await?.is_none() {
                missing.insert(part.digest.clone());
            }
        }
        Ok(missing.into_iter().collect())
    }

    /// Records the bundle of an attempt, in place of an earlier one. Returns `false` if the attempt may not
    /// write any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn bundle_stored(
        &self,
        attempt_id: &str,
        workspace_id: &str,
        stored: &StoredBlob,
        bundle: &Bundle,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let done = query(
            "UPDATE attempts SET bundle_digest = $1, bundle_blob = $2
             WHERE id = $3 AND live AND claimed_at IS NOT NULL AND result IS NULL",
        )
        .bind(&stored.digest)
        .bind(&stored.name)
        .bind(attempt_id)
        .execute(&mut *tx)
        .await
        .context("record a bundle")?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        query("DELETE FROM bundle_uses WHERE attempt_id = $1")
            .bind(attempt_id)
            .execute(&mut *tx)
            .await
            .context("record the parts of a bundle")?;
        let digests: BTreeSet<_> = bundle.parts().map(|part| part.digest.as_str()).collect();
        for digest in digests {
            query("INSERT INTO bundle_uses (attempt_id, digest) VALUES ($1, $2)")
                .bind(attempt_id)
                .bind(digest)
                .execute(&mut *tx)
                .await
                .context("record the parts of a bundle")?;
            query("UPDATE bundle_parts SET used_at = $1 WHERE workspace_id = $2 AND digest = $3")
                .bind(now())
                .bind(workspace_id)
                .bind(digest)
                .execute(&mut *tx)
                .await
                .context("record the use of a part")?;
        }
        tx.commit().await.context("record a bundle")?;
        Ok(true)
    }

    /// Records a part of a workspace. Returns the name of the blob that holds it: that of an earlier upload,
    /// if there is one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn part_stored(
        &self,
        workspace_id: &str,
        stored: &StoredBlob,
        source_key: Option<&str>,
    ) -> Result<String, StoreError> {
        let mut tx = self.write().await?;
        query(
            "INSERT INTO bundle_parts (workspace_id, digest, source_key, blob, size, used_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (workspace_id, digest) DO UPDATE SET
                 source_key = coalesce(excluded.source_key, bundle_parts.source_key),
                 used_at = excluded.used_at",
        )
        .bind(workspace_id)
        .bind(&stored.digest)
        .bind(source_key)
        .bind(&stored.name)
        .bind(i64::try_from(stored.size).unwrap_or(i64::MAX))
        .bind(now())
        .execute(&mut *tx)
        .await
        .context("record a part of a bundle")?;
        let blob = query_scalar("SELECT blob FROM bundle_parts WHERE workspace_id = $1 AND digest = $2")
            .bind(workspace_id)
            .bind(&stored.digest)
            .fetch_one(&mut *tx)
            .await
            .context("read a part of a bundle")?;
        tx.commit().await.context("record a part of a bundle")?;
        Ok(blob)
    }

    /// Returns the name of the blob of a part.
    ///
    /// # Errors
    /// The database failed.
    pub async fn part_blob(&self, workspace_id: &str, digest: &str) -> Result<Option<String>, StoreError> {
        query_scalar("SELECT blob FROM bundle_parts WHERE workspace_id = $1 AND digest = $2")
            .bind(workspace_id)
            .bind(digest)
            .fetch_optional(&self.pool)
            .await
            .context("look for a part of a bundle")
    }

    /// Returns the stored source of this key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn stored_source(&self, workspace_id: &str, key: &str) -> Result<Option<Part>, StoreError> {
        let found: Option<PartRow> = query_as(
            "SELECT digest, size FROM bundle_parts WHERE workspace_id = $1 AND source_key = $2
             ORDER BY used_at DESC, digest LIMIT 1",
        )
        .bind(workspace_id)
        .bind(key)
        .fetch_optional(&self.pool)
        .await
        .context("look for a stored source")?;
        Ok(found.map(|row| Part { digest: row.digest, size: u64::try_from(row.size).unwrap_or_default() }))
    }

    /// Forgets parts of a workspace that no job needs any more, and returns the names of their blobs.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_unused_parts(&self, workspace_id: &str) -> Result<Vec<String>, StoreError> {
        let mut tx = self.write().await?;
        let unused: Vec<(String, String)> = query_as(
            "SELECT digest, blob FROM bundle_parts p WHERE workspace_id = $1 AND used_at < $2
             AND NOT EXISTS (
                 SELECT 1 FROM bundle_uses u JOIN attempts a ON a.id = u.attempt_id
                 JOIN jobs j ON j.id = a.job_id
                 WHERE u.digest = p.digest AND j.workspace_id = p.workspace_id AND j.ended_at IS NULL)",
        )
        .bind(workspace_id)
        .bind((Timestamp::now() - KEPT).to_string())
        .fetch_all(&mut *tx)
        .await
        .context("look for unused parts")?;
        for (digest, _) in &unused {
            query("DELETE FROM bundle_parts WHERE workspace_id = $1 AND digest = $2")
                .bind(workspace_id)
                .bind(digest)
                .execute(&mut *tx)
                .await
                .context("forget a part")?;
        }
        tx.commit().await.context("forget unused parts")?;
        Ok(unused.into_iter().map(|(_, blob)| blob).collect())
    }
}
