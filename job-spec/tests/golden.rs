//! Golden Jobs: `golden/<rule>/input.yaml` renders as `golden/<rule>/job.yaml`, byte for byte.
//!
//! The expected Jobs are plain YAML files, so that other tools can read them too. `UPDATE_GOLDEN=1` writes them; the
//! difference is the review.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by a panic too")]

use std::{collections::BTreeMap, fs, path::Path};

use config_core::{EnvSnapshot, EphemeralSettings, WorkspaceOverrides};
use job_spec::{AttemptAccess, AttemptKey, EphemeralJobData, JobRequest, render, secret_of, validate};
use k8s_openapi::api::batch::v1::Job;
use serde::Deserialize;

/// What a case sets; the ids of the attempt are the same in all cases and differ from each other.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Input {
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    workspace: BTreeMap<String, String>,
    access: Option<Access>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Access {
    url: String,
    token: String,
}

/// Renders the Job, and the Secret that belongs to it.
fn objects_of(input: Input) -> (String, Option<String>) {
    let Input { environment, workspace, access } = input;
    let key = AttemptKey {
        organization_id: "0b8a3c10-0000-4000-8000-000000000001".to_owned(),
        workspace_id: "7c1d2e5a-0000-4000-8000-000000000002".to_owned(),
        job_id: 42,
        step_number: 100,
        attempt: 3,
    };
    let payload: EphemeralJobData = serde_json::from_value(serde_json::json!({
        "type": "terraformPlan",
        "organizationId": key.organization_id,
        "workspaceId": key.workspace_id,
        "jobId": "42",
        "stepId": "d2f0aa11-0000-4000-8000-000000000100",
        "terraformVersion": "1.9.8",
        "source": "https://github.com/acme/infra.git",
        "branch": "main",
        "folder": "/",
        "vcsType": "PUBLIC",
        "refresh": true,
    }))
    .unwrap();
    let env: EnvSnapshot = environment.into_iter().collect();
    let plan = validate(&JobRequest {
        key,
        settings: &EphemeralSettings::load(&env).unwrap(),
        overrides: &WorkspaceOverrides::parse(&workspace.into_iter().collect(), payload.step_type.kind())
            .unwrap(),
        payload: &payload,
        access: access.map(|Access { url, token }| AttemptAccess { url, token }),
    })
    .unwrap();
    let job = render(&plan);
    let yaml = serde_saphyr::to_string(&job).unwrap();
    let read_back: Job = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(read_back, job, "the YAML says the same as the Job");
    (yaml, secret_of(&plan).map(|secret| serde_saphyr::to_string(&secret).unwrap()))
}

/// Says at which line two texts part, which a whole Job in a panic message does not.
fn first_difference(expected: &str, actual: &str) -> String {
    let (mut expected, mut actual) = (expected.lines(), actual.lines());
    for number in 1.. {
        match (expected.next(), actual.next()) {
            (None, None) => break,
            (left, right) if left == right => {}
            (left, right) => return format!("line {number}: expected {left:?}, rendered {right:?}"),
        }
    }
    "the line ends differ".to_owned()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a person asks by this variable to write the files instead of comparing them"
)]
fn every_case_renders_its_golden_job() {
    let update = std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut differences = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let case = entry.unwrap().path();
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let input = fs::read_to_string(case.join("input.yaml")).unwrap();
        let input = serde_saphyr::from_str(&input).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (job, secret) = objects_of(input);
        for (file, actual) in [("job.yaml", Some(job)), ("secret.yaml", secret)] {
            let golden = case.join(file);
            if let Some(actual) = actual.as_ref().filter(|_| update) {
                fs::write(&golden, actual).unwrap();
            }
            let (expected, actual) =
                (fs::read_to_string(&golden).unwrap_or_default(), actual.unwrap_or_default());
            if expected != actual {
                differences.push(format!("{name}/{file}: {}", first_difference(&expected, &actual)));
            }
        }
        cases += 1;
    }
    differences.sort();
    assert!(cases > 10, "the cases were not found");
    assert!(differences.is_empty(), "UPDATE_GOLDEN=1 writes the files\n{}", differences.join("\n"));
}
