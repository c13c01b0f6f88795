//! Limits of an executor: processes that leave their group, the grace period, memory, and what remains of an
//! executor that is killed.

use std::{fs, path::PathBuf, time::Duration};

use job_spec::{StepType, attempt_api::StepOutcome};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::support::{Bench, engine, finish, have, server::Memory, terminate, wait_until};

/// Its second resource runs until it is stopped.
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

/// Starts an apply and waits until its provisioner runs; returns the process id of terraform.
async fn started(bench: &mut Bench) -> (Child, String) {
    const OUTPUT: &str = "(local-exec): terraform is ";
    bench.payload.step_type = StepType::TerraformApply;
    let child = bench.spawn();
    bench.server.until("the provisioner", |memory| memory.log_text().contains(OUTPUT)).await;
    let log = bench.server.log();
    (child, log.split(OUTPUT).nth(1).unwrap().lines().next().unwrap().to_owned())
}

/// Sends a signal to a process.
fn send(pid: &str, signal: Signal) {
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), signal).unwrap();
}

fn runs(pid: &str) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

#[tokio::test]
async fn process_in_a_session_of_its_own_is_ended_before_the_report() {
    if !have("terraform") {
        return;
    }
    let text = r#"
resource "terraform_data" "daemon" {
  provisioner "local-exec" {
    command = "setsid sleep 3600 > /dev/null 2>&1 & echo $! > ../../daemon"
  }
}
"#;
    let mut bench = Bench::new(text).await;
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    let daemon = fs::read_to_string(bench.organization_folder().join("daemon")).unwrap();
    assert!(!runs(daemon.trim()));
    let log = bench.server.log();
    let expected = format!("(ended a process that the step had left running: sleep ({}))\n", daemon.trim());
    assert!(log.ends_with(&expected), "{log}");
    assert_eq!(bench.server.result().outcome, StepOutcome::Completed);
}

#[tokio::test]
async fn second_signal_ends_terraform_and_the_outcome_is_unknown() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ENDLESS).await;
    let (child, terraform) = started(&mut bench).await;
    // It does not notice an interrupt.
    send(&terraform, Signal::STOP);
    terminate(&child);
    // The same signal again, as a container runtime may send it, changes nothing.
    terminate(&child);
    let mut second = tokio::time::interval_at(
        tokio::time::Instant::now() + Duration::from_millis(2100),
        Duration::from_mins(1),
    );
    second.tick().await;
    assert!(!bench.server.log().contains("another signal came"), "{}", bench.server.log());
    terminate(&child);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    check_forced(&bench, &terraform);
}

#[tokio::test]
async fn terraform_that_does_not_stop_leaves_time_for_the_report() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ENDLESS).await;
    bench.extra_env.insert("EphemeralGracePeriodSeconds".into(), "8".into());
    let (child, terraform) = started(&mut bench).await;
    send(&terraform, Signal::STOP);
    let begin = std::time::Instant::now();
    terminate(&child);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let elapsed = begin.elapsed().as_secs_f32();
    assert!(elapsed > 3.9, "{elapsed}");
    check_forced(&bench, &terraform);
}

fn check_forced(bench: &Bench, terraform: &str) {
    let (result, log) = (bench.server.result(), bench.server.log());
    assert_eq!(result.outcome, StepOutcome::Unknown, "{log}");
    let expected =
        format!("cancelled: {} apply was ended by signal 9; which changes it made is not known", engine());
    assert_eq!(result.message.as_deref(), Some(expected.as_str()));
    assert!(log.contains("another signal came; ending the program at once"), "{log}");
    assert_eq!(result.log_complete, Some(true));
    assert!(!runs(terraform));
}

#[tokio::test]
async fn interrupt_after_the_death_of_the_executor_comes_once() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ENDLESS).await;
    bench.wrap_terraform(r#"if [ "$1" = apply ]; then exec "$REAL" "$@" 2> ../../errors; fi"#);
    let (child, terraform) = started(&mut bench).await;
    send(&child.id().unwrap().to_string(), Signal::KILL);
    finish(child).await;
    wait_until("the end of terraform", || !runs(&terraform)).await;
    let errors = fs::read_to_string(bench.organization_folder().join("errors")).unwrap();
    assert!(errors.contains("Error: Failed to save state"), "{errors}");
    assert!(!errors.contains("Two interrupts received."), "{errors}");
}

