//! The payload of the step that is explained: from a file, or an example.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use config_core::Variables;
use job_spec::{AttemptKey, EphemeralJobData, Organization, StepType};
use uuid::Uuid;

/// Number of the first step of most templates.
const STEP_NUMBER: u32 = 100;

/// Reads a payload: JSON, or its base64.
///
/// # Errors
/// The error, without any part of the payload.
pub(super) fn parse(file: &str, text: &str) -> anyhow::Result<EphemeralJobData> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // One decoder for both, whose errors contain nothing of the payload.
    let encoded =
        if text.trim_start().starts_with('{') { STANDARD.encode(text) } else { text.trim().to_owned() };
    EphemeralJobData::decode(&encoded)
        .with_context(|| format!("{file}: expected a payload, JSON as in EphemeralJobData or its base64"))
}

/// Creates the payload of an example step whose executor finds these variables in its environment.
pub(super) fn example(step_type: StepType, key: &AttemptKey, environment: &Variables) -> EphemeralJobData {
    EphemeralJobData::new(step_type, key, example_id(3))
        .with_source("https://git.example.com/infra.git", "main")
        .with_environment(environment)
}

/// Creates the key of the first attempt at the first step of an example job.
pub(super) fn example_key(names: &[String]) -> AttemptKey {
    AttemptKey::new(organization(example_id(1), names), example_id(2), 1, STEP_NUMBER, 1)
}

fn example_id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

/// Creates the key of the first attempt at the first step of a payload's job;
/// the organization goes by these names too.
///
/// # Errors
/// A job id that is not a number.
pub(super) fn key_of(payload: &EphemeralJobData, names: &[String]) -> anyhow::Result<AttemptKey> {
    let job_id = payload.job_id.parse().with_context(|| {
        format!("the payload's jobId: found {:?}, expected a number without a sign", payload.job_id)
    })?;
    let organization = organization(payload.organization_id.clone(), names);
    Ok(AttemptKey::new(organization, payload.workspace_id.as_str(), job_id, STEP_NUMBER, 1))
}

/// An organization without a name goes by its id alone.
fn organization(id: String, names: &[String]) -> Organization {
    let (name, aliases) =
        names.split_first().map_or((id.clone(), &[][..]), |(name, rest)| (name.clone(), rest));
    aliases.iter().fold(Organization::new(id, name), Organization::with_alias)
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
            assert_eq!(key_of(&payload, &[]).unwrap().job_name().as_str(), "job-42-100-1");
        }
    }

    #[test]
    fn error_of_payload_hides_its_content() {
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
            key_of(&payload, &[]).unwrap_err().to_string(),
            "the payload's jobId: found \"forty\", expected a number without a sign"
        );
    }
}
