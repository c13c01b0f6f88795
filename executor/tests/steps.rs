//! Complete steps with the real terraform.

use std::fs;

use job_spec::{StepType, attempt_api::StepOutcome};
use serde_json::{Value, json};

use crate::support::{
    Bench, engine, have,
    server::{SESSION, TOKEN},
    tool,
};

const CONFIGURATION: &str = r#"
variable "greeting" {
  type = string
}
variable "region" {
  type    = string
  default = "nowhere"
}
resource "terraform_data" "first" {
  input = var.greeting
}
resource "terraform_data" "second" {
  input = { from = terraform_data.first.output, region = var.region }
}
output "greeting" {
  value = terraform_data.second.output.from
}
"#;

#[tokio::test]
async fn plan_is_applied_then_unchanged_then_destroyed() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(CONFIGURATION).await;
    bench.payload.variables.insert("greeting".into(), "good morning".into());
    bench.server.with(|memory| memory.plan_expected = true);

    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    let (result, log) = (bench.server.result(), bench.server.log());
    assert_eq!((result.outcome, result.has_changes), (StepOutcome::Completed, Some(true)));
    assert_eq!((result.message, result.commit_id), (None, None));
    assert!(log.contains("Plan: 2 to add, 0 to change, 0 to destroy."), "{log}");
    assert_eq!(exit.stdout, log);
    assert_eq!(result.log_bytes, log.len() as u64);
    let phases: Vec<_> = result.timings.iter().map(|timing| timing.phase.as_str()).collect();
    assert_eq!(phases, ["claim", "fetch", "binary", "init", "terraform", "upload"]);
    assert!(bench.server.with(|memory| memory.plan.is_some() && memory.lock.is_none()));
    assert_eq!(bench.left_behind(), Vec::<String>::new());

    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    assert_eq!(bench.server.result().has_changes, None);
    assert!(bench.server.log().contains("Apply complete! Resources: 2 added"), "{}", bench.server.log());
    let state = bench.server.with(|memory| memory.state.clone()).unwrap();
    assert_eq!(terraform_show(&bench, &state)["outputs"]["greeting"]["value"], json!("good morning"));

    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    assert_eq!(bench.server.result().has_changes, Some(false));

    bench.payload.variables.insert("region".into(), "eu".into());
    bench.run(StepType::TerraformPlan).await;
    assert_eq!(bench.server.result().has_changes, Some(true));

    let exit = bench.run(StepType::TerraformDestroy).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    assert!(bench.server.log().contains("Destroy complete! Resources: 2 destroyed."));
    assert_eq!(bench.server.with(|memory| memory.resources()), Vec::<String>::new());
    assert_eq!(bench.left_behind(), Vec::<String>::new());
}

/// Returns a state as terraform shows it.
fn terraform_show(bench: &Bench, state: &[u8]) -> Value {
    let folder = bench.folder("shown");
    fs::write(folder.join("downloaded.tfstate"), state).unwrap();
    let text = tool(engine(), &["show", "-json", "downloaded.tfstate"], &folder);
    serde_json::from_str::<Value>(&text).unwrap()["values"].take()
}

#[tokio::test]
async fn destroy_plan_is_applied_like_any_other() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("resource \"terraform_data\" \"one\" {}\n").await;
    assert_eq!(bench.run(StepType::TerraformApply).await.code, Some(0));
    assert_eq!(bench.server.with(|memory| memory.resources()), ["one"]);
    bench.server.with(|memory| memory.plan_expected = true);
    assert_eq!(bench.run(StepType::TerraformPlanDestroy).await.code, Some(0));
    assert!(bench.server.log().contains("0 to add, 0 to change, 1 to destroy"));
    assert_eq!(bench.run(StepType::TerraformApply).await.code, Some(0));
    assert_eq!(bench.server.with(|memory| memory.resources()), Vec::<String>::new());
}

