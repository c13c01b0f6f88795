//! Organizations, workspaces and templates.

use super::{
    ResultExt as _, Store, StoreError, created,
    db::{query, query_as},
    new_id, now, parse_time,
};
use crate::model::{IacType, Organization, SourceAddress, Template, Workspace};

/// The fields of a new workspace.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub struct NewWorkspace {
    pub organization_id: String,
    pub name: String,
    pub source: SourceAddress,
    pub branch: String,
    pub folder: String,
    pub iac_type: IacType,
    pub terraform_version: String,
}

struct OrganizationRow {
    id: String,
    name: String,
    created_at: String,
}
from_row!(OrganizationRow { id, name, created_at });

pub(super) struct WorkspaceRow {
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
from_row!(WorkspaceRow {
    id,
    organization_id,
    name,
    source,
    branch,
    folder,
    iac_type,
    terraform_version,
    locked_by_job,
    created_at
});

struct TemplateRow {
    id: String,
    organization_id: String,
    name: String,
    tcl: String,
}
from_row!(TemplateRow { id, organization_id, name, tcl });

impl Store {
    /// Creates an organization. Settings and policy find an organization by its id or its name, so a name in
    /// the form of an id is refused: it could be the id of another organization,
    /// even of one that is created later.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the name is taken, [`StoreError::Conflict`] when it has the form of an id.
    pub async fn create_organization(&self, name: &str) -> Result<Organization, StoreError> {
        if uuid::Uuid::try_parse(name).is_ok() {
            return Err(StoreError::Conflict(format!(
                "organization name {name:?} has the form of an id; \
                 choose a name that settings and policy cannot take for one"
            )));
        }
        let id = new_id();
        let result = query("INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3)")
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
        query_as::<OrganizationRow>("SELECT * FROM organizations WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .context("read an organization")?
            .ok_or_else(|| StoreError::NotFound { kind: "organization", id: id.to_owned() })?
            .try_into()
    }

    /// Lists all organizations, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        query_as::<OrganizationRow>("SELECT * FROM organizations ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .context("list organizations")?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

    /// Creates a workspace.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the organization, [`StoreError::Exists`] when it has one with this name.
    pub async fn create_workspace(&self, new: NewWorkspace) -> Result<Workspace, StoreError> {
        self.organization(&new.organization_id).await?;
        let id = new_id();
        let NewWorkspace { organization_id, name, source, branch, folder, iac_type, terraform_version } = new;
        let result = query(
            "INSERT INTO workspaces
             (id, organization_id, name, source, branch, folder, iac_type, terraform_version, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&id)
        .bind(organization_id)
        .bind(&name)
        .bind(source.expose())
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
        query_as::<WorkspaceRow>("SELECT * FROM workspaces WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .context("read a workspace")?
            .ok_or_else(|| StoreError::NotFound { kind: "workspace", id: id.to_owned() })?
            .try_into()
    }

    /// Lists the workspaces of an organization, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn workspaces(&self, organization_id: &str) -> Result<Vec<Workspace>, StoreError> {
        query_as::<WorkspaceRow>("SELECT * FROM workspaces WHERE organization_id = $1 ORDER BY id")
            .bind(organization_id)
            .fetch_all(&self.pool)
            .await
            .context("list workspaces")?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

    /// Creates a template. The caller has checked its text.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the organization, [`StoreError::Exists`] when it has one with this name.
    pub async fn create_template(
        &self,
        organization_id: &str,
        name: &str,
        tcl: &str,
    ) -> Result<Template, StoreError> {
        self.organization(organization_id).await?;
        let id = new_id();
        let result = query("INSERT INTO templates (id, organization_id, name, tcl) VALUES ($1, $2, $3, $4)")
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
        Ok(query_as::<TemplateRow>("SELECT * FROM templates WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .context("read a template")?
            .ok_or_else(|| StoreError::NotFound { kind: "template", id: id.to_owned() })?
            .into())
    }

    /// Lists the templates of an organization, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn templates(&self, organization_id: &str) -> Result<Vec<Template>, StoreError> {
        let rows = query_as::<TemplateRow>("SELECT * FROM templates WHERE organization_id = $1 ORDER BY id")
            .bind(organization_id)
            .fetch_all(&self.pool)
            .await
            .context("list templates")?;
        Ok(rows.into_iter().map(Into::into).collect())
    }
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
            source: source.into(),
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
