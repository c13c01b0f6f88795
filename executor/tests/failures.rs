//! Failures while terraform runs: the server is unavailable, the attempt is fenced, the executor is stopped.

use std::{fs, os::unix::fs::MetadataExt};

use job_spec::{StepType, attempt_api::StepOutcome};
use tokio::process::Child;

use crate::support::{
    Bench, WORKSPACE, finish, have,
    server::{ATTEMPT, Memory},
    terminate,
};

/// Its second resource runs until it is stopped, and prints the process id of terraform.
const ENDLESS: &str = r#"
resource "terraform_data" "quick" {
  input = "done"
}
resource "terraform_data" "endless" {
  depends_on = [terraform_data.quick]
  provisioner "local-exec" {
    command = "echo terraform is $PPID; sleep 3600"
  }
}
"#;

/// The output of the provisioner, as terraform shows it.
const PROVISIONER_OUTPUT: &str = "(local-exec): terraform is ";

/// Starts an apply and waits until its provisioner runs.
async fn started(bench: &mut Bench) -> Child {
    bench.payload.step_type = StepType::TerraformApply;
    let child = bench.spawn();
    bench.server.until("the provisioner", |memory| memory.log_text().contains(PROVISIONER_OUTPUT)).await;
    child
}

#[tokio::test]
async fn stopped_terraform_saves_its_state_and_the_step_is_cancelled() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ENDLESS).await;
    let child = started(&mut bench).await;

    // Terraform keeps the executor's output open, so that a backend waits for both.
    let log = bench.server.log();
    let terraform = log.split(PROVISIONER_OUTPUT).nth(1).unwrap().lines().next().unwrap();
    let standard = |pid: &str, number: u8| fs::read_link(format!("/proc/{pid}/fd/{number}")).ok();
    let executor = child.id().unwrap().to_string();
    assert_eq!(standard(terraform, 0), standard(&executor, 1));

    terminate(&child);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(14), "{exit:#?}");
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Cancelled);
    assert_eq!(
        result.message.as_deref(),
        Some("cancelled during terraform apply, which ended with exit code 1")
    );
    let log = bench.server.log();
    assert!(log.contains("Interrupt received."), "{log}");
    assert_eq!(log, exit.stdout);
    assert!(bench.server.with(|memory| memory.resources()).contains(&"quick".to_owned()));
    assert!(bench.server.with(|memory| memory.lock.is_none()));
    assert_eq!(bench.left_behind(), Vec::<String>::new());
    assert!(!fs::exists(format!("/proc/{terraform}")).unwrap());
}

#[tokio::test]
async fn fenced_attempt_stops_terraform_and_writes_nothing_more() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ENDLESS).await;
    let child = started(&mut bench).await;
    // Terraform prints every ten seconds that it still waits; that line is refused.
    bench.server.with(|memory| memory.fenced = true);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(12), "{exit:#?}");
    let requests = bench.server.with(|memory| memory.requests.clone());
    assert_eq!(requests.iter().filter(|request| *request == "POST log 410").count(), 1, "{requests:#?}");
    assert!(!requests.iter().any(|request| request.contains("result")), "{requests:#?}");
    assert_eq!(bench.left_behind(), Vec::<String>::new());
}

#[tokio::test]
async fn log_and_result_arrive_after_the_server_was_unavailable() {
    if !have("terraform") {
        return;
    }
    let text = r#"
resource "terraform_data" "verbose" {
  provisioner "local-exec" {
    command = <<-EOT
      i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done
      while [ ! -e ../../back ]; do :; done
    EOT
  }
}
"#;
    let mut bench = Bench::new(text).await;
    bench.payload.step_type = StepType::TerraformApply;
    let child = bench.spawn();
    bench.server.until("the first line", |memory| memory.log_text().contains("line 1\n")).await;
    bench.server.with(|memory| memory.unavailable = true);
    let refused =
        |memory: &Memory| memory.requests.iter().filter(|request| request.ends_with(" 503")).count() >= 2;
    bench.server.until("two refused requests", refused).await;
    // Terraform finishes, and its state is refused too.
    fs::write(bench.organization_folder().join("back"), "").unwrap();
    let state_refused =
        |memory: &Memory| memory.requests.iter().any(|request| request.ends_with("state 503"));
    bench.server.until("a refused state", state_refused).await;
    bench.server.with(|memory| memory.unavailable = false);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    let (result, log) = (bench.server.result(), bench.server.log());
    assert_eq!(result.outcome, StepOutcome::Completed);
    assert_eq!(log, exit.stdout);
    assert_eq!(result.log_bytes, log.len() as u64);
    for number in [0, 2500, 4999] {
        assert_eq!(log.matches(&format!("(local-exec): line {number}\n")).count(), 1, "{number}");
    }
    assert_eq!(bench.server.with(|memory| memory.resources()), ["verbose"]);
}

#[tokio::test]
async fn executor_stores_state_that_terraform_could_not_store() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("resource \"terraform_data\" \"one\" {}\n").await;
    bench.server.with(|memory| memory.refuse_state_of_terraform = true);
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    assert_eq!(bench.server.with(|memory| memory.resources()), ["one"]);
    let message = bench.server.result().message.unwrap();
    assert!(
        message.ends_with("the executor has stored the state that terraform could not store"),
        "{message}"
    );
    assert_eq!(bench.left_behind(), Vec::<String>::new());
}

#[tokio::test]
async fn keeps_state_that_could_not_be_stored_and_names_the_file() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("resource \"terraform_data\" \"one\" {}\n").await;
    bench.server.with(|memory| {
        memory.refuse_state_of_terraform = true;
        memory.refuse_state_of_executor = true;
    });
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let name = format!("{WORKSPACE}.{ATTEMPT}.tfstate");
    assert_eq!(bench.left_behind(), std::slice::from_ref(&name));
    let kept = bench.organization_folder().join(name);
    let message = bench.server.result().message.unwrap();
    assert!(message.contains(&format!("is kept in {}", kept.display())), "{message}");
    assert!(fs::read_to_string(&kept).unwrap().contains("terraform_data"));
    assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o777, 0o600);
}
