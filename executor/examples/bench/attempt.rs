//! One attempt of the executor.

use std::{path::Path, process::Stdio};

use job_spec::{EphemeralJobData, StepType};
use tokio::process::Command;

use crate::{Outcome, server::Server};

const PAYLOAD: &str = r#"{
    "type": "terraformPlan", "organizationId": "org", "workspaceId": "ws", "jobId": "1", "stepId": "s",
    "vcsType": "PUBLIC", "refresh": true, "showHeader": true,
    "variables": {"password": "correct horse battery"}
}"#;

/// Returns the command that runs one step of a source. It still needs a search path and a folder for
/// temporary files.
pub(crate) fn command(executor: &Path, server: &Server, step: StepType, source: &Path) -> Outcome<Command> {
    let mut payload: EphemeralJobData = serde_json::from_str(PAYLOAD)?;
    payload.step_type = step;
    payload.source = source.to_string_lossy().into_owned();
    let mut command = Command::new(executor);
    command
        .env_clear()
        .envs([
            ("EphemeralFlagBatch", "true"),
            ("EphemeralJobData", &payload.encode()),
            ("EphemeralAttemptUrl", &server.address),
            ("EphemeralAttemptToken", "token-of-the-benchmark"),
        ])
        .stdin(Stdio::null());
    Ok(command)
}
