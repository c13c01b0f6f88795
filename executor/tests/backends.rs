//! The state is ours alone: sources that set a backend of their own, or bring files that terraform could take
//! for its own, with the real terraform and tofu.

use std::fs;

use job_spec::{StepType, attempt_api::StepOutcome};

use crate::support::{Bench, engine, have};

const ONE: &str = "resource \"terraform_data\" \"one\" {}\n";

/// A state that no run of these tests has written.
const FOREIGN_STATE: &str = r#"{"version":4,"terraform_version":"1.5.0","serial":99,
    "lineage":"11111111-2222-3333-4444-555555555555","outputs":{},"resources":[
    {"mode":"managed","type":"terraform_data","name":"foreign",
     "provider":"provider[\"terraform.io/builtin/terraform\"]","instances":[]}]}"#;

async fn message(bench: &mut Bench, step: StepType) -> String {
    let exit = bench.run(step).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Failed);
    let wrote = bench.server.with(|memory| memory.state.is_some() || memory.plan.is_some());
    assert!(!wrote, "a state or plan was stored");
    result.message.unwrap()
}

#[tokio::test]
async fn backend_and_cloud_blocks_of_the_source_do_not_matter() {
    if !have("terraform") {
        return;
    }
    let blocks = [
        ("backend.tf", "terraform {\n  backend \"local\" {\n    path = \"/nowhere/else.tfstate\"\n  }\n}\n"),
        ("backend.tf.json", r#"{"terraform":{"backend":{"local":{"path":"mine.tfstate"}}}}"#),
        (
            "cloud.tf",
            "terraform {\n  cloud {\n    organization = \"x\"\n    workspaces \
             {\n      name = \"y\"\n    }\n  }\n}\n",
        ),
        ("override.tf", "terraform {\n  backend \"local\" {}\n}\n"),
        ("override.tf.json", r#"{"terraform":[{"backend":{"local":{}}}]}"#),
        (
            "z_backend_override.tf",
            "terraform {\n  backend \"http\" {\n    address = \"http://127.0.0.1:9/\"\n  }\n}\n",
        ),
        ("zzz_override.tf.json", r#"{"terraform":{"cloud":{"organization":"x","workspaces":{"name":"y"}}}}"#),
    ];
    for (name, text) in blocks {
        let mut bench = Bench::new(ONE).await;
        bench.write(name, text);
        let exit = bench.run(StepType::TerraformApply).await;
        assert_eq!(exit.code, Some(0), "{name}: {exit:#?}");
        assert_eq!(bench.server.with(|memory| memory.resources()), ["one"], "{name}");
    }
}

#[tokio::test]
async fn tofu_files_of_the_source_do_not_win_over_our_backend() {
    if engine() != "tofu" || !have("tofu") {
        return;
    }
    for name in ["z_override.tofu", "~~ephemeral_agents_backend_override.tofu", "override.tofu"] {
        let mut bench = Bench::new(ONE).await;
        bench.write(name, "terraform {\n  backend \"local\" {}\n}\n");
        let exit = bench.run(StepType::TerraformApply).await;
        assert_eq!(exit.code, Some(0), "{name}: {exit:#?}");
        assert_eq!(bench.server.with(|memory| memory.resources()), ["one"], "{name}");
    }
}

#[tokio::test]
async fn override_file_that_would_win_stops_the_step_and_is_named() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ONE).await;
    bench.write("~~~_override.tf", "terraform {\n  backend \"local\" {}\n}\n");
    for step in [StepType::TerraformPlan, StepType::TerraformApply] {
        let message = message(&mut bench, step).await;
        assert!(message.starts_with("file \"~~~_override.tf\" of the source sets a backend"), "{message}");
        assert!(!bench.server.log().contains("Initializing"), "{}", bench.server.log());
    }
}

#[tokio::test]
async fn variables_cannot_move_the_state() {
    if !have("terraform") {
        return;
    }
    for (name, value, expected) in [
        (
            "TF_CLI_ARGS_init",
            "-backend-config=address=http://127.0.0.1:9/",
            "TF_CLI_ARGS_init changes the backend",
        ),
        ("TF_CLI_ARGS_init", "-backend=false", "TF_CLI_ARGS_init changes the backend"),
        ("TF_WORKSPACE", "dev", "TF_WORKSPACE is \"dev\""),
    ] {
        let mut bench = Bench::new(ONE).await;
        bench.payload.environment_variables.insert(name.into(), value.into());
        let message = message(&mut bench, StepType::TerraformApply).await;
        assert!(message.contains(expected), "{message}");
    }
    // These are replaced, so they do no harm.
    let mut bench = Bench::new(ONE).await;
    for (name, value) in [
        ("TF_DATA_DIR", bench.folder("elsewhere").to_str().unwrap()),
        ("TF_HTTP_ADDRESS", "http://127.0.0.1:9/"),
        ("TF_HTTP_LOCK_ADDRESS", "http://127.0.0.1:9/"),
        ("TF_HTTP_UPDATE_METHOD", "PUT"),
    ] {
        bench.payload.environment_variables.insert(name.into(), value.into());
    }
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    assert_eq!(bench.server.with(|memory| memory.resources()), ["one"]);
    assert_eq!(fs::read_dir(bench.folder("elsewhere")).unwrap().count(), 0);
}

/// A program in front of terraform that makes `init` do something else, as a newer terraform could.
#[tokio::test]
async fn backend_in_use_is_verified_after_init() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ONE).await;
    bench.wrap_terraform(
        r#"if [ "$1" = init ]; then
             rm -f ./*_override.tf ./*_override.tofu; printf 'terraform {\n  backend "local" {}\n}\n' > theirs.tf
           fi"#,
    );
    let message = message(&mut bench, StepType::TerraformApply).await;
    let expected = format!(
        "{} init has configured the backend \"local\", expected \"http\" without settings of its own, \
         which is the state of this workspace; remove the backend or cloud block of file \"theirs.tf\"; \
         nothing was planned",
        engine()
    );
    assert_eq!(message, expected);
    assert!(!bench.server.log().contains(&format!("=== {} apply ===", engine())));
}

/// Commits files that terraform leaves behind, which a copied folder would lose.
async fn repository_with(files: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::new(ONE).await;
    for (name, text) in files {
        let path = bench.folder("source").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let url = bench.commit_source();
    bench.payload.source = url;
    bench
}

#[tokio::test]
async fn files_of_the_source_are_not_taken_for_output_of_this_run() {
    if !have("terraform") || !have("git") {
        return;
    }
    let record =
        r#"{"version":3,"backend":{"type":"local","config":{"path":"x","workspace_dir":null},"hash":1}}"#;
    let files = [
        ("errored.tfstate", FOREIGN_STATE),
        ("terraform.tfstate", FOREIGN_STATE),
        ("terraform.tfstate.backup", FOREIGN_STATE),
        ("terraform.tfstate.d/dev/terraform.tfstate", FOREIGN_STATE),
        (".terraform/terraform.tfstate", record),
        (".terraform/environment", "dev"),
        ("plan", "not a plan"),
    ];
    // An apply that succeeds, and one that fails after its start.
    for (step, text, code) in [
        (StepType::TerraformApply, ONE, 0),
        (
            StepType::TerraformApply,
            "resource \"terraform_data\" \"one\" {\n  provisioner \"local-exec\" \
             {\n    command = \"exit 1\"\n  }\n}\n",
            10,
        ),
        (StepType::TerraformPlan, ONE, 0),
    ] {
        let mut bench = repository_with(&[&files[..], &[("main.tf", text)]].concat()).await;
        let exit = bench.run(step).await;
        assert_eq!(exit.code, Some(code), "{exit:#?}");
        let stored = bench.server.with(|memory| memory.state.is_some().then(|| memory.resources()));
        let expected = (step == StepType::TerraformApply).then(|| vec!["one".to_owned()]);
        assert_eq!(stored, expected);
        let plan = bench.server.with(|memory| memory.plan.clone());
        assert!(plan.is_none_or(|plan| plan.starts_with(b"PK")));
    }
}

/// The settings of tofu for the encryption of states and plan files.
const ENCRYPTION: &str = r#"
key_provider "pbkdf2" "key" {
  passphrase = "correct-horse-battery-staple"
}
method "aes_gcm" "gcm" {
  keys = key_provider.pbkdf2.key
}
state {
  method   = method.aes_gcm.gcm
  enforced = true
}
plan {
  method   = method.aes_gcm.gcm
  enforced = true
}
"#;

#[tokio::test]
async fn state_and_plan_that_tofu_encrypts_are_stored_and_used() {
    if engine() != "tofu" || !have("tofu") {
        return;
    }
    let mut bench = Bench::new(ONE).await;
    bench.payload.environment_variables.insert("TF_ENCRYPTION".into(), ENCRYPTION.into());
    bench.server.with(|memory| memory.plan_expected = true);
    for (step, text) in [
        (StepType::TerraformPlan, "1 to add"),
        (StepType::TerraformApply, "1 added"),
        (StepType::TerraformPlan, "No changes"),
        (StepType::TerraformDestroy, "1 destroyed"),
    ] {
        let exit = bench.run(step).await;
        assert_eq!(exit.code, Some(0), "{exit:#?}");
        assert!(bench.server.log().contains(text), "{}", bench.server.log());
    }
    let state = bench.server.with(|memory| memory.state_json());
    assert!(state["encrypted_data"].is_string() && state["resources"].is_null(), "{state:#}");
    let plan = bench.server.with(|memory| memory.plan.clone()).unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&plan).unwrap()["encrypted_data"].is_string());
}

#[tokio::test]
async fn executor_stores_encrypted_state_that_tofu_could_not_store() {
    if engine() != "tofu" || !have("tofu") {
        return;
    }
    let mut bench = Bench::new(ONE).await;
    bench.payload.environment_variables.insert("TF_ENCRYPTION".into(), ENCRYPTION.into());
    bench.server.with(|memory| memory.refuse_state_of_terraform = true);
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let message = bench.server.result().message.unwrap();
    assert!(message.ends_with("has stored the state that terraform could not store"), "{message}");
    let state = bench.server.with(|memory| memory.state_json());
    assert!(state["encrypted_data"].is_string(), "{state:#}");
    assert_eq!(bench.left_behind(), Vec::<String>::new());
}
