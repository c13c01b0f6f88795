//! The command `explain`: files, standard input, exit codes, and plain text in a pipe.

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

fn explain(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_api-server"))
        .arg("explain")
        .args(arguments)
        .env_clear()
        .env("ExecutorEphemeralNamespace", "staging")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may have exited before it reads its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn shows_kubernetes_job_without_refused_variables() {
    let variables = "EPHEMERAL_CONFIG_TOLERATIONS=spot:Exsts\nEPHEMERAL_CPU_LIMIT=2\n";
    let output = explain(&["--workspace-env", "-"], variables);
    assert_eq!(output.status.code(), Some(1));
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let job: Job = serde_saphyr::from_str(&out).unwrap();
    assert_eq!(job.metadata.namespace.as_deref(), Some("staging"));
    assert!(out.contains("cpu: \"2\" # workspace variable EPHEMERAL_CPU_LIMIT\n"), "{out}");
    assert!(err.contains("refused: workspace variable EPHEMERAL_CONFIG_TOLERATIONS: "), "{err}");
    assert!(!out.contains("tolerations") && !(out + &err).contains('\u{1b}'));
}

#[test]
fn explains_plan_and_apply_with_their_own_service_accounts() {
    let variables =
        "EPHEMERAL_CONFIG_SERVICE_ACCOUNT=deployer\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT_PLAN=reader\n";
    for (step_type, account, variable) in [
        (None, "reader", "EPHEMERAL_CONFIG_SERVICE_ACCOUNT_PLAN"),
        (Some("terraformPlanDestroy"), "reader", "EPHEMERAL_CONFIG_SERVICE_ACCOUNT_PLAN"),
        (Some("terraformDestroy"), "deployer", "EPHEMERAL_CONFIG_SERVICE_ACCOUNT"),
    ] {
        let arguments: Vec<&str> = ["--workspace-env", "-"]
            .into_iter()
            .chain(step_type.into_iter().flat_map(|name| ["--step-type", name]))
            .collect();
        let output = explain(&arguments, variables);
        let out = String::from_utf8(output.stdout).unwrap();
        let line = format!("serviceAccountName: {account} # workspace variable {variable}\n");
        assert!(output.status.success() && out.contains(&line), "{out}");
    }
    let output = explain(&["--step-type", "approval"], "");
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("[possible values: terraformPlan, ") && output.status.code() == Some(2), "{err}");
}

#[test]
fn merges_files_of_every_layer_into_one_json_document() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let arguments = [
        format!("--workspace-env={}", write("workspace.yaml", "EPHEMERAL_CONFIG_PRIORITY_CLASS: high")),
        format!("--global-env={}", write("global.env", "EPHEMERAL_CONFIG_TTL=1m")),
        format!("--collection-env={}", write("gpu.json", r#"{"EPHEMERAL_CPU_LIMIT": "2"}"#)),
        format!("--settings={}", write("settings.toml", "image = \"executor:1\"")),
        format!(
            "--policy={}",
            write("policy.toml", "[organizations.acme]\nallow = ['EPHEMERAL_CONFIG_PRIORITY_CLASS']")
        ),
        "--organization=acme".to_owned(),
        "--format=json".to_owned(),
    ];
    let output = explain(&arguments.each_ref().map(String::as_str), "");
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && err.is_empty(), "{err}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let origin = |path: &str| {
        let field = answer["fields"].as_array().unwrap().iter().find(|field| field["path"] == path).unwrap();
        format!("{} {}", field["source"].as_str().unwrap(), field["key"].as_str().unwrap())
    };
    assert_eq!(origin("spec.template.spec.priorityClassName"), "workspace EPHEMERAL_CONFIG_PRIORITY_CLASS");
    assert_eq!(origin("spec.ttlSecondsAfterFinished"), "global EPHEMERAL_CONFIG_TTL");
    let container = "spec.template.spec.containers[executor]";
    assert_eq!(origin(&format!("{container}.resources.limits.cpu")), "collection gpu/EPHEMERAL_CPU_LIMIT");
    assert_eq!(origin(&format!("{container}.image")), "settingsFile image");
}

#[test]
fn names_file_that_cannot_be_read_and_rejects_standard_input_twice() {
    for (arguments, expected) in [
        (["--workspace-env", "/nowhere/w.env", "--job", "-"], "/nowhere/w.env"),
        (["--workspace-env", "-", "--job", "-"], "only one FILE"),
    ] {
        let output = explain(&arguments, "");
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(err.starts_with("error: ") && err.contains(expected), "{err}");
        assert!(output.stdout.is_empty());
    }
}
