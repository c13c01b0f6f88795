//! Changes of variables and collections: a change is checked in the transaction that stores it.
//!
//! A change is refused if it causes a problem in the variables that it belongs to: those of the workspace, or
//! those that a workspace without variables of its own would see. Two kinds of problems are warnings only:
//! those that existed before, and those of a global variable or a collection in combination with variables of
//! a workspace. Otherwise a workspace could prevent the organization from setting its variables. A deletion
//! is never refused, so that a leaked secret can be removed at once. Jobs are checked again when they are
//! created.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use config_core::Problem as VariableProblem;

use super::{problem::Problem, warning::WarningView};
use crate::{
    attempt_building::WorkspaceInput,
    model::{Collection, Organization, VariableLayers, VariableOwner, Workspace},
    services::Services,
    store::{StoreError, VariableChange, VariableView},
    variable_checks::{Findings, check},
};

/// How many workspaces a warning names.
const MAX_NAMED_WORKSPACES: usize = 10;

/// The records whose variables change.
#[derive(Debug)]
pub(super) enum Scope {
    /// One workspace.
    Workspace(Organization, Workspace),
    /// Every workspace of an organization.
    Organization(Organization),
    /// The workspaces that a collection is attached to.
    Collection(Organization, Collection),
}

/// Whether a change that causes problems is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnProblem {
    Refuse,
    Warn,
}

/// A change that has begun; other writers of the store wait until it is finished.
#[derive(Debug)]
pub(super) struct Change {
    services: Arc<Services>,
    scope: Scope,
    /// The transaction of the change.
    pub(super) store: VariableChange,
    before: Snapshot,
}

/// The variables of a scope at one moment.
#[derive(Debug)]
struct Snapshot {
    /// The workspace, or an example workspace that sees nothing else.
    own: WorkspaceInput,
    /// Workspaces that see other variables as well.
    others: Vec<WorkspaceInput>,
}

impl Scope {
    /// Returns whose variables are changed.
    pub(super) fn owner(&self) -> VariableOwner {
        match self {
            Self::Workspace(_, workspace) => VariableOwner::Workspace(workspace.id.clone()),
            Self::Organization(organization) => VariableOwner::Organization(organization.id.clone()),
            Self::Collection(_, collection) => VariableOwner::Collection(collection.id.clone()),
        }
    }

    async fn read(&self, store: &mut VariableChange) -> Result<Snapshot, StoreError> {
        let (organization, own, workspaces) = match self {
            Self::Workspace(organization, workspace) => {
                let layers = store.layers(VariableView::Workspace(workspace)).await?;
                let own = input(organization, workspace.clone(), layers);
                return Ok(Snapshot { own, others: Vec::new() });
            }
            Self::Organization(organization) => {
                let layers = store.layers(VariableView::Organization(&organization.id)).await?;
                (organization, layers, store.workspaces_with_variables(&organization.id).await?)
            }
            Self::Collection(organization, collection) => {
                let view =
                    VariableView::Collection { organization: &organization.id, collection: &collection.id };
                (organization, store.layers(view).await?, store.workspaces_with(&collection.id).await?)
            }
        };
        let mut others = Vec::with_capacity(workspaces.len());
        for workspace in workspaces {
            let layers = store.layers(VariableView::Workspace(&workspace)).await?;
            others.push(input(organization, workspace, layers));
        }
        Ok(Snapshot { own: input(organization, Workspace::example(&organization.id), own), others })
    }
}

fn input(organization: &Organization, workspace: Workspace, variables: VariableLayers) -> WorkspaceInput {
    WorkspaceInput { organization_name: organization.name.clone(), workspace, variables }
}

impl Change {
    pub(super) async fn begin(services: Arc<Services>, scope: Scope) -> Result<Self, Problem> {
        let mut store = services.store.change_variables().await?;
        let before = scope.read(&mut store).await?;
        Ok(Self { services, scope, store, before })
    }

    /// Checks the change and stores or refuses it. Returns warnings.
    pub(super) async fn finish(mut self, on_problem: OnProblem) -> Result<Vec<WarningView>, Problem> {
        let after = self.scope.read(&mut self.store).await?;
        let (services, before) = (Arc::clone(&self.services), self.before);
        let checked = tokio::task::spawn_blocking(move || {
            let own = Comparison::new(&services, &before.own, &after.own);
            (own, Snapshots { before, after })
        });
        let (own, snapshots) = checked.await.map_err(std::io::Error::other)?;
        if on_problem == OnProblem::Refuse && !own.caused.is_empty() {
            let lines: Vec<String> = own.caused.iter().map(ToString::to_string).collect();
            let errors = own.caused.iter().map(Into::into).collect();
            return Err(Problem::invalid(lines.join("\n"), errors).with_warnings(own.warnings()));
        }
        self.store.commit().await?;
        let services = self.services;
        let others = tokio::task::spawn_blocking(move || snapshots.caused_elsewhere(&services));
        let others = others.await.map_err(std::io::Error::other)?;
        for warning in &others {
            tracing::warn!(?warning, "a variable or collection makes jobs of some workspaces fail");
        }
        let caused = own.caused.iter().map(|problem| WarningView::from_problem(problem, Vec::new()));
        Ok(caused.chain(own.warnings()).chain(others).collect())
    }
}

/// The effect of a change on the variables of a workspace.
#[derive(Debug)]
struct Comparison {
    /// Problems that the change causes.
    caused: BTreeSet<VariableProblem>,
    /// Problems that existed before, and warnings.
    remaining: Findings,
}

impl Comparison {
    fn new(services: &Services, before: &WorkspaceInput, after: &WorkspaceInput) -> Self {
        let redactor = after.redactor();
        let (before, mut after) = (check(services, before), check(services, after));
        // Compared as they are: what is hidden in a problem may depend on the change.
        let (remaining, caused): (BTreeSet<_>, BTreeSet<_>) = std::mem::take(&mut after.problems)
            .into_iter()
            .partition(|problem| before.problems.contains(problem));
        after.problems = remaining;
        let caused = caused.into_iter().map(|problem| redactor.problem(problem)).collect();
        Self { caused, remaining: after.redacted(&redactor) }
    }

    fn warnings(&self) -> Vec<WarningView> {
        let problems =
            self.remaining.problems.iter().map(|problem| WarningView::from_problem(problem, Vec::new()));
        problems.chain(self.remaining.warnings.iter().cloned().map(Into::into)).collect()
    }
}

struct Snapshots {
    before: Snapshot,
    after: Snapshot,
}

impl Snapshots {
    /// Finds the problems that the change causes in workspaces that see other variables as well.
    fn caused_elsewhere(&self, services: &Services) -> Vec<WarningView> {
        let before: BTreeMap<&str, &WorkspaceInput> =
            self.before.others.iter().map(|input| (input.workspace.id.as_str(), input)).collect();
        let mut caused: BTreeMap<VariableProblem, Vec<String>> = BTreeMap::new();
        for after in &self.after.others {
            let Some(before) = before.get(after.workspace.id.as_str()) else { continue };
            for problem in Comparison::new(services, before, after).caused {
                caused.entry(problem).or_default().push(after.workspace.name.clone());
            }
        }
        caused
            .into_iter()
            .map(|(problem, names)| WarningView::from_problem(&problem, shortened(names)))
            .collect()
    }
}

fn shortened(mut names: Vec<String>) -> Vec<String> {
    if let Some(more) = names.len().checked_sub(MAX_NAMED_WORKSPACES).filter(|more| *more > 0) {
        names.truncate(MAX_NAMED_WORKSPACES);
        names.push(format!("and {more} more"));
    }
    names
}
