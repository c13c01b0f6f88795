//! Which layer wins, and which errors are reported.

use config_core::{EnvSnapshot, SettingsFile, SourceName};
use job_spec::Field;

use super::*;

fn file(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

fn settings(toml: &str) -> EphemeralSettings {
    let file = SettingsFile::parse(toml).unwrap();
    EphemeralSettings::load_with(&EnvSnapshot::default(), Some(&file)).unwrap()
}

fn inputs(texts: Texts) -> Inputs {
    Inputs::new(texts, EphemeralSettings::default(), Policy::default(), &[]).unwrap()
}

fn field(preview: &Preview, path: &str) -> Field {
    let fields = &preview.explanation.as_ref().expect("a Job").fields;
    fields.iter().find(|field| field.path.ends_with(path)).unwrap_or_else(|| panic!("no {path}")).clone()
}

#[test]
fn workspace_variables_win_over_global_collection_and_settings_file() {
    let texts = Texts {
        workspace: Some(file("w.env", "EPHEMERAL_CPU_LIMIT=1")),
        global: Some(file("g.yaml", "{EPHEMERAL_CPU_LIMIT: 2, EPHEMERAL_CPU_REQUEST: 500m}")),
        collections: vec![
            file("/etc/first.env", "EPHEMERAL_CPU_REQUEST=3\nEPHEMERAL_MEMORY_LIMIT=3Gi"),
            file("second.json", r#"{"EPHEMERAL_MEMORY_LIMIT": "4Gi", "EPHEMERAL_MEMORY_REQUEST": "1Gi"}"#),
        ],
        ..Texts::default()
    };
    let settings = settings(
        "[organizations.acme.variables]\nEPHEMERAL_MEMORY_REQUEST = '5Gi'\nEPHEMERAL_STORAGE_LIMIT = '6Gi'",
    );
    let inputs = Inputs::new(texts, settings, Policy::default(), &["acme".to_owned()]).unwrap();
    let preview = inputs.preview(Profile::Safe);
    assert_eq!(preview.refused, []);
    for (path, value, origin) in [
        ("limits.cpu", "1", "workspace variable EPHEMERAL_CPU_LIMIT"),
        ("requests.cpu", "500m", "global variable EPHEMERAL_CPU_REQUEST"),
        ("limits.memory", "3Gi", "collection variable first/EPHEMERAL_MEMORY_LIMIT"),
        ("requests.memory", "1Gi", "collection variable second/EPHEMERAL_MEMORY_REQUEST"),
        (
            "limits.ephemeral-storage",
            "6Gi",
            "settings file organizations.acme.variables.EPHEMERAL_STORAGE_LIMIT",
        ),
    ] {
        let field = field(&preview, path);
        assert_eq!(
            (field.value.as_str(), field.origin.to_string().as_str()),
            (Some(value), origin),
            "{path}"
        );
    }
}

#[test]
fn payload_determines_kind_of_step_and_organization() {
    let payload =
        r#"{"type":"terraformApply","organizationId":"acme","workspaceId":"net","jobId":"42","stepId":"1"}"#;
    let texts = Texts {
        workspace: Some(file("w.env", "EPHEMERAL_CPU_LIMIT_APPLY=2\nEPHEMERAL_CPU_LIMIT_PLAN=1")),
        job: Some(file("job.json", payload)),
        ..Texts::default()
    };
    let policy = Policy::parse("[organizations.acme.maximum]\ncpu = '1500m'").unwrap();
    let preview =
        Inputs::new(texts, EphemeralSettings::default(), policy, &[]).unwrap().preview(Profile::Safe);
    let keys: Vec<&str> = preview.refused.iter().map(|problem| problem.origin.key.as_str()).collect();
    assert_eq!(keys, ["EPHEMERAL_CPU_LIMIT_APPLY"]);
    let limit = field(&preview, "limits.cpu");
    assert_eq!((limit.value.as_str(), limit.origin.source), (Some("1500m"), SourceName::Policy));
    assert_eq!(field(&preview, "metadata.name").value, "job-42-100-1");
}

#[test]
fn example_payload_holds_variables_and_is_checked_for_size() {
    let texts =
        |value: &str| Texts { workspace: Some(file("w.env", &format!("A={value}"))), ..Texts::default() };
    assert_eq!(inputs(texts("1")).payload.environment_variables["A"], "1");
    let preview = inputs(texts(&"x".repeat(100_000))).preview(Profile::Safe);
    assert_eq!(preview.refused[0].origin.key, "EphemeralJobData");
    assert_eq!(preview.explanation, None);
}

#[test]
fn reports_errors_of_all_files_together() {
    let texts = Texts {
        workspace: Some(file("w.env", "hunter2")),
        global: Some(file("g.json", "[]")),
        collections: vec![file("c.env", "=")],
        ..Texts::default()
    };
    let error =
        Inputs::new(texts, EphemeralSettings::default(), Policy::default(), &[]).unwrap_err().to_string();
    assert_eq!(
        error,
        "the variables cannot be read\n\
         w.env line 1: expected NAME=value\n\
         g.json: found a list, expected an object of names and values\n\
         c.env line 1: expected the name of an environment variable before the `=`"
    );
}
