//! Phase 4: makes the terraform or tofu of the workspace available.
//!
//! The version comes from the plan that is applied, else from the workspace, else from `required_version` of
//! the configuration. A program on the PATH that has it is used; then one of the cache; then it is downloaded
//! and verified ([`releases`]), if the operator has said where releases are.

mod cache;
mod checksum;
mod download;
mod index;
mod plan_version;
mod releases;
mod required_version;
mod settings;
mod signature;
mod unpack;
mod version;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use semver::Version;
use serde::Deserialize;

use self::{
    releases::ReleaseError,
    version::{Constraint, ConstraintError, parse_version, without_dev},
};
use super::context::Context;
use crate::{
    authorities::{self, Authorities, AuthoritiesError},
    child::{
        environment::{self, EnvironmentError},
        process::{Invocation, ProcessError, output},
        search_path::find_program,
    },
    network::Proxies,
    work_paths::WorkDir,
};

/// Which of the two programs a workspace uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Terraform,
    Tofu,
}

/// The program cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("{} is not on PATH; install it from {} or use an image that has it", .0.program(), .0.page())]
    Missing(Engine),
    #[error("the version of the workspace is invalid")]
    Constraint(#[from] ConstraintError),
    #[error(
        "{} on PATH has version {found:?}, expected {:?}, {}",
        .engine.program(), .wanted.constraint.to_string(), .wanted.origin.text()
    )]
    Version { engine: Engine, found: String, wanted: Wanted, source: Box<ReleaseError> },
    #[error(
        "{} is not on PATH, and {:?}, {}, cannot be downloaded",
        .engine.program(), .wanted.constraint.to_string(), .wanted.origin.text()
    )]
    NoRelease { engine: Engine, wanted: Wanted, source: Box<ReleaseError> },
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    #[error("{} does not print its version as JSON", .0.program())]
    UnknownVersion(Engine),
}

/// A version that is wanted, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    constraint: Constraint,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Workspace,
    Configuration,
    Plan,
}

impl Origin {
    const fn text(self) -> &'static str {
        match self {
            Self::Workspace => "the version of the workspace",
            Self::Configuration => "the required_version of the configuration",
            Self::Plan => "the version that made the plan",
        }
    }
}

impl Engine {
    /// Returns the program that the payload asks for.
    pub(crate) const fn new(tofu: bool) -> Self {
        if tofu { Self::Tofu } else { Self::Terraform }
    }

    /// Returns the file name of the program.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Tofu => "tofu",
        }
    }

    /// Returns the endings of the files in its own syntax. Tofu ignores `a.tf` beside `a.tofu`, and merges
    /// override files with its own ending after the others; its first versions know `.tf` alone.
    pub(crate) const fn file_endings(self) -> &'static [&'static str] {
        match self {
            Self::Terraform => &[".tf"],
            Self::Tofu => &[".tf", ".tofu"],
        }
    }

    const fn page(self) -> &'static str {
        match self {
            Self::Terraform => "https://developer.hashicorp.com/terraform/install",
            Self::Tofu => "https://opentofu.org/docs/intro/install",
        }
    }

    /// Reads the output of `version -json`.
    fn read_version(self, output: &str) -> Result<Version, EngineError> {
        #[derive(Deserialize)]
        struct Answer {
            // The name is the same in tofu.
            terraform_version: String,
        }
        let answer = serde_json::from_str::<Answer>(output).map_err(|_| EngineError::UnknownVersion(self))?;
        parse_version(&answer.terraform_version).ok_or(EngineError::UnknownVersion(self))
    }
}

/// Returns the version that the step needs; `None` if every version serves.
///
/// An apply needs the version that made its plan: a constraint may match a newer one by now.
fn wanted(
    version: &str,
    from_plan: Option<Version>,
    required: Option<Constraint>,
) -> Result<Option<Wanted>, ConstraintError> {
    let workspace = match version.trim() {
        "" => None,
        text => Some(text.parse::<Constraint>()?),
    };
    let is_exact = workspace.as_ref().is_some_and(|constraint| constraint.exact().is_some());
    if let (Some(version), false) = (from_plan, is_exact) {
        return Ok(Some(Wanted { constraint: version.into(), origin: Origin::Plan }));
    }
    Ok(match (workspace, required) {
        (Some(constraint), _) => Some(Wanted { constraint, origin: Origin::Workspace }),
        (None, Some(constraint)) => Some(Wanted { constraint, origin: Origin::Configuration }),
        (None, None) => None,
    })
}

