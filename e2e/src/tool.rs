//! Terraform or OpenTofu, whichever is on this machine.

use anyhow::{bail, ensure};

use crate::session::find_on_path;

/// The program that executors run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tool {
    Terraform,
    Tofu,
}

impl Tool {
    /// Returns the name of the program, which is also its name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Tofu => "tofu",
        }
    }

    /// Returns the chosen tool, or the one on the `PATH`; Terraform if both are there.
    ///
    /// # Errors
    /// Neither is there, or the chosen one is not.
    pub(crate) fn find(chosen: Option<Self>) -> anyhow::Result<Self> {
        if let Some(tool) = chosen {
            ensure!(find_on_path(tool.name()).is_some(), "{} is not on your PATH", tool.name());
            return Ok(tool);
        }
        let found =
            [Self::Terraform, Self::Tofu].into_iter().find(|tool| find_on_path(tool.name()).is_some());
        match found {
            Some(tool) => Ok(tool),
            None => bail!(
                "neither terraform nor tofu is on your PATH: install one of them \
                 (https://developer.hashicorp.com/terraform/install or \
                 https://opentofu.org/docs/intro/install)"
            ),
        }
    }
}
