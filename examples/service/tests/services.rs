//! The services do what their documentation says.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by a panic too")]

use std::process::{Command, Output};

fn run(program: &str, arguments: &[&str]) -> (bool, String, String) {
    let Output { status, stdout, stderr } = Command::new(program).args(arguments).output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn planned_job_runs_with_the_environment_of_an_executor() {
    let (success, stdout, stderr) = run(env!("CARGO_BIN_EXE_planned-job"), &["EPHEMERAL_CPU_LIMIT=2"]);
    assert!(success, "{stderr}");
    assert!(stdout.contains("EphemeralFlagBatch=true"), "{stdout}");
}

#[test]
fn planned_job_reports_every_problem_and_runs_nothing() {
    let arguments = ["EPHEMERAL_CPU_LIMIT=5", "EPHEMERAL_CONFIG_TOLERATIONS=gpu:Exsts"];
    let (success, stdout, stderr) = run(env!("CARGO_BIN_EXE_planned-job"), &arguments);
    assert!(!success && stdout.is_empty(), "{stdout}");
    for problem in ["EPHEMERAL_CPU_LIMIT", "policy default.maximum.cpu", "Exsts"] {
        assert!(stderr.contains(problem), "{stderr}");
    }
}

#[test]
fn own_job_runs_as_it_is() {
    let (success, stdout, stderr) = run(env!("CARGO_BIN_EXE_own-job"), &[]);
    assert!(success, "{stderr}");
    assert!(stdout.contains("42 rows"), "{stdout}");
}
