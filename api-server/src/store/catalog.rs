//! What jobs are made from: organizations, workspaces, variables and templates.

use sqlx::FromRow;

use super::{Store, StoreError, Trying as _, is_unique_violation, new_id, now, parse_time};
use crate::model::{IacType, Organization, Template, Variable, VariableCategory, Workspace};

/// What a workspace is made of.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct NewWorkspace {
    pub organization_id: String,
    pub name: String,
    pub source: String,
    pub branch: String,
    pub folder: String,
    pub iac_type: IacType,
    pub terraform_version: String,
}

#[derive(FromRow)]
struct OrganizationRow {
    id: String,
    name: String,
    created_at: String,
}

#[derive(FromRow)]
struct WorkspaceRow {
    id: String,
    organization_id: String,
    name: String,
    source: String,
    branch: String,
    folder: String,
    iac_type: String,
    terraform_version: String,
    locked_by_job: Option<i64>,
    created_at: String,
}

#[derive(FromRow)]
struct VariableRow {
    id: String,
    category: String,
    key: String,
    value_sealed: Vec<u8>,
    sensitive: bool,
    hcl: bool,
}

#[derive(FromRow)]
struct TemplateRow {
    id: String,
    organization_id: String,
    name: String,
    tcl: String,
}

impl Store {
    /// Makes an organization.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the name is taken.
    pub async fn create_organization(&self, name: &str) -> Result<Organization, StoreError> {
        let id = new_id();
        let result = sqlx::query("INSERT INTO organizations (id, name, created_at) VALUES (?, ?, ?)")
            .bind(&id)
            .bind(name)
            .bind(now())
            .execute(&self.pool)
            .await;
        created(result, "organization", name)?;
        self.organization(&id).await
    }

    /// Reads an organization.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    pub async fn organization(&self, id: &str) -> Result<Organization, StoreError> {
        sqlx::query_as::<_, OrganizationRow>("SELECT * FROM organizations WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .trying("read an organization")?
            .ok_or_else(|| StoreError::NotFound { kind: "organization", id: id.to_owned() })?
            .try_into()
    }

    /// Lists all organizations, oldest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        sqlx::query_as::<_, OrganizationRow>("SELECT * FROM organizations ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .trying("list organizations")?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

    /// Makes a workspace.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the organization, [`StoreError::Exists`] when the name is taken there.
    pub async fn create_workspace(&self, new: NewWorkspace) -> Result<Workspace, StoreError> {
        self.organization(&new.organization_id).await?;
        let id = new_id();
        let NewWorkspace { organization_id, name, source, branch, folder, iac_type, terraform_version } = new;
        let result = sqlx::query(
            "INSERT INTO workspaces
             (id, organization_id, name, source, branch, folder, iac_type, terraform_version, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(organization_id)
        .bind(&name)
        .bind(source)
        .bind(branch)
        .bind(folder)
        .bind(iac_type.as_str())
        .bind(terraform_version)
        .bind(now())
        .execute(&self.pool)
        .await;
        created(result, "workspace", &name)?;
        self.workspace(&id).await
    }

    /// Reads a workspace.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    pub async fn workspace(&self, id: &str) -> Result<Workspace, StoreError> {
        sqlx::query_as::<_, WorkspaceRow>("SELECT * FROM workspaces WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .trying("read a workspace")?
            .ok_or_else(|| StoreError::NotFound { kind: "workspace", id: id.to_owned() })?
            .try_into()
    }

    /// Lists the workspaces of an organization, oldest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn workspaces(&self, organization_id: &str) -> Result<Vec<Workspace>, StoreError> {
        sqlx::query_as::<_, WorkspaceRow>("SELECT * FROM workspaces WHERE organization_id = ? ORDER BY id")
            .bind(organization_id)
            .fetch_all(&self.pool)
            .await
            .trying("list workspaces")?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

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

    /// Makes a template. Its text was checked before.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the organization, [`StoreError::Exists`] when the name is taken there.
    pub async fn create_template(
        &self,
        organization_id: &str,
        name: &str,
        tcl: &str,
    ) -> Result<Template, StoreError> {
        self.organization(organization_id).await?;
        let id = new_id();
        let result =
            sqlx::query("INSERT INTO templates (id, organization_id, name, tcl) VALUES (?, ?, ?, ?)")
                .bind(&id)
                .bind(organization_id)
                .bind(name)
                .bind(tcl)
                .execute(&self.pool)
                .await;
        created(result, "template", name)?;
        self.template(&id).await
    }

    /// Reads a template.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    pub async fn template(&self, id: &str) -> Result<Template, StoreError> {
        Ok(sqlx::query_as::<_, TemplateRow>("SELECT * FROM templates WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .trying("read a template")?
            .ok_or_else(|| StoreError::NotFound { kind: "template", id: id.to_owned() })?
            .into())
    }

    /// Lists the templates of an organization, oldest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn templates(&self, organization_id: &str) -> Result<Vec<Template>, StoreError> {
        let rows =
            sqlx::query_as::<_, TemplateRow>("SELECT * FROM templates WHERE organization_id = ? ORDER BY id")
                .bind(organization_id)
                .fetch_all(&self.pool)
                .await
                .trying("list templates")?;
        Ok(rows.into_iter().map(Into::into).collect())
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

/// Turns the violation of a unique index into [`StoreError::Exists`].
fn created<T>(result: Result<T, sqlx::Error>, kind: &'static str, name: &str) -> Result<T, StoreError> {
    result.map_err(|source| {
        if is_unique_violation(&source) {
            StoreError::Exists { kind, name: name.to_owned() }
        } else {
            StoreError::Database { action: "store a new record", source }
        }
    })
}

impl TryFrom<OrganizationRow> for Organization {
    type Error = StoreError;

    fn try_from(row: OrganizationRow) -> Result<Self, StoreError> {
        let OrganizationRow { id, name, created_at } = row;
        Ok(Self { id, name, created_at: parse_time(&created_at)? })
    }
}

impl TryFrom<WorkspaceRow> for Workspace {
    type Error = StoreError;

    fn try_from(row: WorkspaceRow) -> Result<Self, StoreError> {
        let WorkspaceRow {
            id,
            organization_id,
            name,
            source,
            branch,
            folder,
            iac_type,
            terraform_version,
            locked_by_job,
            created_at,
        } = row;
        Ok(Self {
            id,
            organization_id,
            name,
            source,
            branch,
            folder,
            iac_type: IacType::parse(&iac_type).map_err(StoreError::Corrupt)?,
            terraform_version,
            locked_by_job,
            created_at: parse_time(&created_at)?,
        })
    }
}

impl From<TemplateRow> for Template {
    fn from(row: TemplateRow) -> Self {
        let TemplateRow { id, organization_id, name, tcl } = row;
        Self { id, organization_id, name, tcl }
    }
}
