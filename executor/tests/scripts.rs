//! Scripts of templates: when they run, with what, and what their failure means.

use std::{fs, os::unix::fs::PermissionsExt as _};

use job_spec::{Command, CommandRuntime, ImportCommands, StepType, attempt_api::StepOutcome};

use crate::support::{
    Bench, engine, find, finish, have,
    server::{SESSION, TOKEN},
    terminate, wait_until,
};

const ONE: &str = "resource \"terraform_data\" \"one\" {}\noutput \"answer\" {\n  value = 42\n}\n";

fn script(priority: i64, when: &str, text: &str) -> Command {
    Command {
        runtime: CommandRuntime::Bash,
        script: text.into(),
        priority,
        before: when == "before",
        after: when == "after",
        verbose: false,
        before_init: when == "beforeInit",
    }
}

/// Asserts that texts are in the log in this order.
fn assert_order(log: &str, texts: &[&str]) {
    let mut rest = log;
    for text in texts {
        let at = rest.find(text);
        assert!(at.is_some(), "{text:?} is not where it is expected in {log}");
        rest = &rest[at.unwrap_or_default() + text.len()..];
    }
}

#[tokio::test]
async fn scripts_run_at_their_moments_by_priority_and_equal_ones_in_their_order() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ONE).await;
    let show = format!("echo after-100-second; {} show -no-color terraformLibrary.tfPlan", engine());
    bench.payload.command_list = Some(vec![
        script(200, "after", "echo after-200"),
        script(100, "after", "echo after-100-first"),
        script(100, "after", &show),
        script(-1, "before", "echo before; test -d .terraform && echo initialized"),
        script(5, "beforeInit", "echo before-init; test -d .terraform || echo not initialized"),
        script(1, "", "echo never"),
    ]);
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(0), "{}", bench.server.log());
    let log = bench.server.log();
    assert_order(
        &log,
        &[
            "the script with priority 1 does not run",
            "before-init\nnot initialized\n",
            &format!("=== {} init ===", engine()),
            "before\ninitialized\n",
            &format!("=== {} plan ===", engine()),
            "after-100-first",
            "after-100-second",
            "Plan: 1 to add",
            "after-200",
        ],
    );
    assert!(!log.contains("never"), "{log}");
    assert!(bench.server.with(|memory| memory.plan.is_some()));
    assert_eq!(bench.left_behind(), Vec::<String>::new());
}

#[tokio::test]
async fn scripts_get_the_documented_variables_and_tools_but_no_credential() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ONE).await;
    fs::create_dir(bench.folder("source").join("bin")).unwrap();
    bench.write("bin/helper.sh", "#!/bin/sh\necho helper of the source\n");
    let seen = bench.folder("seen").join("env");
    bench.payload.branch = "main".into();
    bench.payload.access_token = Some("token-of-git".into());
    bench.payload.variables.insert("region".into(), "eu".into());
    bench.payload.variables.insert("PATH".into(), "/nowhere".into());
    bench.payload.variables.insert("huge".into(), "x".repeat(200_000));
    bench.payload.environment_variables.insert("STAGE".into(), "dev".into());
    bench.payload_at_claim = true;
    bench.extra_env.insert("InternalSecret".into(), "internal-secret-value".into());
    let text = format!(
        "env > {}; helper.sh; cd \"$workingDirectory\" && ls *.tf; echo \"passed=from the first\" > \
         .terrakube_temp_env; echo output: \"$terraformOutput\"",
        seen.display()
    );
    bench.payload.command_list = Some(vec![
        script(1, "after", &text),
        script(2, "after", &format!("echo \"$passed\"; {} output -raw answer", engine())),
    ]);
    assert_eq!(bench.run(StepType::TerraformApply).await.code, Some(0), "{}", bench.server.log());
    let log = bench.server.log();
    assert_order(
        &log,
        &["helper of the source", "main.tf", "output: {", "\"value\": 42", "from the first", "42"],
    );
    assert!(log.contains("(scripts run without variable \"huge\": it is too large)"), "{log}");
    let env = fs::read_to_string(&seen).unwrap();
    for line in ["region=eu", "STAGE=dev", "jobId=42", "stepId=step-1", "branch=main", "vcsType=PUBLIC"] {
        assert!(env.lines().any(|found| found == line), "{line}: {env}");
    }
    for name in
        ["workingDirectory=/", "bashToolsDirectory=/", "terrakubeToolsRepository=/", "organizationId=org-"]
    {
        assert!(env.lines().any(|found| found.starts_with(name)), "{name}: {env}");
    }
    for secret in [TOKEN, SESSION, "token-of-git", "internal-secret-value", "EphemeralJobData", "/nowhere"] {
        assert!(!env.contains(secret), "{secret}: {env}");
    }
}

