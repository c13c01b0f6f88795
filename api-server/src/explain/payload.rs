//! The payload of the step that is explained: one that somebody has, or one of made-up ids.

use std::collections::BTreeMap;

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use job_spec::{AttemptKey, EphemeralJobData, StepType};
use uuid::Uuid;

/// Reads a payload: JSON, or its base64.
///
/// # Errors
/// What is wrong with it, without a piece of it.
pub(super) fn parse(file: &str, text: &str) -> anyhow::Result<EphemeralJobData> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // One road for both, whose errors hold nothing of the payload.
    let encoded =
        if text.trim_start().starts_with('{') { STANDARD.encode(text) } else { text.trim().to_owned() };
    EphemeralJobData::decode(&encoded)
        .with_context(|| format!("{file}: expected a payload, JSON as in EphemeralJobData or its base64"))
}

/// Makes a step of nobody's job; the executor would find these variables in its environment.
pub(super) fn example(
    step_type: StepType,
    environment_variables: BTreeMap<String, String>,
) -> EphemeralJobData {
    EphemeralJobData {
        command_list: None,
        step_type,
        organization_id: made_up(1),
        workspace_id: made_up(2),
        job_id: "1".to_owned(),
        step_id: made_up(3),
        terraform_version: String::new(),
        source: "https://git.example.com/infra.git".to_owned(),
        branch: "main".to_owned(),
        folder: "/".to_owned(),
        vcs_type: "PUBLIC".to_owned(),
        connection_type: None,
        access_token: None,
        module_ssh_key: None,
        commit_id: None,
        refresh: true,
        refresh_only: false,
        show_header: true,
        ignore_error: false,
        tofu: false,
        environment_variables,
        variables: BTreeMap::new(),
    }
}

fn made_up(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

/// Makes the key of the first attempt at the first step of a payload's job.
///
/// # Errors
/// An id of a job that is no number.
pub(super) fn key_of(payload: &EphemeralJobData) -> anyhow::Result<AttemptKey> {
    let job_id = payload.job_id.parse().with_context(|| {
        format!("the payload's jobId: found {:?}, expected a number without a sign", payload.job_id)
    })?;
    Ok(AttemptKey {
        organization_id: payload.organization_id.clone(),
        workspace_id: payload.workspace_id.clone(),
        job_id,
        step_number: 100,
        attempt: 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"type":"terraformApply","organizationId":"acme","workspaceId":"net","jobId":"42","stepId":"1","accessToken":"hunter2"}"#;

    #[test]
    fn a_payload_is_read_as_json_and_as_base64() {
        for text in [JSON.to_owned(), format!("\n  {JSON}\n"), format!("{}\n", STANDARD.encode(JSON))] {
            let payload = parse("job.json", &text).unwrap();
            assert_eq!((payload.step_type, payload.job_id.as_str()), (StepType::TerraformApply, "42"));
            assert_eq!(key_of(&payload).unwrap().job_name().as_str(), "job-42-100-1");
        }
    }

    #[test]
    fn a_faulty_payload_is_told_without_a_piece_of_it() {
        for (text, expected) in [
            (JSON.replace("\"acme\"", "[\"hunter2\"]"), "expected"),
            (JSON.replace("hunter2\"", "hunter2"), "EOF"),
            ("hunter2!".to_owned(), "not standard base64"),
            (String::new(), "EOF"),
        ] {
            let error = format!("{:#}", parse("job.json", &text).unwrap_err());
            assert!(error.starts_with("job.json: ") && error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let payload = parse("job.json", &JSON.replace("42", "forty")).unwrap();
        assert_eq!(
            key_of(&payload).unwrap_err().to_string(),
            "the payload's jobId: found \"forty\", expected a number without a sign"
        );
    }
}
