//! Prints the Kubernetes Job of a plan step as YAML, its secrets redacted.
//!
//! ```text
//! cargo run -p job-spec --example print_job
//! cargo run -p job-spec --example print_job -- EPHEMERAL_CONFIG_TOLERATIONS='spot:Exists;gpu=true'
//! ```
//!
//! Arguments are variables of the workspace. A wrong one is refused as the api-server would refuse it. What decided each
//! field is told by `api-server explain`.

use std::{error::Error, io::Write as _, process::ExitCode};

use config_core::{EnvSnapshot, EphemeralSettings, Rules, StepKind, Variables, WorkspaceOverrides};
use job_spec::{AttemptKey, EphemeralJobData, JobRequest, redacted, render, validate};

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
    let overrides = WorkspaceOverrides::parse(&variables, Some(StepKind::Plan))?;

    let payload: EphemeralJobData = serde_json::from_value(serde_json::json!({
        "type": "terraformPlan",
        "organizationId": "0b8a3c10-0000-4000-8000-000000000001",
        "workspaceId": "7c1d2e5a-0000-4000-8000-000000000002",
        "jobId": "42",
        "stepId": "d2f0aa11-0000-4000-8000-000000000100",
        "source": "https://github.com/acme/infra.git",
        "branch": "main",
    }))?;
    let plan = validate(&JobRequest {
        key: AttemptKey {
            organization_id: payload.organization_id.clone(),
            workspace_id: payload.workspace_id.clone(),
            job_id: 42,
            step_number: 100,
            attempt: 1,
        },
        settings: &settings,
        overrides: &overrides,
        // No policy file: the built-in rules.
        rules: &Rules::default(),
        payload: &payload,
        access: None,
    })?;
    let yaml = serde_saphyr::to_string(&redacted(&render(&plan)))?;
    std::io::stdout().write_all(yaml.as_bytes())?;
    Ok(())
}