#[tokio::test]
async fn steps_without_terraform_run_every_script_in_the_root_and_reach_no_state() {
    let mut bench = Bench::new(ONE).await;
    for step in [StepType::CustomScripts, StepType::Approval] {
        bench.payload.folder = "/not/there".into();
        bench.payload.command_list = Some(vec![
            script(2, "after", "echo second; env | grep -c TF_HTTP_ADDRESS"),
            script(1, "", "echo first; ls"),
        ]);
        let exit = bench.run(step).await;
        assert_eq!(exit.code, Some(10), "{exit:#?}");
        let log = bench.server.log();
        assert_order(&log, &["first", "main.tf", "second", "0", "Script Exit Code ==>1"]);
        let message = bench.server.result().message.unwrap();
        assert_eq!(
            message,
            "script of the step with priority 2 failed with exit code 1; see its output in the log"
        );
    }
    bench.payload.command_list = Some(vec![script(1, "", "true")]);
    assert_eq!(bench.run(StepType::CustomScripts).await.code, Some(0));
    assert_eq!(bench.server.result().outcome, StepOutcome::Completed);
}

#[tokio::test]
async fn script_that_fails_before_the_command_ends_the_step_and_failure_scripts_run() {
    if !have("terraform") {
        return;
    }
    for moment in ["before", "beforeInit"] {
        let mut bench = Bench::new(ONE).await;
        bench.payload.ignore_error = true;
        bench.payload.command_list = Some(vec![
            script(1, moment, "echo about to fail; exit 3"),
            script(2, moment, "echo not reached"),
            script(3, "after", "echo not reached"),
        ]);
        bench.payload.on_failure_list = Some(vec![script(1, "", "echo told the team; exit 4")]);
        assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(10));
        let (result, log) = (bench.server.result(), bench.server.log());
        assert_eq!((result.outcome, result.has_changes), (StepOutcome::Failed, None));
        assert!(result.message.unwrap().contains("with priority 1 failed with exit code 3"));
        assert_order(
            &log,
            &["about to fail", "Script Exit Code ==>3", "told the team", "Script Exit Code ==>4"],
        );
        assert!(!log.contains("not reached") && !log.contains(" plan ==="), "{log}");
    }
}

#[tokio::test]
async fn script_that_fails_after_the_command_fails_the_step() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ONE).await;
    bench.payload.command_list = Some(vec![script(1, "after", "exit 7")]);
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(10));
    let message = bench.server.result().message.unwrap();
    assert!(
        message.starts_with(&format!("{} plan ended with exit code 2, but then: script after", engine())),
        "{message}"
    );
    assert!(bench.server.with(|memory| memory.plan.is_none()));
    // What the apply has done is stored.
    assert_eq!(bench.run(StepType::TerraformApply).await.code, Some(10));
    assert_eq!(bench.server.with(|memory| memory.resources()), ["one"]);
    assert_eq!(bench.server.result().outcome, StepOutcome::Failed);
}

#[tokio::test]
async fn scripts_after_the_command_do_not_run_when_it_fails_unless_the_step_ignores_that() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new("variable \"needed\" {}\n").await;
    bench.payload.command_list = Some(vec![script(1, "after", "echo after the plan")]);
    bench.payload.on_failure_list = Some(vec![script(1, "", "echo on failure")]);
    for (ignore, code, expected, other) in
        [(false, 10, "on failure", "after the plan"), (true, 0, "after the plan", "on failure")]
    {
        bench.payload.ignore_error = ignore;
        assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(code), "{}", bench.server.log());
        let log = bench.server.log();
        assert!(log.contains(&format!("\n{expected}\n")) && !log.contains(&format!("\n{other}\n")), "{log}");
    }
}