/// The program and the environment in which it runs.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) engine: Engine,
    pub(crate) program: PathBuf,
    pub(crate) env: BTreeMap<String, String>,
}

/// Terraform or tofu cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("cannot use the terraform program")]
    Engine(#[source] EngineError),
    #[error("cannot use the variables of the workspace")]
    Variables(#[source] EnvironmentError),
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Finds or downloads the program, and builds its environment. After a stop request the version is not
/// checked.
pub(crate) async fn prepare(
    context: &Context<'_>,
    dir: &WorkDir,
    folder: &Path,
    plan: Option<&[u8]>,
) -> Result<Tool, ToolError> {
    let payload = context.payload();
    let engine = Engine::new(payload.tofu);
    let mut env =
        environment::terraform(context.env, payload, context.state.url()).map_err(ToolError::Variables)?;
    context.add_network(&mut env, dir)?;
    let from_plan = plan.and_then(plan_version::read).map(without_dev);
    let wanted = wanted(&payload.terraform_version, from_plan, required_version::read(folder, engine))
        .map_err(|error| ToolError::Engine(error.into()))?;
    let installed = find_program(engine.program(), context.env.get("PATH").unwrap_or_default());
    let program = match (wanted, installed) {
        (None, Some(program)) => program,
        (None, None) => return Err(ToolError::Engine(EngineError::Missing(engine))),
        (Some(wanted), installed) => {
            let found = match &installed {
                Some(program) => installed_version(context, engine, program, dir, &env).await?,
                None => None,
            };
            choose(context, engine, wanted, installed, found).await.map_err(ToolError::Engine)?
        }
    };
    Ok(Tool { engine, program, env })
}

/// Returns the version of the program on the PATH; `None` after a stop request.
async fn installed_version(
    context: &Context<'_>,
    engine: Engine,
    program: &Path,
    dir: &WorkDir,
    env: &BTreeMap<String, String>,
) -> Result<Option<Version>, ToolError> {
    let args = vec!["version".into(), "-json".into()];
    let env = environment::without_arguments(env);
    let call = Invocation { program, args, dir: dir.path(), env: &env };
    let answer = output(&call, context.log, context.stop).await?;
    if context.stop.is_requested() {
        return Ok(None);
    }
    engine.read_version(&answer.unwrap_or_default()).map(Some).map_err(ToolError::Engine)
}

/// Returns the program on the PATH if it has the wanted version, else the one of the cache or of a download.
async fn choose(
    context: &Context<'_>,
    engine: Engine,
    wanted: Wanted,
    installed: Option<PathBuf>,
    found: Option<Version>,
) -> Result<PathBuf, EngineError> {
    if let Some(program) = &installed {
        let matches = found.as_ref().is_some_and(|found| {
            [found.clone(), without_dev(found.clone())].iter().any(|v| wanted.constraint.matches(v))
        });
        if matches || context.stop.is_requested() {
            return Ok(program.clone());
        }
    }
    // Not those of the workspace: the cache is shared.
    let proxies = Proxies::of_executor(context.env);
    let authorities =
        Authorities::new(context.env.get(authorities::SETTING).filter(|value| !value.is_empty()));
    let network = releases::Network { proxies: &proxies, authorities: authorities? };
    match releases::provide(context, engine, &wanted.constraint, &network).await {
        Ok(program) => Ok(program),
        // Terraform itself says best what is wrong with its own constraint, and a program that is there runs.
        Err(error) if wanted.origin != Origin::Workspace && installed.is_some() => {
            let error = crate::error_chain::chain(&error);
            context.log.note(&format!(
                "({} on PATH is used: {:?}, {}, is not available: {error})",
                engine.program(),
                wanted.constraint.to_string(),
                wanted.origin.text()
            ));
            installed.ok_or(EngineError::Missing(engine))
        }
        Err(source) => Err(match found {
            Some(found) => {
                let (found, source) = (found.to_string(), source.into());
                EngineError::Version { engine, found, wanted, source }
            }
            None => EngineError::NoRelease { engine, wanted, source: source.into() },
        }),
    }
}

#[cfg(test)]
mod tests;
