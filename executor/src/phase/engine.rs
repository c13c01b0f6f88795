//! Phase 4: finds terraform or tofu, and checks its version.
//!
//! Nothing is downloaded: the program comes with the image.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::context::Context;
use crate::{
    child::{
        environment::{self, EnvironmentError},
        process::{Invocation, ProcessError, output},
        search_path::find_program,
    },
    work_paths::WorkDir,
};

/// Which of the two programs a workspace uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Terraform,
    Tofu,
}

/// The program cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("{} is not on PATH; install it from {} or use an image that has it", .0.program(), .0.page())]
    Missing(Engine),
    #[error(
        "{} on PATH has version {found:?}, expected {expected:?}, the version of the workspace",
        .engine.program()
    )]
    Version { engine: Engine, found: String, expected: String },
    #[error("{} does not print its version as JSON", .0.program())]
    UnknownVersion(Engine),
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

    /// Finds the program in the folders of a PATH value.
    fn locate(self, path: Option<&str>) -> Result<PathBuf, EngineError> {
        find_program(self.program(), path.unwrap_or_default()).ok_or(EngineError::Missing(self))
    }

    /// Compares the output of `version -json` with the version of the workspace.
    fn check_version(self, output: &str, expected: &str) -> Result<(), EngineError> {
        #[derive(Deserialize)]
        struct Version {
            // The name is the same in tofu.
            terraform_version: String,
        }
        let found = serde_json::from_str::<Version>(output).map_err(|_| EngineError::UnknownVersion(self))?;
        if found.terraform_version == expected.trim_start_matches('v') {
            return Ok(());
        }
        Err(EngineError::Version {
            engine: self,
            found: found.terraform_version,
            expected: expected.to_owned(),
        })
    }
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
    Process(#[from] ProcessError),
}

/// Finds the program, checks its version and builds its environment. After a stop request the version is not
/// checked.
pub(crate) async fn prepare(context: &Context<'_>, dir: &WorkDir) -> Result<Tool, ToolError> {
    let payload = context.payload();
    let engine = Engine::new(payload.tofu);
    let program = engine.locate(context.env.get("PATH")).map_err(ToolError::Engine)?;
    let env =
        environment::terraform(context.env, payload, context.state.url()).map_err(ToolError::Variables)?;
    if !payload.terraform_version.is_empty() {
        let args = vec!["version".into(), "-json".into()];
        let env = environment::without_arguments(&env);
        let call = Invocation { program: &program, args, dir: dir.path(), env: &env };
        let version = output(&call, context.log, context.stop).await?;
        if !context.stop.is_requested() {
            engine
                .check_version(&version.unwrap_or_default(), &payload.terraform_version)
                .map_err(ToolError::Engine)?;
        }
    }
    Ok(Tool { engine, program, env })
}

#[cfg(test)]
mod tests;
