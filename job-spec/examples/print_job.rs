//! Prints the Kubernetes Job of a plan step as YAML, its secrets redacted.
//!
//! ```text
//! cargo run -p job-spec --example print_job
//! cargo run -p job-spec --example print_job -- EPHEMERAL_CONFIG_TOLERATIONS='spot:Exists;gpu=true'
//! ```
//!
//! Arguments are variables of the workspace. The example refuses what the api-server would refuse.
//! `api-server explain` shows what decided each field.

use std::{error::Error, io::Write as _, process::ExitCode};

use config_core::{EnvSnapshot, EphemeralSettings, Policy, Variables};
use job_spec::{AttemptKey, EphemeralJobData, Organization, Planner, StepType, redacted};

fn main() -> ExitCode {
    match print_job(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn print_job(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let variables: Variables = arguments
        .map(|argument| match argument.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("argument {argument:?}: expected NAME=VALUE")),
        })
        .collect::<Result<_, _>>()?;

    // The operator's settings, which a server takes from its environment.
    let environment: EnvSnapshot = [
        ("ExecutorEphemeralImage", "azbuilder/executor:2.27.2"),
        ("JAVA_TOOL_OPTIONS", "-Dorg.terrakube.executor.ephemeral.nodeSelector.diskType=ssd"),
    ]
    .into_iter()
    .collect();
    let settings = EphemeralSettings::load(&environment)?;
    // Without a policy file the built-in policy applies.
    let policy = Policy::default();

    let organization = Organization::new("0b8a3c10-0000-4000-8000-000000000001", "acme");
    let key = AttemptKey::new(organization, "7c1d2e5a-0000-4000-8000-000000000002", 42, 100, 1);
    let planner = Planner::new(&settings, &policy);
    let payload =
        EphemeralJobData::new(StepType::TerraformPlan, &key, "d2f0aa11-0000-4000-8000-000000000100")
            .with_source("https://github.com/acme/infra.git", "main")
            .with_environment(&planner.environment(&variables, &key));
    let plan = planner.plan(&variables, &payload, &key, None)?;
    let yaml = serde_saphyr::to_string(&redacted(&plan.job()))?;
    std::io::stdout().write_all(yaml.as_bytes())?;
    Ok(())
}
