//! Variables of workspaces, organizations and collections. Every value is sealed, sensitive or not.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::AssertSqlSafe;

use super::{
    ResultExt as _, Store, StoreError, created,
    db::{FromRow, Row, Transaction, query, query_as},
    new_id,
};
use crate::{
    encryption::EncryptionKey,
    model::{CollectionLayer, Variable, VariableCategory, VariableLayers, VariableOwner, Workspace},
};

const COLUMNS: &str = "v.id, v.category, v.key, v.value_sealed, v.sensitive, v.hcl";

struct VariableRow {
    id: String,
    category: String,
    key: String,
    value_sealed: Vec<u8>,
    sensitive: bool,
    hcl: bool,
}
from_row!(VariableRow { id, category, key, value_sealed, sensitive, hcl });

/// A variable with the layer that it belongs to.
struct LayerRow {
    variable: VariableRow,
    workspace_id: Option<String>,
    collection_name: Option<String>,
    collection_priority: Option<i32>,
}

impl FromRow for LayerRow {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            variable: VariableRow::from_row(row)?,
            workspace_id: row.get("workspace_id")?,
            collection_name: row.get("collection_name")?,
            collection_priority: row.get("collection_priority")?,
        })
    }
}

/// The fields of a new variable.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct NewVariable {
    pub category: VariableCategory,
    pub key: String,
    pub value: SecretString,
    pub sensitive: bool,
    pub hcl: bool,
}

/// The variables to read.
#[derive(Debug, Clone, Copy)]
pub enum VariableView<'a> {
    /// All that a workspace sees.
    Workspace(&'a Workspace),
    /// The global variables of the organization with this id.
    Organization(&'a str),
    /// The global variables of an organization, and one collection.
    Collection {
        /// Id of the organization.
        organization: &'a str,
        /// Id of the collection.
        collection: &'a str,
    },
}

/// A transaction that changes variables or collections. Other writers wait until it ends, so nothing changes
/// between its reads and its commit. Dropping it discards the changes.
#[derive(Debug)]
pub struct VariableChange {
    pub(super) tx: Transaction,
    secrets: EncryptionKey,
}

impl VariableOwner {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Workspace(_) => "workspace",
            Self::Organization(_) => "organization",
            Self::Collection(_) => "collection",
        }
    }

    const fn column(&self) -> &'static str {
        match self {
            Self::Workspace(_) => "workspace_id",
            Self::Organization(_) => "organization_id",
            Self::Collection(_) => "collection_id",
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Workspace(id) | Self::Organization(id) | Self::Collection(id) => id,
        }
    }
}

impl Store {
    /// Begins a transaction that changes variables or collections.
    ///
    /// # Errors
    /// The database failed.
    pub async fn change_variables(&self) -> Result<VariableChange, StoreError> {
        Ok(VariableChange { tx: self.write().await?, secrets: self.secrets.clone() })
    }

    /// Lists the variables of an owner with their values, by key.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when a value cannot be decrypted.
    pub async fn variables(&self, owner: &VariableOwner) -> Result<Vec<Variable>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM variables v WHERE v.{} = $1 ORDER BY v.key, v.category",
            owner.column()
        );
        let rows = query_as::<VariableRow>(AssertSqlSafe(sql))
            .bind(owner.id())
            .fetch_all(&self.pool)
            .await
            .context("list variables")?;
        rows.into_iter().map(|row| row.open(&self.secrets)).collect()
    }

    /// Reads all variables that a workspace sees.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when a value cannot be decrypted.
    pub async fn variable_layers(&self, workspace: &Workspace) -> Result<VariableLayers, StoreError> {
        let mut tx = self.pool.begin().await.context("read variables")?;
        read_layers(&mut tx, &self.secrets, VariableView::Workspace(workspace)).await
    }
}

