//! Variables of workspaces: every value is sealed, sensitive or not.

use super::{Store, StoreError, Trying as _, catalog::created, new_id};
use crate::model::{Variable, VariableCategory};

struct VariableRow {
    id: String,
    category: String,
    key: String,
    value_sealed: Vec<u8>,
    sensitive: bool,
    hcl: bool,
}
from_row!(VariableRow { id, category, key, value_sealed, sensitive, hcl });

impl Store {
    /// Makes a variable of a workspace; its id is made here.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the workspace, [`StoreError::Exists`] when the key is taken in its category.
    pub async fn create_variable(&self, workspace_id: &str, new: Variable) -> Result<Variable, StoreError> {
        self.workspace(workspace_id).await?;
        let Variable { id: _, category, key, value, sensitive, hcl } = new;
        let id = new_id();
        let result = sqlx::query(
            "INSERT INTO variables (id, workspace_id, category, key, value_sealed, sensitive, hcl)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(workspace_id)
        .bind(category.as_str())
        .bind(&key)
        .bind(self.secrets.seal(&variable_context(&id), value.as_bytes()))
        .bind(sensitive)
        .bind(hcl)
        .execute(&self.pool)
        .await;
        created(result, "variable", &key)?;
        Ok(Variable { id, category, key, value, sensitive, hcl })
    }

    /// Lists the variables of a workspace with their values, by key.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when a value does not open.
    pub async fn variables(&self, workspace_id: &str) -> Result<Vec<Variable>, StoreError> {
        let rows = sqlx::query_as::<_, VariableRow>(
            "SELECT id, category, key, value_sealed, sensitive, hcl FROM variables
             WHERE workspace_id = ? ORDER BY key, category",
        )
        .bind(workspace_id)
        .fetch_all(&self.pool)
        .await
        .trying("list variables")?;
        rows.into_iter().map(|row| self.open_variable(row)).collect()
    }

    /// Deletes a variable.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the workspace has no such variable.
    pub async fn delete_variable(&self, workspace_id: &str, id: &str) -> Result<(), StoreError> {
        let done = sqlx::query("DELETE FROM variables WHERE id = ? AND workspace_id = ?")
            .bind(id)
            .bind(workspace_id)
            .execute(&self.pool)
            .await
            .trying("delete a variable")?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound { kind: "variable", id: id.to_owned() });
        }
        Ok(())
    }

    fn open_variable(&self, row: VariableRow) -> Result<Variable, StoreError> {
        let VariableRow { id, category, key, value_sealed, sensitive, hcl } = row;
        let value = self.secrets.open(&variable_context(&id), &value_sealed)?;
        Ok(Variable {
            category: VariableCategory::parse(&category).map_err(StoreError::Corrupt)?,
            value: String::from_utf8(value).map_err(|_| StoreError::Corrupt(format!("variable {id}")))?,
            id,
            key,
            sensitive,
            hcl,
        })
    }
}

fn variable_context(id: &str) -> String {
    format!("variable {id}")
}
