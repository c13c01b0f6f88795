//! Finds out which of Terraform and OpenTofu is on this machine.

use anyhow::bail;

use crate::environment::Environment;

/// The program that the executors will run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tool {
    Terraform,
    Tofu,
}

impl Tool {
    /// Returns the name of the program, which is also the API's word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::Tofu => "tofu",
        }
    }
}

/// Finds the tool on the search path; Terraform if both are there.
///
/// # Errors
/// Neither is there; the text says how to get one.
pub(crate) fn find(environment: &Environment) -> anyhow::Result<Tool> {
    let found = [Tool::Terraform, Tool::Tofu]
        .into_iter()
        .find(|tool| environment.find_program(tool.name()).is_some());
    match found {
        Some(tool) => Ok(tool),
        None => bail!(
            "neither terraform nor tofu is on your PATH: install one of them (https://developer.hashicorp.com/terraform/install \
             or https://opentofu.org/docs/intro/install) and try again"
        ),
    }
}
