//! Tables of valid and invalid inputs.

use std::time::Duration;

use config_core::EnvSnapshot;
use job_spec::EphemeralJobData;

use super::{EnvInput, check_id, grace_period};
use crate::error_chain::chain;

fn payload(workspace: &str) -> String {
    let text = format!(
        r#"{{"type":"terraformPlan","organizationId":"org-1","workspaceId":{workspace:?},
            "jobId":"7","stepId":"s"}}"#
    );
    serde_json::from_str::<EphemeralJobData>(&text).unwrap().encode()
}

fn environment(changes: &[(&str, Option<&str>)]) -> EnvSnapshot {
    let mut all: Vec<(String, String)> = vec![
        ("EphemeralFlagBatch".into(), "true".into()),
        ("EphemeralJobData".into(), payload("ws-1")),
        ("EphemeralAttemptUrl".into(), "http://127.0.0.1:1/executor/v1/attempts/a/".into()),
        ("EphemeralAttemptToken".into(), "attempt-token".into()),
    ];
    for (name, value) in changes {
        all.retain(|(existing, _)| existing != name);
        all.extend(value.map(|value| ((*name).to_owned(), value.to_owned())));
    }
    all.into_iter().collect()
}

#[test]
fn reads_complete_environment_and_debug_shows_no_token() {
    let input = EnvInput::load(&environment(&[])).unwrap();
    assert_eq!(input.url, "http://127.0.0.1:1/executor/v1/attempts/a");
    assert_eq!(input.temp.to_str(), Some("/tmp"));
    assert!(input.color);
    assert!(!format!("{input:?}").contains("attempt-token"));
    assert!(!EnvInput::load(&environment(&[("TerrakubeEnableColorOutput", Some("False"))])).unwrap().color);
}

#[test]
fn grace_period_is_optional() {
    let found = |value| grace_period(&environment(&[("EphemeralGracePeriodSeconds", value)])).unwrap();
    assert_eq!(found(Some("300")), Some(Duration::from_mins(5)));
    assert_eq!(found(Some("")), None);
    assert_eq!(found(None), None);
}

#[test]
fn names_every_invalid_variable() {
    let cases = [
        ("EphemeralAttemptUrl", None, "environment variable EphemeralAttemptUrl is not set"),
        (
            "EphemeralAttemptUrl",
            Some("ftp://x"),
            "environment variable EphemeralAttemptUrl is \"ftp://x\", expected an http or https address",
        ),
        ("EphemeralAttemptToken", Some(""), "environment variable EphemeralAttemptToken is not set"),
        (
            "EphemeralGracePeriodSeconds",
            Some("5m"),
            "environment variable EphemeralGracePeriodSeconds is \"5m\", expected a number of seconds",
        ),
        ("TMPDIR", Some("tmp"), "environment variable TMPDIR is \"tmp\", expected an absolute path"),
    ];
    for (name, value, expected) in cases {
        let error = EnvInput::load(&environment(&[(name, value)])).unwrap_err();
        assert_eq!(chain(&error), expected);
    }
    let bad = EnvInput::load(&environment(&[("EphemeralJobData", Some("%%%"))])).unwrap_err();
    assert!(chain(&bad).starts_with("could not decode the payload: EphemeralJobData is not standard base64"));
    let bad = EnvInput::load(&environment(&[("EphemeralFlagBatch", None)])).unwrap_err();
    assert!(chain(&bad).contains("EphemeralFlagBatch"), "{}", chain(&bad));
}

#[test]
fn payload_of_claim_is_validated_and_payload_of_environment_takes_precedence() {
    let claimed = |of_environment: Option<&str>, of_claim: Option<&str>| {
        let env = environment(&[("EphemeralJobData", of_environment)]);
        let input = EnvInput::load(&env).unwrap().with_claim(of_claim);
        input.map(|input| input.payload.workspace_id).map_err(|error| chain(&error))
    };
    let (mine, other) = (payload("ws-1"), payload("ws-2"));
    assert_eq!(claimed(None, Some(&other)).as_deref(), Ok("ws-2"));
    assert_eq!(claimed(Some(&mine), Some(&other)).as_deref(), Ok("ws-1"));
    assert_eq!(claimed(Some(&mine), None).as_deref(), Ok("ws-1"));
    assert!(claimed(None, None).unwrap_err().contains("neither in environment variable EphemeralJobData"));
    assert!(claimed(None, Some("%")).unwrap_err().contains("not standard base64"));
    assert!(claimed(None, Some(&payload("../x"))).unwrap_err().starts_with("workspaceId is \"../x\""));
}

#[test]
fn rejects_id_that_could_leave_its_folder() {
    let text = payload("../other");
    let error = EnvInput::load(&environment(&[("EphemeralJobData", Some(&text))])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "workspaceId is \"../other\", expected 1 to 63 letters, digits, dashes or underscores"
    );
    for invalid in ["", ".", "..", "a/b", "a b", "a\0b", "é", &"x".repeat(64)] {
        assert!(check_id("id", invalid).is_err(), "{invalid:?}");
    }
    for valid in ["a", "0b8a3c10-0000-4000-8000-000000000001", "A_b-9"] {
        assert!(check_id("id", valid).is_ok(), "{valid:?}");
    }
}