#[tokio::test]
async fn groovy_needs_a_program_and_is_refused_before_anything_runs() {
    let mut bench = Bench::new(ONE).await;
    let groovy = Command { runtime: CommandRuntime::Groovy, ..script(9, "before", "println 'hello'") };
    bench.payload.command_list = Some(vec![groovy]);
    if find("groovy").is_none() {
        for step in [StepType::TerraformPlan, StepType::CustomScripts] {
            assert_eq!(bench.run(step).await.code, Some(10));
            let message = bench.server.result().message.unwrap();
            assert!(
                message.starts_with("the script with priority 9 is GROOVY, and there is no program groovy")
            );
            assert!(!bench.server.log().contains("copying"), "{}", bench.server.log());
        }
    }
    let folder = bench.folder("bin");
    fs::write(folder.join("groovy"), "#!/bin/sh\necho ran; cat \"$1\"\n").unwrap();
    fs::set_permissions(folder.join("groovy"), fs::Permissions::from_mode(0o755)).unwrap();
    bench.payload.environment_variables.insert("PATH".into(), folder.to_str().unwrap().into());
    assert_eq!(bench.run(StepType::CustomScripts).await.code, Some(0), "{}", bench.server.log());
    assert!(bench.server.log().contains("ran\nprintln 'hello'"), "{}", bench.server.log());
}

#[tokio::test]
async fn verbose_script_is_printed_around_its_output() {
    let mut bench = Bench::new(ONE).await;
    bench.payload.command_list = Some(vec![Command { verbose: true, ..script(3, "", "echo hi >&2") }]);
    assert_eq!(bench.run(StepType::CustomScripts).await.code, Some(0));
    assert_order(
        &bench.server.log(),
        &[
            "***\nCommand Priority 3\nRunning BASH\nScript Information:  \necho hi >&2\n***",
            "Begin Execution: \nhi\nEnd Execution... \n",
        ],
    );
}

#[tokio::test]
async fn scripts_are_imported_from_a_repository_or_the_step_fails() {
    if !have("git") {
        return;
    }
    let mut bench = Bench::new(ONE).await;
    fs::create_dir(bench.folder("source").join("checks")).unwrap();
    bench.write(
        "checks/commands.yaml",
        "commands:\n- {runtime: BASH, priority: 2, before: true, script: echo imported second}\n\
         - runtime: BASH\n  priority: 1\n  after: true\n  script: |\n    echo imported first\n",
    );
    let repository = bench.commit_source();
    let import = |folder: &str| {
        Some(ImportCommands { repository: repository.clone(), branch: "main".into(), folder: folder.into() })
    };
    bench.payload.import_commands = import("/checks");
    bench.payload.command_list = Some(vec![script(1, "", "echo replaced")]);
    assert_eq!(bench.run(StepType::CustomScripts).await.code, Some(0), "{}", bench.server.log());
    assert_order(&bench.server.log(), &["imported first", "imported second"]);
    assert!(!bench.server.log().contains("echo replaced"));
    for (folder, expected) in [("nowhere", "could not read commands.yaml"), ("../..", "could not read")] {
        bench.payload.import_commands = import(folder);
        assert_eq!(bench.run(StepType::CustomScripts).await.code, Some(10));
        let message = bench.server.result().message.unwrap();
        assert!(
            message.starts_with("could not read the scripts of the step: ") && message.contains(expected)
        );
    }
}

#[tokio::test]
async fn stop_request_interrupts_a_script_and_cancels_the_step() {
    let mut bench = Bench::new(ONE).await;
    let started = bench.folder("seen").join("started");
    let text = format!(
        "trap 'echo interrupted; exit 9' INT; touch {}; while :; do read -t 1 < <(:); done",
        started.display()
    );
    bench.payload.command_list = Some(vec![script(1, "", &text), script(2, "", "echo not reached")]);
    bench.payload.on_failure_list = Some(vec![script(1, "", "echo not reached")]);
    bench.payload.step_type = StepType::CustomScripts;
    bench.server.next_attempt();
    let child = bench.spawn();
    wait_until("the script", || started.exists()).await;
    terminate(&child);
    let exit = finish(child).await;
    assert_eq!(exit.code, Some(14), "{exit:#?}");
    let log = bench.server.log();
    assert!(log.contains("interrupted") && !log.contains("not reached"), "{log}");
    assert_eq!(bench.server.result().outcome, StepOutcome::Cancelled);
}

#[tokio::test]
async fn output_of_init_is_hidden_without_headers_unless_it_fails() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ONE).await;
    bench.payload.show_header = false;
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(0));
    let log = bench.server.log();
    assert!(!log.contains("Initializing") && !log.contains("==="), "{log}");
    bench.write("main.tf", "resource \"terraform_data\" {\n");
    assert_eq!(bench.run(StepType::TerraformPlan).await.code, Some(10));
    assert!(bench.server.log().contains("on main.tf line 1"), "{}", bench.server.log());
}