#[tokio::test]
async fn syntax_error_fails_the_step_and_logs_the_error_of_terraform() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("resource \"terraform_data\" {\n").await;
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let (result, log) = (bench.server.result(), bench.server.log());
    assert_eq!((result.outcome, result.has_changes), (StepOutcome::Failed, None));
    let expected = format!("{} init failed with exit code 1; see its error message in the log", engine());
    assert_eq!(result.message, Some(expected));
    assert!(log.contains("on main.tf line 1"), "{log}");
    assert_eq!(bench.left_behind(), Vec::<String>::new());
}

#[tokio::test]
async fn failed_plan_can_be_ignored() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("variable \"needed\" {}\n").await;
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(10));
    assert_eq!(bench.server.result().outcome, StepOutcome::Failed);
    bench.payload.ignore_error = true;
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(0));
    let result = bench.server.result();
    assert_eq!((result.outcome, result.has_changes), (StepOutcome::Completed, Some(false)));
    assert!(result.message.unwrap().contains("which the step ignores"));
    assert!(bench.server.with(|memory| memory.plan.is_none()));
}

#[tokio::test]
async fn source_and_its_backend_stay_unchanged() {
    if !have("terraform") {
        return;
    }
    let text = "terraform {\n  backend \"local\" {\n    path = \"/nowhere/else.tfstate\"\n  }\n}\n\
                resource \"terraform_data\" \"one\" {}\n";
    let mut bench = Bench::new(text).await;
    bench.write("terraform.tfstate", "not even a state");
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    assert_eq!(bench.server.with(|memory| memory.resources()), ["one"]);
    let mut names: Vec<_> = fs::read_dir(bench.folder("source"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["main.tf", "terraform.tfstate"]);
}

#[tokio::test]
async fn output_is_colored_unless_disabled() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("output \"x\" {\n  value = 1\n}\n").await;
    bench.run(StepType::TerraformPlan).await;
    assert!(!bench.server.log().contains('\u{1b}'));
    bench.extra_env.insert("TerrakubeEnableColorOutput".into(), "true".into());
    bench.run(StepType::TerraformPlan).await;
    assert!(bench.server.log().contains('\u{1b}'));
}

#[tokio::test]
async fn masks_sensitive_values_in_log() {
    if !have("terraform") {
        return;
    }
    let text = r#"
variable "password" {
  type = string
}
resource "terraform_data" "leak" {
  provisioner "local-exec" {
    command = "printf '%s\\n' \"$PASSWORD\" \"$API_KEY\" end; env; tr '\\0' ' ' < /proc/$PPID/cmdline"
    environment = { PASSWORD = nonsensitive(var.password) }
  }
}
"#;
    let mut bench = Bench::new(text).await;
    let password = "first \"line\" $x\nsecond-line-of-it";
    bench.payload.variables.insert("password".into(), password.into());
    bench.payload.environment_variables.insert("API_KEY".into(), "key-9f1c0d2e".into());
    bench.payload.environment_variables.insert("PIN".into(), "7".into());
    bench.payload.access_token = Some("token-of-git".into());
    bench.extra_env.insert("InternalSecret".into(), "internal-secret-value".into());
    bench.server.with(|memory| memory.sensitive = vec!["password".into(), "API_KEY".into(), "PIN".into()]);
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    let log = bench.server.log();
    assert!(log.contains("(local-exec): ***\n"), "{log}");
    assert!(log.contains("(local-exec): end\n"), "{log}");
    assert!(
        log.starts_with("(not masked in this log, because their values are shorter than 3 bytes: PIN)\n"),
        "{log}"
    );
    // The command line of terraform, which every user of the machine can read, contains no variable.
    let line = format!("{} apply -input=false -auto-approve -no-color\n", engine());
    assert!(log.contains(&line), "{log}");
    let outputs = [&log, &exit.stdout, &exit.stderr];
    let secrets = [
        "first \"line\"",
        "second-line-of-it",
        "key-9f1c0d2e",
        "token-of-git",
        "internal-secret-value",
        TOKEN,
        SESSION,
        "EphemeralJobData",
    ];
    for secret in secrets {
        assert!(outputs.iter().all(|text| !text.contains(secret)), "{secret:?} is in {outputs:#?}");
    }
}
