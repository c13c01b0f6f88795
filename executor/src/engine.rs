//! Finds terraform or tofu, and writes their command lines.
//!
//! Searching takes the value of PATH and looks at files; nothing is downloaded and nothing is started here.

use std::{
    ffi::OsString,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use job_spec::StepType;
use serde::Deserialize;

/// Which of the two programs a workspace uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Terraform,
    Tofu,
}

/// The program cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EngineError {
    #[error("{program} is not on PATH; install it from {page} or use an image that has it", program = .0.program(), page = .0.page())]
    Missing(Engine),
    #[error("{program} on PATH has version {found:?}, expected {expected:?} as the workspace says", program = .engine.program())]
    Version { engine: Engine, found: String, expected: String },
    #[error("{program} does not tell its version", program = .0.program())]
    Silent(Engine),
}

impl Engine {
    /// The program of a payload.
    pub(crate) const fn new(tofu: bool) -> Self {
        if tofu { Self::Tofu } else { Self::Terraform }
    }

    /// File name of the program.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Tofu => "tofu",
        }
    }

    const fn page(self) -> &'static str {
        match self {
            Self::Terraform => "https://developer.hashicorp.com/terraform/install",
            Self::Tofu => "https://opentofu.org/docs/intro/install",
        }
    }

    /// Finds the program in the folders of a PATH value.
    pub(crate) fn locate(self, path: Option<&str>) -> Result<PathBuf, EngineError> {
        find_program(self.program(), path.unwrap_or_default()).ok_or(EngineError::Missing(self))
    }

    /// Compares the answer of `version -json` with what the workspace asks for.
    pub(crate) fn check_version(self, answer: &str, expected: &str) -> Result<(), EngineError> {
        #[derive(Deserialize)]
        struct Version {
            // Tofu has kept the name.
            terraform_version: String,
        }
        let found = serde_json::from_str::<Version>(answer).map_err(|_| EngineError::Silent(self))?;
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

/// Finds an executable file in the folders of a PATH value. Relative folders are skipped: they would be looked up in the
/// configuration.
pub(crate) fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// What of the payload shapes the command lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) step: StepType,
    pub(crate) refresh: bool,
    pub(crate) refresh_only: bool,
    pub(crate) color: bool,
}

/// The arguments of `init`.
pub(crate) fn init_args(options: Options) -> Vec<OsString> {
    let mut args = vec!["init".into(), "-input=false".into()];
    add_color(&mut args, options);
    args
}

/// The arguments of the command that the step is for; `None` for steps without one.
///
/// A plan step writes `plan_file`; an apply with `reviewed` applies exactly that file.
pub(crate) fn step_args(options: Options, plan_file: &Path, reviewed: bool) -> Option<Vec<OsString>> {
    let mut args: Vec<OsString> = Vec::new();
    match options.step {
        StepType::TerraformPlan | StepType::TerraformPlanDestroy => {
            let mut out = OsString::from("-out=");
            out.push(plan_file);
            args.extend(["plan".into(), "-input=false".into(), "-detailed-exitcode".into(), out]);
            if !options.refresh {
                args.push("-refresh=false".into());
            }
            if options.refresh_only {
                args.push("-refresh-only".into());
            }
            if options.step == StepType::TerraformPlanDestroy {
                args.push("-destroy".into());
            }
        }
        StepType::TerraformApply if reviewed => args.extend(["apply".into(), "-input=false".into()]),
        StepType::TerraformApply => {
            args.extend(["apply".into(), "-input=false".into(), "-auto-approve".into()]);
        }
        StepType::TerraformDestroy => {
            args.extend(["destroy".into(), "-input=false".into(), "-auto-approve".into()]);
        }
        StepType::CustomScripts | StepType::Approval => return None,
    }
    add_color(&mut args, options);
    if options.step == StepType::TerraformApply && reviewed {
        args.push(plan_file.into());
    }
    Some(args)
}

fn add_color(args: &mut Vec<OsString>, options: Options) {
    // Terraform colours its output even into a pipe; logs are shown with colours.
    if !options.color {
        args.push("-no-color".into());
    }
}

#[cfg(test)]
mod tests;