#[tokio::test]
async fn result_is_given_up_within_the_grace_period_and_its_message_stays() {
    let mut bench = Bench::new("").await;
    bench.extra_env.insert("EphemeralGracePeriodSeconds".into(), "4".into());
    let file = termination_log(&mut bench);
    bench.server.with(|memory| memory.refuse_result = Some(503));
    bench.payload.step_type = StepType::Approval;
    let child = bench.spawn();
    let refused = |memory: &Memory| memory.requests.contains(&"POST result 503".to_owned());
    bench.server.until("a refused result", refused).await;
    terminate(&child);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(15), "{exit:#?}");
    let message = fs::read_to_string(file).unwrap();
    assert!(
        message.starts_with(r#"{"message":"the step ended (Completed): without a message; "#),
        "{message}"
    );
    assert!(message.contains("503") && message.ends_with(r#","exitCode":15}"#), "{message}");
    assert!(!message.contains("token"), "{message}");
}

fn termination_log(bench: &mut Bench) -> PathBuf {
    let file = bench.folder("message").join("termination-log");
    fs::write(&file, "").unwrap();
    bench.extra_env.insert("EphemeralTerminationLog".into(), file.to_str().unwrap().to_owned());
    file
}

#[tokio::test]
async fn termination_message_says_why_nothing_ran() {
    let mut bench = Bench::new("").await;
    let file = termination_log(&mut bench);
    bench.server.with(|memory| memory.refuse_claim = Some(409));
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(12));
    let message = fs::read_to_string(&file).unwrap();
    assert!(
        message.starts_with(r#"{"message":"could not claim the attempt at http://127.0.0.1"#),
        "{message}"
    );
    assert!(message.ends_with(r#","exitCode":12}"#), "{message}");

    bench.extra_env.insert("EphemeralAttemptUrl".into(), "nowhere".into());
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(11));
    let message = fs::read_to_string(&file).unwrap();
    assert!(message.contains("expected an http or https address"), "{message}");
}

#[tokio::test]
async fn termination_message_of_a_killed_executor_names_its_phase() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ENDLESS).await;
    let file = termination_log(&mut bench);
    let (child, terraform) = started(&mut bench).await;
    send(&child.id().unwrap().to_string(), Signal::KILL);
    let message = fs::read_to_string(&file).unwrap();
    assert!(message.ends_with(r#""phase":"terraform"}"#), "{message}");
    finish(child).await;
    wait_until("the end of terraform", || !runs(&terraform)).await;

    // Nothing is left to say when the report has arrived.
    bench.write("main.tf", "");
    bench.server.with(|memory| memory.lock = None);
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
}

/// A control group for memory that is removed at the end.
struct Group(PathBuf);

impl Group {
    /// Returns `None` where this user may not create one.
    fn create(limit: u64) -> Option<Self> {
        let name = format!("executor-test-{}", std::process::id());
        let (one, two) =
            (PathBuf::from("/sys/fs/cgroup/memory").join(&name), PathBuf::from("/sys/fs/cgroup"));
        let (folder, file) = if fs::create_dir(&one).is_ok() {
            (one, "memory.limit_in_bytes")
        } else {
            (two.join(&name), "memory.max")
        };
        let created = folder.is_dir() || fs::create_dir(&folder).is_ok();
        let group = created.then_some(Self(folder))?;
        fs::write(group.0.join(file), limit.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn terraform_is_stopped_before_the_kernel_kills_for_memory() {
    if !have("terraform") {
        return;
    }
    let Some(group) = Group::create(400 * 1024 * 1024) else {
        eprintln!("SKIPPED: this user cannot create a control group for memory");
        return;
    };
    let text = r#"
resource "terraform_data" "quick" {
  input = "done"
}
resource "terraform_data" "large" {
  depends_on = [terraform_data.quick]
  provisioner "local-exec" {
    command = "for i in $(seq 100); do head -c 12000000 /dev/zero; sleep 0.1; done | tail | wc -c"
  }
}
"#;
    let mut bench = Bench::new(text).await;
    let script = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", group.0.display());
    bench.launcher = ["/bin/sh", "-c", &script, "sh"].map(Into::into).into();
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Failed);
    let message = result.message.unwrap();
    assert!(message.starts_with(&format!("{} apply was stopped because 3", engine())), "{message}");
    assert!(message.contains(" of 400 MiB of memory were in use"), "{message}");
    let memory = result.memory.unwrap();
    assert_eq!(memory.limit_bytes, Some(400 * 1024 * 1024));
    assert!(memory.peak_bytes >= 375 * 1024 * 1024, "{memory:?}");
    assert_eq!(bench.server.with(|memory| memory.resources()), ["large", "quick"]);
    let pids = || fs::read_to_string(group.0.join("cgroup.procs")).unwrap();
    wait_until("an empty group", || pids().is_empty()).await;
}
