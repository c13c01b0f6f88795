//! Collections of variables, and the workspaces that they are attached to.

use super::{
    ResultExt as _, Store, StoreError, VariableChange,
    catalog::WorkspaceRow,
    created,
    db::{query, query_as},
    new_id,
};
use crate::model::{Collection, Workspace};

struct CollectionRow {
    id: String,
    organization_id: String,
    name: String,
    priority: i32,
}
from_row!(CollectionRow { id, organization_id, name, priority });

impl From<CollectionRow> for Collection {
    fn from(row: CollectionRow) -> Self {
        let CollectionRow { id, organization_id, name, priority } = row;
        Self { id, organization_id, name, priority }
    }
}

impl Store {
    /// Creates a collection.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the organization, [`StoreError::Exists`] when it has one with this name.
    pub async fn create_collection(
        &self,
        organization_id: &str,
        name: &str,
        priority: i32,
    ) -> Result<Collection, StoreError> {
        self.organization(organization_id).await?;
        let id = new_id();
        let result =
            query("INSERT INTO collections (id, organization_id, name, priority) VALUES ($1, $2, $3, $4)")
                .bind(&id)
                .bind(organization_id)
                .bind(name)
                .bind(priority)
                .execute(&self.pool)
                .await;
        created(result, "collection", name)?;
        self.collection(organization_id, &id).await
    }

    /// Reads a collection of an organization.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the organization has no such collection.
    pub async fn collection(&self, organization_id: &str, id: &str) -> Result<Collection, StoreError> {
        query_as::<CollectionRow>("SELECT * FROM collections WHERE id = $1 AND organization_id = $2")
            .bind(id)
            .bind(organization_id)
            .fetch_optional(&self.pool)
            .await
            .context("read a collection")?
            .map(Into::into)
            .ok_or_else(|| not_found(id))
    }

    /// Lists the collections of an organization, the strongest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn collections(&self, organization_id: &str) -> Result<Vec<Collection>, StoreError> {
        let rows = query_as::<CollectionRow>(
            "SELECT * FROM collections WHERE organization_id = $1 ORDER BY priority DESC, name",
        )
        .bind(organization_id)
        .fetch_all(&self.pool)
        .await
        .context("list collections")?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Lists the collections that are attached to a workspace, the strongest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn attached_collections(&self, workspace_id: &str) -> Result<Vec<Collection>, StoreError> {
        let rows = query_as::<CollectionRow>(
            "SELECT c.* FROM collections c JOIN workspace_collections w ON w.collection_id = c.id
             WHERE w.workspace_id = $1 ORDER BY c.priority DESC, c.name",
        )
        .bind(workspace_id)
        .fetch_all(&self.pool)
        .await
        .context("list the collections of a workspace")?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
}

impl VariableChange {
    /// Attaches a collection to a workspace of the same organization. Attaching it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the workspace's organization has no such collection.
    pub async fn attach(&mut self, workspace: &Workspace, collection_id: &str) -> Result<(), StoreError> {
        let done = query(
            "INSERT INTO workspace_collections (workspace_id, collection_id)
             SELECT $1, id FROM collections WHERE id = $2 AND organization_id = $3
             ON CONFLICT (workspace_id, collection_id) DO UPDATE SET collection_id = excluded.collection_id",
        )
        .bind(&workspace.id)
        .bind(collection_id)
        .bind(&workspace.organization_id)
        .execute(&mut *self.tx)
        .await
        .context("attach a collection")?;
        if done.rows_affected() == 0 { Err(not_found(collection_id)) } else { Ok(()) }
    }

    /// Detaches a collection from a workspace. Detaching one that is not attached changes nothing.
    ///
    /// # Errors
    /// The database failed.
    pub async fn detach(&mut self, workspace: &Workspace, collection_id: &str) -> Result<(), StoreError> {
        query("DELETE FROM workspace_collections WHERE workspace_id = $1 AND collection_id = $2")
            .bind(&workspace.id)
            .bind(collection_id)
            .execute(&mut *self.tx)
            .await
            .context("detach a collection")?;
        Ok(())
    }

    /// Lists the workspaces that a collection is attached to.
    ///
    /// # Errors
    /// The database failed.
    pub async fn workspaces_with(&mut self, collection_id: &str) -> Result<Vec<Workspace>, StoreError> {
        let rows = query_as::<WorkspaceRow>(
            "SELECT * FROM workspaces WHERE id IN
             (SELECT workspace_id FROM workspace_collections WHERE collection_id = $1) ORDER BY id",
        )
        .bind(collection_id)
        .fetch_all(&mut *self.tx)
        .await
        .context("list the workspaces of a collection")?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Lists the workspaces of an organization that have variables or collections of their own.
    ///
    /// # Errors
    /// The database failed.
    pub async fn workspaces_with_variables(
        &mut self,
        organization_id: &str,
    ) -> Result<Vec<Workspace>, StoreError> {
        let rows = query_as::<WorkspaceRow>(
            "SELECT * FROM workspaces WHERE organization_id = $1
             AND (id IN (SELECT workspace_id FROM variables)
                  OR id IN (SELECT workspace_id FROM workspace_collections))
             ORDER BY id",
        )
        .bind(organization_id)
        .fetch_all(&mut *self.tx)
        .await
        .context("list the workspaces of an organization")?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Deletes a collection and its variables.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] while it is attached to a workspace.
    pub async fn delete_collection(&mut self, collection: &Collection) -> Result<(), StoreError> {
        let workspaces = self.workspaces_with(&collection.id).await?;
        if !workspaces.is_empty() {
            let names: Vec<String> =
                workspaces.iter().map(|workspace| format!("{:?}", workspace.name)).collect();
            return Err(StoreError::Conflict(format!(
                "collection {:?} is attached to workspaces: {}; detach it first",
                collection.name,
                names.join(", ")
            )));
        }
        for sql in ["DELETE FROM variables WHERE collection_id = $1", "DELETE FROM collections WHERE id = $1"]
        {
            query(sql).bind(&collection.id).execute(&mut *self.tx).await.context("delete a collection")?;
        }
        Ok(())
    }
}

fn not_found(id: &str) -> StoreError {
    StoreError::NotFound { kind: "collection", id: id.to_owned() }
}
