//! Migrations of encrypted values, which SQL cannot make. Each runs when the store is opened, after the SQL
//! migrations, and skips rows that are up to date.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    ClaimData, ResultExt as _, Store, StoreError, VariableView,
    catalog::WorkspaceRow,
    db::{query, query_as},
    prepared,
    variables::read_layers,
};
use crate::model::Workspace;

/// The field of [`Prepared`](super::Prepared) that database versions before 4 had.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OldPrepared {
    #[serde(default)]
    job_data: Option<String>,
}

impl Store {
    /// Stores what a claim needs apart from the Kubernetes Job, for the attempts that an executor may still
    /// claim.
    pub(super) async fn separate_claim_data(&self) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let attempts: Vec<(String, Vec<u8>, String)> = query_as(
            "SELECT a.id, a.job_object_sealed, j.workspace_id FROM attempts a JOIN jobs j ON j.id = a.job_id
             WHERE a.live AND a.claim_sealed IS NULL",
        )
        .fetch_all(&mut *tx)
        .await
        .context("read attempts of an earlier version")?;
        let mut sensitive: BTreeMap<String, _> = BTreeMap::new();
        for (id, sealed, workspace_id) in attempts {
            if !sensitive.contains_key(&workspace_id) {
                let workspace: Workspace = query_as::<WorkspaceRow>("SELECT * FROM workspaces WHERE id = $1")
                    .bind(&workspace_id)
                    .fetch_one(&mut *tx)
                    .await
                    .context("read the workspace of an attempt")?
                    .try_into()?;
                let layers = read_layers(&mut tx, &self.secrets, VariableView::Workspace(&workspace)).await?;
                sensitive.insert(workspace_id.clone(), layers.sensitive_keys());
            }
            let old: OldPrepared =
                serde_json::from_slice(&self.secrets.open(&prepared::job_context(&id), &sealed)?)
                    .map_err(|_| StoreError::Corrupt(format!("Kubernetes Job of attempt {id}")))?;
            let claim = ClaimData {
                job_data: old.job_data,
                sensitive: sensitive[&workspace_id].clone(),
                ..ClaimData::default()
            };
            query("UPDATE attempts SET claim_sealed = $1 WHERE id = $2")
                .bind(self.seal_claim(&id, &claim))
                .bind(&id)
                .execute(&mut *tx)
                .await
                .context("store what a claim needs")?;
        }
        tx.commit().await.context("store what claims need")
    }
}

#[cfg(test)]
mod tests;
