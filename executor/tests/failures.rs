//! Failures while terraform runs: the server is unavailable, the attempt is fenced, the executor is stopped.

use std::{
    fs,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::MetadataExt,
    },
};

use job_spec::{
    StepType,
    attempt_api::{Evidence, RescuedState, StepOutcome},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::support::{
    Bench, WORKSPACE, engine, finish, have,
    server::{ATTEMPT, Memory},
    terminate, wait_until,
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
    let link = |pid: &str, number: i32| fs::read_link(format!("/proc/{pid}/fd/{number}")).ok();
    let ours = child.stdout.as_ref().unwrap().as_fd().as_raw_fd();
    assert_eq!(link(terraform, 0), link("self", ours));

    terminate(&child);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(14), "{exit:#?}");
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Cancelled);
    let expected = format!("cancelled during {} apply, which ended with exit code 1", engine());
    assert_eq!(result.message, Some(expected));
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
async fn state_that_is_no_version_is_handed_in_before_the_report() {
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
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Unknown);
    let evidence = Evidence {
        exit: Some(1),
        signal: None,
        state_saved: Some(false),
        rescued_state: RescuedState::Stored,
    };
    assert_eq!(result.evidence, Some(evidence));
    let message = result.message.unwrap();
    assert!(
        message.starts_with(&format!("{} apply ended with exit code 1, but its state", engine())),
        "{message}"
    );
    assert!(message.ends_with("the api-server keeps the state beside the attempt"), "{message}");
    let rescued = bench.server.with(|memory| memory.rescued.clone()).unwrap();
    assert!(String::from_utf8(rescued).unwrap().contains("terraform_data"));
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
        memory.refuse_rescued_state = true;
    });
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let name = format!("{WORKSPACE}.{ATTEMPT}.tfstate");
    assert_eq!(bench.left_behind(), std::slice::from_ref(&name));
    let kept = bench.organization_folder().join(name);
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Unknown);
    let place = kept.to_str().unwrap().to_owned();
    assert_eq!(result.evidence.unwrap().rescued_state, RescuedState::KeptIn(place));
    let message = result.message.unwrap();
    assert!(message.contains(&format!("is kept in {}", kept.display())), "{message}");
    assert!(fs::read_to_string(&kept).unwrap().contains("terraform_data"));
    assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn signal_that_ends_terraform_in_an_apply_makes_the_outcome_unknown() {
    if !have("terraform") {
        return;
    }
    let text = r#"
resource "terraform_data" "killer" {
  provisioner "local-exec" {
    command = "kill -9 $PPID"
  }
}
"#;
    let mut bench = Bench::new(text).await;
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Unknown);
    let evidence = Evidence { signal: Some(9), ..Evidence::default() };
    assert_eq!(result.evidence, Some(evidence));
    let expected = format!("{} apply was ended by signal 9; which changes it made is not known", engine());
    assert_eq!(result.message, Some(expected));
}

#[tokio::test]
async fn stop_request_that_ends_in_a_signal_is_not_a_cancellation() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ENDLESS).await;
    bench.wrap_terraform(
        r#"if [ "$1" = apply ]; then trap 'kill -9 $$' INT; "$REAL" "$@" & wait; exit 1; fi"#,
    );
    bench.payload.step_type = StepType::TerraformApply;
    let child = bench.spawn();
    bench.server.until("the provisioner", |memory| memory.log_text().contains(PROVISIONER_OUTPUT)).await;
    terminate(&child);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Unknown);
    let expected =
        format!("cancelled: {} apply was ended by signal 9; which changes it made is not known", engine());
    assert_eq!(result.message, Some(expected));
}