impl VariableChange {
    /// Creates a variable.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the owner, [`StoreError::Exists`] when the owner has a variable with this
    /// key and category.
    pub async fn create(&mut self, owner: &VariableOwner, new: NewVariable) -> Result<Variable, StoreError> {
        let NewVariable { category, key, value, sensitive, hcl } = new;
        let id = new_id();
        let sql = format!(
            "INSERT INTO variables (id, {}, category, key, value_sealed, sensitive, hcl)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            owner.column()
        );
        let result = query(AssertSqlSafe(sql))
            .bind(&id)
            .bind(owner.id())
            .bind(category.as_str())
            .bind(&key)
            .bind(self.secrets.seal(&variable_context(&id), value.expose_secret().as_bytes()))
            .bind(sensitive)
            .bind(hcl)
            .execute(&mut *self.tx)
            .await;
        if result.as_ref().is_err_and(is_foreign_key_violation) {
            return Err(StoreError::NotFound { kind: owner.kind(), id: owner.id().to_owned() });
        }
        created(result, "variable", &key)?;
        Ok(Variable { id, category, key, value, sensitive, hcl })
    }

    /// Deletes a variable.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the owner has no such variable.
    pub async fn delete(&mut self, owner: &VariableOwner, id: &str) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM variables WHERE id = $1 AND {} = $2", owner.column());
        let done = query(AssertSqlSafe(sql))
            .bind(id)
            .bind(owner.id())
            .execute(&mut *self.tx)
            .await
            .context("delete a variable")?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound { kind: "variable", id: id.to_owned() });
        }
        Ok(())
    }

    /// Reads a set of variables, as the changes so far have left them.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when a value cannot be decrypted.
    pub async fn layers(&mut self, view: VariableView<'_>) -> Result<VariableLayers, StoreError> {
        read_layers(&mut self.tx, &self.secrets, view).await
    }

    /// Makes the changes permanent.
    ///
    /// # Errors
    /// The database failed.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await.context("store variables")
    }
}

pub(super) async fn read_layers(
    tx: &mut Transaction,
    secrets: &EncryptionKey,
    view: VariableView<'_>,
) -> Result<VariableLayers, StoreError> {
    let (workspace, organization, collection) = match view {
        VariableView::Workspace(workspace) => (Some(&workspace.id), workspace.organization_id.as_str(), None),
        VariableView::Organization(organization) => (None, organization, None),
        VariableView::Collection { organization, collection } => (None, organization, Some(collection)),
    };
    let sql = format!(
        "SELECT {COLUMNS}, v.workspace_id, c.name AS collection_name, c.priority AS collection_priority
         FROM variables v LEFT JOIN collections c ON c.id = v.collection_id
         WHERE v.workspace_id = $1 OR v.organization_id = $2 OR v.collection_id = $3
            OR v.collection_id IN (SELECT collection_id FROM workspace_collections WHERE workspace_id = $1)
         ORDER BY v.key, v.category"
    );
    let rows = query_as::<LayerRow>(AssertSqlSafe(sql))
        .bind(workspace)
        .bind(organization)
        .bind(collection)
        .fetch_all(&mut **tx)
        .await
        .context("read variables")?;
    let mut layers = VariableLayers::default();
    // Names are unique in an organization.
    let mut collections: BTreeMap<String, CollectionLayer> = BTreeMap::new();
    for LayerRow { variable, workspace_id, collection_name, collection_priority } in rows {
        let variable = variable.open(secrets)?;
        match collection_name.zip(collection_priority) {
            Some((name, priority)) => collections
                .entry(name.clone())
                .or_insert_with(|| CollectionLayer { name, priority, variables: Vec::new() })
                .variables
                .push(variable),
            None if workspace_id.is_some() => layers.workspace.push(variable),
            None => layers.global.push(variable),
        }
    }
    layers.collections = collections.into_values().collect();
    Ok(layers)
}

impl VariableRow {
    fn open(self, secrets: &EncryptionKey) -> Result<Variable, StoreError> {
        let Self { id, category, key, value_sealed, sensitive, hcl } = self;
        let value = secrets.open(&variable_context(&id), &value_sealed)?;
        let value = String::from_utf8(value).map_err(|_| StoreError::Corrupt(format!("variable {id}")))?;
        Ok(Variable {
            category: VariableCategory::parse(&category).map_err(StoreError::Corrupt)?,
            value: value.into(),
            id,
            key,
            sensitive,
            hcl,
        })
    }
}

fn is_foreign_key_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation)
}

fn variable_context(id: &str) -> String {
    format!("variable {id}")
}
