//! Environment variables of the workspace: what reaches the real terraform, and what is refused.

use job_spec::{StepType, attempt_api::StepOutcome};

use crate::support::{Bench, engine, have};

const ENVIRONMENT: &str = "resource \"terraform_data\" \"one\" {\n  provisioner \"local-exec\" {\n    \
                           command = \"env | sort; tool\"\n  }\n}\n";

fn set(bench: &mut Bench, name: &str, value: &str) {
    bench.payload.environment_variables.insert(name.into(), value.into());
}

#[tokio::test]
async fn options_that_make_terraform_do_nothing_or_something_else_are_refused() {
    if !have("terraform") {
        return;
    }
    for (step, name, value, expected) in [
        (StepType::TerraformPlan, "TF_CLI_ARGS", "-help", "TF_CLI_ARGS: found \"-help\""),
        (StepType::TerraformApply, "TF_CLI_ARGS_apply", "-version", "TF_CLI_ARGS_apply: found \"-version\""),
        (StepType::TerraformPlan, "TF_CLI_ARGS_plan", "-out=x", "TF_CLI_ARGS_plan: found \"-out\""),
        (StepType::TerraformApply, "TF_CLI_ARGS_apply", "-destroy", "TF_CLI_ARGS_apply: found \"-destroy\""),
        (StepType::TerraformApply, "TF_CLI_ARGS_apply", "-lock=false", "found \"-lock=false\""),
        (StepType::TerraformApply, "GIT_DIR", "/x/.git", "GIT_DIR: expected the variable not to be set"),
    ] {
        let mut bench = Bench::new("resource \"terraform_data\" \"one\" {}\n").await;
        set(&mut bench, name, value);
        assert_eq!(bench.run(step).await.code, Some(10), "{name}");
        let result = bench.server.result();
        assert_eq!(result.outcome, StepOutcome::Failed);
        let message = result.message.unwrap();
        assert!(message.contains(expected), "{message}");
        assert!(!bench.server.log().contains("Initializing"), "{}", bench.server.log());
    }
}

/// A program in front of terraform prints its help, as if an option had got through.
#[tokio::test]
async fn step_whose_terraform_did_nothing_is_not_completed() {
    if !have("terraform") {
        return;
    }
    for (step, command, expected) in [
        (StepType::TerraformPlan, "plan", "has not written a plan file, so it has done nothing"),
        (
            StepType::TerraformApply,
            "apply",
            "has not read the state of the workspace, so it has done nothing",
        ),
        (StepType::TerraformDestroy, "destroy", "has not read the state of the workspace"),
    ] {
        let mut bench = Bench::new("resource \"terraform_data\" \"one\" {}\n").await;
        bench.wrap_terraform(&format!("if [ \"$1\" = {command} ]; then exec \"$REAL\" {command} -help; fi"));
        assert_eq!(bench.run(step).await.code, Some(10), "{step}");
        let message = bench.server.result().message.unwrap();
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn arguments_of_users_reach_their_commands_but_not_ours() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("resource \"terraform_data\" \"one\" {}\n").await;
    let version = crate::support::tool(engine(), &["version", "-json"], &bench.folder("home"));
    let version: serde_json::Value = serde_json::from_str(&version).unwrap();
    bench.payload.terraform_version = version["terraform_version"].as_str().unwrap().to_owned();
    set(&mut bench, "TF_CLI_ARGS", "-lock-timeout=1m");
    set(&mut bench, "TF_CLI_ARGS_plan", "-target=terraform_data.one -compact-warnings -lock=false");
    set(&mut bench, "TF_LOG", "error");
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(0), "{}", bench.server.log());
    assert!(bench.server.log().contains("Resource targeting is in effect"), "{}", bench.server.log());
}

#[tokio::test]
async fn path_home_and_others_of_the_workspace_reach_terraform() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ENVIRONMENT).await;
    let folder = bench.folder("tools");
    std::fs::write(folder.join("tool"), "#!/bin/sh\necho tool of the workspace\n").unwrap();
    crate::support::tool("chmod", &["755", "tool"], &folder);
    set(&mut bench, "PATH", folder.to_str().unwrap());
    let home = bench.folder("other-home");
    set(&mut bench, "HOME", home.to_str().unwrap());
    for (name, value) in [("TF_DATA_DIR", "/nowhere"), ("TF_INPUT", "1"), ("BASH_ENV", "/dev/null")] {
        set(&mut bench, name, value);
    }
    let exit = bench.run(StepType::TerraformApply).await;
    let log = bench.server.log();
    assert_eq!(exit.code, Some(0), "{log}");
    for line in
        ["tool of the workspace", "BASH_ENV=/dev/null", "TF_INPUT=0", &format!("HOME={}", home.display())]
    {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(log.contains("(the step runs without a variable: environment variable TF_DATA_DIR"), "{log}");
    assert!(log.contains("(the step runs without a variable: environment variable TF_INPUT"), "{log}");
}

#[tokio::test]
async fn use_of_the_workspace_of_terraform_is_explained() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("output \"x\" {\n  value = \"env-${terraform.workspace}\"\n}\n").await;
    assert_eq!(bench.run(StepType::TerraformApply).await.code, Some(0));
    let log = bench.server.log();
    assert!(log.contains("(terraform.workspace, which the configuration reads, is \"default\""), "{log}");
    let state = bench.server.with(|memory| memory.state_json());
    assert_eq!(state["outputs"]["x"]["value"], "env-default");
}
