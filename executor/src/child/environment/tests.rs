//! What child processes get, and what they do not get.

use std::collections::BTreeMap;

use config_core::EnvSnapshot;
use job_spec::{EphemeralJobData, StepType};

use super::{EnvironmentError, inherited, notes, terraform, without_arguments};

fn snapshot(variables: &[(&str, &str)]) -> EnvSnapshot {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const STATE: &str = "http://127.0.0.1:4000/secret";

fn payload(step: StepType, variables: &[(&str, &str)], environment: &[(&str, &str)]) -> EphemeralJobData {
    let text =
        format!(r#"{{"type":"{step}","organizationId":"o","workspaceId":"w","jobId":"1","stepId":"s"}}"#);
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let mut payload: EphemeralJobData = serde_json::from_str(&text).unwrap();
    payload.variables = map(variables);
    payload.environment_variables = map(environment);
    payload
}

#[test]
fn variables_of_the_executor_are_not_inherited() {
    let own = [
        "EphemeralFlagBatch",
        "EphemeralJobData",
        "EphemeralAttemptToken",
        "EphemeralAttemptUrl",
        "ExecutorEphemeralImage",
        "InternalSecret",
        "TerrakubeRedisPassword",
        "AwsTerraformStateSecretKey",
        "AzureTerraformStateStorageAccessKey",
        "GcpTerraformStateCredentials",
        "TerraformStateType",
        "AzBuilderApiUrl",
        "JAVA_TOOL_OPTIONS",
        "TF_DATA_DIR",
        "TF_HTTP_PASSWORD",
        "PWD",
    ];
    let kept =
        ["PATH", "HOME", "AWS_ACCESS_KEY_ID", "TF_PLUGIN_CACHE_DIR", "TF_CLI_CONFIG_FILE", "HTTPS_PROXY"];
    let all: Vec<(&str, &str)> = own.iter().chain(&kept).map(|name| (*name, "x")).collect();
    let mut expected = kept.map(str::to_owned);
    expected.sort();
    assert_eq!(inherited(&snapshot(&all)).into_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn workspace_overrides_inherited_variables_but_not_the_state() {
    let payload = payload(
        StepType::TerraformPlan,
        &[],
        &[
            ("AWS_REGION", "eu"),
            ("TF_HTTP_ADDRESS", "http://elsewhere"),
            ("TF_IN_AUTOMATION", "yes"),
            ("TF_DATA_DIR", "/elsewhere"),
            ("TF_HTTP_LOCK_METHOD", "PUT"),
            ("TF_HTTP_USERNAME", "user"),
            ("TF_HTTP_PASSWORD", "their own"),
            ("EPHEMERAL_CPU_REQUEST", "1"),
            ("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "1"),
        ],
    );
    let all = terraform(&snapshot(&[("AWS_REGION", "us"), ("PATH", "/bin")]), &payload, STATE).unwrap();
    assert_eq!(all["AWS_REGION"], "eu");
    assert_eq!(all["TF_IN_AUTOMATION"], "yes");
    for name in ["TF_HTTP_ADDRESS", "TF_HTTP_LOCK_ADDRESS", "TF_HTTP_UNLOCK_ADDRESS"] {
        assert_eq!(all[name], STATE);
    }
    assert_eq!(all["TF_HTTP_LOCK_METHOD"], "LOCK");
    // They are for other states that the configuration reads.
    assert_eq!(all["TF_HTTP_USERNAME"], "user");
    assert_eq!(all["TF_HTTP_PASSWORD"], "their own");
    assert!(!all.keys().any(|name| name.contains("EPHEMERAL") || name == "TF_DATA_DIR"));
}

#[test]
fn search_path_of_the_workspace_comes_before_ours() {
    let cases = [
        ("/opt/x", "/opt/x:/usr/bin:/bin"),
        ("$PATH:/opt/x", "/usr/bin:/bin:/opt/x"),
        ("/a:${PATH}:/b", "/a:/usr/bin:/bin:/b"),
        ("/usr/bin:/bin", "/usr/bin:/bin"),
        ("", "/usr/bin:/bin"),
    ];
    for (path, expected) in cases {
        let payload = payload(StepType::TerraformPlan, &[], &[("PATH", path)]);
        let all = terraform(&snapshot(&[("PATH", "/usr/bin:/bin")]), &payload, STATE).unwrap();
        assert_eq!(all["PATH"], expected, "{path}");
    }
}

#[test]
fn arguments_are_for_the_commands_of_the_step_alone() {
    let arguments = [("TF_CLI_ARGS", "-no-color"), ("TF_CLI_ARGS_plan", "-parallelism=3"), ("TF_LOG", "x")];
    let payload = payload(StepType::TerraformPlan, &[("a", "1")], &arguments);
    let all = terraform(&snapshot(&[]), &payload, STATE).unwrap();
    assert_eq!(all["TF_CLI_ARGS_plan"], "-parallelism=3");
    let without = without_arguments(&all);
    assert_eq!(without.len() + 2, all.len());
    assert_eq!(without["TF_LOG"], "x");
}

#[test]
fn refused_variables_are_named_and_the_others_left_out_with_a_note() {
    let refused = [("TF_CLI_ARGS_apply", "-destroy"), ("GIT_DIR", "x")];
    let error = terraform(&snapshot(&[]), &payload(StepType::TerraformPlan, &[], &refused), STATE);
    let text = error.unwrap_err().to_string();
    assert!(text.contains("GIT_DIR") && text.contains("TF_CLI_ARGS_apply: found \"-destroy\""), "{text}");
    let left_out = payload(StepType::TerraformPlan, &[], &[("TF_DATA_DIR", "x"), ("TF_INPUT", "1")]);
    let all = terraform(&snapshot(&[]), &left_out, STATE).unwrap();
    assert_eq!((all.get("TF_DATA_DIR"), all["TF_INPUT"].as_str()), (None, "0"));
    assert_eq!(notes(&left_out).len(), 2);
}

#[test]
fn rejects_variables_that_an_environment_cannot_hold() {
    type Pairs<'a> = &'a [(&'a str, &'a str)];
    let long = "x".repeat(131_072);
    let cases: [(Pairs<'_>, Pairs<'_>, EnvironmentError); 3] = [
        (&[], &[("E", "a\0b")], EnvironmentError::ZeroByte { name: "E".into() }),
        (&[], &[("A=B", "c")], EnvironmentError::Name { name: "A=B".into() }),
        (&[], &[("E", &long)], EnvironmentError::TooLong { name: "E".into(), bytes: 131_075 }),
    ];
    for (variables, environment, expected) in cases {
        let payload = payload(StepType::TerraformPlan, variables, environment);
        assert_eq!(terraform(&snapshot(&[]), &payload, STATE).unwrap_err(), expected);
    }
}
