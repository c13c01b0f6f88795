//! Attempts that end before terraform starts, and that they change nothing.

use job_spec::{
    StepType,
    attempt_api::{StepOutcome, StepResult},
};

use crate::support::{Bench, ORGANIZATION, finish, have, terminate};

const EMPTY: &str = "output \"x\" {\n  value = 1\n}\n";

#[tokio::test]
async fn refused_claim_changes_nothing() {
    for status in [401, 404, 409, 410] {
        let mut bench = Bench::new(EMPTY).await;
        bench.server.with(|memory| memory.refuse_claim = Some(status));
        let exit = bench.run(StepType::TerraformPlan).await;
        assert_eq!(exit.code, Some(12), "{exit:#?}");
        assert_eq!(bench.server.with(|memory| memory.requests.clone()), [format!("POST claim {status}")]);
        assert!(!bench.folder("tmp").join("ephemeral-agents").exists());
        assert_eq!(exit.stdout, "");
    }
}

#[tokio::test]
async fn accepts_payload_in_the_claim() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(EMPTY).await;
    bench.payload_at_claim = true;
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    let log = bench.server.with(|memory| memory.log_text());
    assert!(log.contains("Changes to Outputs"), "{log}");
}

#[tokio::test]
async fn claim_without_payload_fails_the_step() {
    let mut bench = Bench::new(EMPTY).await;
    bench.payload_at_claim = true;
    bench.server.next_attempt();
    bench.extra_env.clear();
    let exit = finish(bench.spawn()).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let result = bench.server.with(|memory| memory.result.clone()).unwrap();
    assert_eq!(result.outcome, StepOutcome::Failed);
    assert_eq!(
        result.message.as_deref(),
        Some(
            "the payload is neither in environment variable EphemeralJobData nor in the answer to the claim"
        )
    );
}

#[tokio::test]
async fn rejects_malformed_input_before_any_request() {
    let cases = [
        ("EphemeralJobData", "not base64!", "not standard base64"),
        ("EphemeralJobData", "e30=", "not the JSON object of a job"),
        ("EphemeralFlagBatch", "false", "EphemeralFlagBatch"),
        ("EphemeralAttemptUrl", "somewhere", "expected an http or https address"),
        ("EphemeralAttemptToken", "", "EphemeralAttemptToken is not set"),
    ];
    for (name, value, expected) in cases {
        let mut bench = Bench::new(EMPTY).await;
        bench.extra_env.insert(name.into(), value.into());
        let exit = bench.run(StepType::TerraformPlan).await;
        assert_eq!(exit.code, Some(11), "{name}: {exit:#?}");
        assert!(exit.stderr.contains(expected), "{}", exit.stderr);
        assert!(bench.server.with(|memory| memory.requests.is_empty()));
    }
}

#[tokio::test]
async fn retries_the_same_claim_while_server_is_unavailable() {
    if !have("terraform") {
        return;
    }
    let bench = Bench::new(EMPTY).await;
    bench.server.with(|memory| memory.refuse_claim = Some(503));
    let child = bench.spawn();
    let tried = |count| move |memory: &crate::support::server::Memory| memory.requests.len() >= count;
    bench.server.until("three claims", tried(3)).await;
    bench.server.with(|memory| memory.refuse_claim = None);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
}

#[tokio::test]
async fn stop_while_server_is_unavailable_runs_nothing() {
    let bench = Bench::new(EMPTY).await;
    bench.server.with(|memory| memory.refuse_claim = Some(503));
    let child = bench.spawn();
    bench.server.until("two claims", |memory| memory.requests.len() >= 2).await;
    terminate(&child);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(13), "{exit:#?}");
}

/// Runs a step that must fail before terraform starts, and returns its result.
async fn failed(bench: &mut Bench, step: StepType) -> StepResult {
    let exit = bench.run(step).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Failed);
    assert!(bench.server.with(|memory| !memory.requests.iter().any(|request| request.contains("state"))));
    assert_eq!(bench.left_behind(), Vec::<String>::new());
    result
}

async fn message(bench: &mut Bench, step: StepType) -> String {
    let message = failed(bench, step).await.message.unwrap();
    assert!(bench.server.log().contains(&message), "{}", bench.server.log());
    message
}

#[tokio::test]
async fn rejects_apply_without_its_plan() {
    let mut bench = Bench::new(EMPTY).await;
    bench.server.with(|memory| memory.plan_expected = true);
    let message = message(&mut bench, StepType::TerraformApply).await;
    assert_eq!(message, "the job has a plan step but no plan file; nothing was applied");
}

#[tokio::test]
async fn names_missing_program_and_how_to_install_it() {
    let mut bench = Bench::new(EMPTY).await;
    bench.path = bench.folder("home").to_str().unwrap().to_owned();
    bench.payload.tofu = true;
    assert_eq!(
        message(&mut bench, StepType::TerraformPlan).await,
        "cannot use the terraform program: tofu is not on PATH; \
         install it from https://opentofu.org/docs/intro/install or use an image that has it"
    );
}

#[tokio::test]
async fn rejects_other_version_than_that_of_the_workspace() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(EMPTY).await;
    bench.payload.terraform_version = "0.0.1".into();
    let message = message(&mut bench, StepType::TerraformPlan).await;
    assert!(message.contains("expected \"0.0.1\", the version of the workspace"), "{message}");
}

#[tokio::test]
async fn names_folder_that_is_not_in_the_source() {
    let mut bench = Bench::new(EMPTY).await;
    bench.payload.folder = "/live/dev".into();
    let text = message(&mut bench, StepType::TerraformPlan).await;
    assert_eq!(
        text,
        "could not fetch the source: folder \"/live/dev\" of the workspace is not in the source; \
         folders with a configuration: \"/\""
    );
    bench.payload.folder = "/".into();
    bench.payload.source = "/nowhere/at/all".into();
    let text = message(&mut bench, StepType::TerraformPlan).await;
    assert_eq!(
        text,
        "could not fetch the source: source folder \"/nowhere/at/all\" does not exist on the machine of the \
         executor; correct the source of the workspace, or mount the folder into the pods of executors"
    );
}

#[tokio::test]
async fn step_without_command_completes_at_once() {
    for step in [StepType::Approval, StepType::CustomScripts] {
        for commands in [None, Some(Vec::new())] {
            let mut bench = Bench::new(EMPTY).await;
            bench.payload.command_list = commands;
            let exit = bench.run(step).await;
            assert_eq!(exit.code, Some(0), "{exit:#?}");
            assert_eq!(bench.server.result().outcome, StepOutcome::Completed);
            assert_eq!(
                bench.server.with(|memory| memory.requests.clone()),
                ["POST claim 200", "POST result 204"]
            );
        }
    }
}

#[tokio::test]
async fn refused_result_changes_the_exit_code() {
    for (status, code) in [(409, 15), (410, 12)] {
        let mut bench = Bench::new(EMPTY).await;
        bench.server.with(|memory| memory.refuse_result = Some(status));
        let exit = bench.run(StepType::Approval).await;
        assert_eq!(exit.code, Some(code), "{exit:#?}");
    }
}

#[tokio::test]
async fn rejects_folder_of_another_user() {
    let mut bench = Bench::new(EMPTY).await;
    let elsewhere = bench.folder("home");
    std::os::unix::fs::symlink(&elsewhere, bench.folder("tmp").join("ephemeral-agents")).unwrap();
    let result = failed(&mut bench, StepType::TerraformPlan).await;
    assert!(result.message.unwrap().contains("belongs to another user"));
    assert!(!elsewhere.join(ORGANIZATION).exists());
}
