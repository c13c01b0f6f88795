//! Terraform or OpenTofu, whichever is on this machine.

use anyhow::bail;

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

    /// Finds the tool on the `PATH`; Terraform if both are there.
    ///
    /// # Errors
    /// Neither is there.
    pub(crate) fn find() -> anyhow::Result<Self> {
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
