//! Tables of good and bad inputs.

use config_core::EnvSnapshot;
use job_spec::EphemeralJobData;

use super::{Given, check_id};
use crate::chain::chain;

fn payload(workspace: &str) -> String {
    let text = format!(
        r#"{{"type":"terraformPlan","organizationId":"org-1","workspaceId":{workspace:?},"jobId":"7","stepId":"s"}}"#
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
fn a_complete_environment_is_read_and_its_debug_text_hides_the_token() {
    let input = Given::load(&environment(&[])).unwrap();
    assert_eq!(input.url, "http://127.0.0.1:1/executor/v1/attempts/a");
    assert_eq!(input.temp.to_str(), Some("/tmp"));
    assert!(input.color);
    assert!(!format!("{input:?}").contains("attempt-token"));
    assert!(!Given::load(&environment(&[("TerrakubeEnableColorOutput", Some("False"))])).unwrap().color);
}

#[test]
fn every_fault_is_named() {
    let cases = [
        ("EphemeralAttemptUrl", None, "environment variable EphemeralAttemptUrl is not set"),
        (
            "EphemeralAttemptUrl",
            Some("ftp://x"),
            "environment variable EphemeralAttemptUrl is \"ftp://x\", expected an http or https address",
        ),
        ("EphemeralAttemptToken", Some(""), "environment variable EphemeralAttemptToken is not set"),
        ("TMPDIR", Some("tmp"), "environment variable TMPDIR is \"tmp\", expected an absolute path"),
    ];
    for (name, value, expected) in cases {
        let error = Given::load(&environment(&[(name, value)])).unwrap_err();
        assert_eq!(chain(&error), expected);
    }
    let bad = Given::load(&environment(&[("EphemeralJobData", Some("%%%"))])).unwrap_err();
    assert!(chain(&bad).starts_with("the payload cannot be read: EphemeralJobData is not standard base64"));
    let bad = Given::load(&environment(&[("EphemeralFlagBatch", None)])).unwrap_err();
    assert!(chain(&bad).contains("EphemeralFlagBatch"), "{}", chain(&bad));
}

#[test]
fn a_payload_of_the_claim_is_checked_like_one_of_the_environment_which_wins() {
    let claimed = |of_environment: Option<&str>, of_claim: Option<&str>| {
        let env = environment(&[("EphemeralJobData", of_environment)]);
        let input = Given::load(&env).unwrap().claimed(of_claim);
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
fn an_id_that_could_leave_its_folder_is_refused() {
    let text = payload("../other");
    let error = Given::load(&environment(&[("EphemeralJobData", Some(&text))])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "workspaceId is \"../other\", expected 1 to 63 letters, digits, dashes or underscores"
    );
    for bad in ["", ".", "..", "a/b", "a b", "a\0b", "é", &"x".repeat(64)] {
        assert!(check_id("id", bad).is_err(), "{bad:?}");
    }
    for good in ["a", "0b8a3c10-0000-4000-8000-000000000001", "A_b-9"] {
        assert!(check_id("id", good).is_ok(), "{good:?}");
    }
}