#[tokio::test]
async fn state_that_waits_for_the_server_outlives_terraform_and_executor() {
    if !have("terraform") {
        return;
    }
    let text = r#"
variable "number" {}
resource "terraform_data" "one" {
  triggers_replace = var.number
  provisioner "local-exec" {
    command = "echo terraform is $PPID; while [ ! -e ../../go ]; do :; done"
  }
}
"#;
    let mut bench = Bench::new(text).await;
    // The state exists, or terraform would read it again before it stores the first one.
    let go = bench.organization_folder().join("go");
    fs::create_dir_all(bench.organization_folder()).unwrap();
    fs::write(&go, "").unwrap();
    bench.payload.variables.insert("number".into(), "0".into());
    assert_eq!(bench.run(StepType::TerraformApply).await.code, Some(0));
    let state_refused = |memory: &Memory| memory.requests.iter().any(|request| request == "POST state 503");
    // Terraform is killed while its state waits, then the executor too.
    for victim in ["terraform", "executor"] {
        bench.server.next_attempt();
        bench.server.with(|memory| memory.lock = None);
        bench.payload.variables.insert("number".into(), victim.into());
        fs::remove_file(&go).unwrap();
        let child = bench.spawn();
        let printed = |memory: &Memory| memory.log_text().contains(PROVISIONER_OUTPUT);
        bench.server.until("the provisioner", printed).await;
        let log = bench.server.log();
        let terraform = log.split(PROVISIONER_OUTPUT).nth(1).unwrap().lines().next().unwrap().to_owned();
        bench.server.with(|memory| memory.unavailable = true);
        fs::write(&go, "").unwrap();
        bench.server.until("a refused state", state_refused).await;
        let id = if victim == "terraform" { terraform } else { child.id().unwrap().to_string() };
        kill_process(Pid::from_raw(id.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        let kept = bench.organization_folder().join(format!("{WORKSPACE}.{ATTEMPT}.tfstate"));
        if victim == "executor" {
            finish(child).await;
            assert!(fs::read_to_string(kept).unwrap().contains(victim));
            return;
        }
        bench.server.with(|memory| memory.unavailable = false);
        let exit = finish(child).await;
        assert_eq!(exit.code, Some(10), "{exit:#?}");
        let result = bench.server.result();
        assert_eq!(result.outcome, StepOutcome::Unknown);
        assert_eq!(result.evidence, Some(Evidence { signal: Some(9), ..Evidence::default() }));
        assert!(bench.server.with(|memory| memory.state_json().to_string()).contains(victim));
        assert!(!kept.exists());
    }
}

#[tokio::test]
async fn heartbeat_of_a_closed_attempt_stops_terraform() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ENDLESS).await;
    let child = started(&mut bench).await;
    bench.server.with(|memory| memory.closed = true);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(12), "{exit:#?}");
    let requests = bench.server.with(|memory| memory.requests.clone());
    assert!(requests.contains(&"POST heartbeat 410".to_owned()), "{requests:#?}");
    assert!(!requests.iter().any(|request| request.contains("result")), "{requests:#?}");
}

#[tokio::test]
async fn plan_with_another_digest_is_neither_stored_nor_applied() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("resource \"terraform_data\" \"one\" {}\n").await;
    bench.server.with(|memory| memory.plan_expected = true);
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(0));
    bench.server.with(|memory| memory.plan.as_mut().unwrap().push(b' '));
    let planned = "aa".repeat(32);
    bench.server.with(|memory| memory.wrong_plan_digest = Some(planned.clone()));
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let message = bench.server.result().message.unwrap();
    assert!(message.starts_with("the plan file has the SHA-256 digest "), "{message}");
    assert!(message.contains(&format!("expected {planned}")), "{message}");
    assert!(bench.server.with(|memory| memory.state.is_none()));
    assert!(!bench.server.log().contains(&format!("{} init", engine())), "{}", bench.server.log());

    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(10));
    let message = bench.server.result().message.unwrap();
    assert!(message.starts_with("the api-server has stored a plan file with the SHA-256"), "{message}");
}

#[tokio::test]
async fn next_executor_removes_what_a_killed_one_has_left_and_keeps_its_state() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ENDLESS).await;
    let mut child = started(&mut bench).await;
    kill_process(Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    // Terraform keeps the output open. Its guard interrupts it, and it saves its state in a file, because
    // the address of the state is gone.
    child.wait().await.unwrap();
    let folder = bench.organization_folder();
    let errored = folder.join(WORKSPACE).join("source/errored.tfstate");
    let is_complete = || {
        let bytes = fs::read(&errored).unwrap_or_default();
        serde_json::from_slice::<serde_json::Value>(&bytes).is_ok()
    };
    wait_until("the state of terraform", is_complete).await;
    let spool = folder.join(format!("{WORKSPACE}.{ATTEMPT}.log"));
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    fs::File::options().write(true).open(&spool).unwrap().set_modified(hour_ago).unwrap();

    // The next one is of another workspace.
    bench.payload.workspace_id = "ws-other".into();
    bench.server.with(|memory| memory.lock = None);
    bench.write("main.tf", "output \"x\" {\n  value = 1\n}\n");
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(0));
    let state = format!("{WORKSPACE}.{ATTEMPT}.tfstate");
    let mut left = bench.left_behind();
    left.sort();
    assert_eq!(left, [state.as_str(), "ws-other.lock"]);
    assert!(fs::read_to_string(folder.join(state)).unwrap().contains("quick"));
}
