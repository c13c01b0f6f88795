//! Decoding is tolerant, encoding is exact, and no error shows a part of the payload.

use std::{error::Error as _, iter};

use proptest::prelude::*;

use super::*;

const PLAN: &str = r#"{"commandList":null,"type":"terraformPlan","organizationId":"0b8a3c10-0000-4000-8000-000000000001",
 "workspaceId":"7c1d2e5a-0000-4000-8000-000000000002","jobId":"42","stepId":"d2f0aa11-0000-4000-8000-000000000100",
 "terraformVersion":"1.9.8","source":"https://github.com/acme/infra.git","branch":"main","folder":"/live/dev",
 "vcsType":"GITHUB","connectionType":"OAUTH","refresh":true,"refreshOnly":false,"showHeader":true,"ignoreError":false,
 "accessToken":"gho_example","moduleSshKey":null,"commitId":null,"tofu":true,
 "agentUrl":"http://terrakube-executor:8090/api/v1/terraform-rs",
 "environmentVariables":{"TF_IN_AUTOMATION":"1","workspaceName":"dev","organizationName":"acme",
   "TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR":"1","EPHEMERAL_CPU_REQUEST":"500m"},
 "variables":{"region":"eu-central-1","sizes":"[\"a\",\"b\"]"}}"#;

const APPLY: &str = r#"{"commandList":[{"runtime":"BASH","script":"echo done","priority":100,"before":false,"after":true,"verbose":true}],
 "type":"terraformApply","organizationId":"0b8a3c10-0000-4000-8000-000000000001",
 "workspaceId":"7c1d2e5a-0000-4000-8000-000000000002","jobId":"42","stepId":"d2f0aa11-0000-4000-8000-000000000200",
 "terraformVersion":"1.9.8","source":"https://github.com/acme/infra.git","branch":"main","folder":"/live/dev",
 "vcsType":"GITHUB","connectionType":"OAUTH","refresh":true,"refreshOnly":false,"showHeader":true,"ignoreError":false,
 "accessToken":"gho_example","moduleSshKey":null,"commitId":"9f1c0d2e3b4a5968778695a4b3c2d1e0f1a2b3c4","tofu":true,
 "agentUrl":null,"environmentVariables":{"TF_IN_AUTOMATION":"1"},"variables":{"region":"eu-central-1"}}"#;

/// The fields that every payload must have, with some in a form that only other versions write.
const SMALLEST: &str =
    r#"{"type":"customScripts","organizationId":"o","workspaceId":"w","jobId":"1","stepId":"s"}"#;

fn decode_json(json: &str) -> Result<EphemeralJobData, PayloadError> {
    EphemeralJobData::decode(&STANDARD.encode(json))
}

/// The whole chain of an error in one line.
fn chain(error: &PayloadError) -> String {
    let source = error.source().expect("both variants have a source");
    format!("{error}: {source}")
}

#[test]
fn decodes_plan_payload_of_terrakube() {
    let data = decode_json(PLAN).unwrap();
    assert_eq!(data.step_type, StepType::TerraformPlan);
    assert_eq!(data.command_list, None);
    assert_eq!(data.organization_id, "0b8a3c10-0000-4000-8000-000000000001");
    assert_eq!(data.workspace_id, "7c1d2e5a-0000-4000-8000-000000000002");
    assert_eq!(data.job_id, "42");
    assert_eq!(data.step_id, "d2f0aa11-0000-4000-8000-000000000100");
    assert_eq!(data.terraform_version, "1.9.8");
    assert_eq!(data.source, "https://github.com/acme/infra.git");
    assert_eq!(data.branch, "main");
    assert_eq!(data.folder, "/live/dev");
    assert_eq!(data.vcs_type, "GITHUB");
    assert_eq!(data.connection_type.as_deref(), Some("OAUTH"));
    assert_eq!(data.access_token.as_deref(), Some("gho_example"));
    assert_eq!((data.module_ssh_key, data.commit_id), (None, None));
    assert_eq!(
        (data.refresh, data.refresh_only, data.show_header, data.ignore_error, data.tofu),
        (true, false, true, false, true)
    );
    assert_eq!(data.environment_variables.len(), 5);
    assert_eq!(data.variables["sizes"], r#"["a","b"]"#);
}

#[test]
fn decodes_apply_payload_with_script() {
    let data = decode_json(APPLY).unwrap();
    assert_eq!(data.step_type, StepType::TerraformApply);
    assert_eq!(
        data.command_list.unwrap(),
        [Command {
            runtime: CommandRuntime::Bash,
            script: "echo done".to_owned(),
            priority: 100,
            before: false,
            after: true,
            verbose: true,
            before_init: false,
        }]
    );
}

#[test]
fn decodes_scripts_and_approvals_with_required_fields_only() {
    let data = decode_json(
        r#"{"type":"customScripts","organizationId":"o","workspaceId":"w","jobId":"1","stepId":"s","commandList":[
            {"runtime":"GROOVY","script":"terrakubeOutput << \"hello\"","priority":10,"before":false,"after":false,"verbose":false},
            {"runtime":"BASH","script":"echo $workspaceId\n","priority":20,"before":true,"beforeInit":true}]}"#,
    )
    .unwrap();
    let commands = data.command_list.unwrap();
    assert_eq!(commands[0].runtime, CommandRuntime::Groovy);
    assert!(commands[1].before && !commands[1].after && !commands[1].verbose);
    let approval = r#"{"type":"approval","organizationId":"o","workspaceId":"w","jobId":"1","stepId":"s","commandList":null}"#;
    assert_eq!(decode_json(approval).unwrap().step_type, StepType::Approval);
}

#[test]
fn decodes_absent_and_null_fields_as_empty() {
    let nulls = SMALLEST.replace(
        '}',
        r#","terraformVersion":null,"source":null,"branch":null,"folder":null,"vcsType":null,"accessToken":null,
            "environmentVariables":null,"variables":{"unset":null,"region":"x"},"onFailureList":[],"rawState":null}"#,
    );
    let (absent, with_nulls) = (decode_json(SMALLEST).unwrap(), decode_json(&nulls).unwrap());
    assert_eq!(absent.terraform_version, "");
    assert!(absent.environment_variables.is_empty() && absent.variables.is_empty());
    assert_eq!(with_nulls.variables.into_iter().collect::<Vec<_>>(), [("region".to_owned(), "x".to_owned())]);
    assert_eq!((with_nulls.source, with_nulls.vcs_type), (String::new(), String::new()));
}

#[test]
fn encodes_every_field_on_one_line() {
    let text = decode_json(SMALLEST).unwrap().encode();
    assert!(!text.contains(char::is_whitespace));
    assert_eq!(text.len() % 4, 0, "padded");
    let json = String::from_utf8(STANDARD.decode(&text).unwrap()).unwrap();
    assert_eq!(
        json,
        r#"{"commandList":null,"type":"customScripts","organizationId":"o","workspaceId":"w","jobId":"1","stepId":"s","terraformVersion":"","source":"","branch":"","folder":"","vcsType":"","connectionType":null,"accessToken":null,"moduleSshKey":null,"commitId":null,"refresh":false,"refreshOnly":false,"showHeader":false,"ignoreError":false,"tofu":false,"environmentVariables":{},"variables":{}}"#
    );
}

/// A stock executor refuses fields that it does not know, so no field may be added without a thought.
#[test]
fn encodes_only_fields_known_to_terrakube() {
    let known = [
        "commandList",
        "type",
        "organizationId",
        "workspaceId",
        "jobId",
        "stepId",
        "terraformVersion",
        "source",
        "branch",
        "folder",
        "vcsType",
        "connectionType",
        "accessToken",
        "moduleSshKey",
        "commitId",
        "refresh",
        "refreshOnly",
        "showHeader",
        "ignoreError",
        "tofu",
        "agentUrl",
        "environmentVariables",
        "variables",
        "terraformOutput",
        "rawState",
    ];
    let known_of_command = ["runtime", "script", "priority", "before", "after", "verbose"];
    let json = serde_json::to_value(decode_json(APPLY).unwrap()).unwrap();
    for field in json.as_object().unwrap().keys() {
        assert!(known.contains(&field.as_str()), "{field}");
    }
    for field in json["commandList"][0].as_object().unwrap().keys() {
        assert!(known_of_command.contains(&field.as_str()), "{field}");
    }
}

#[test]
fn wrapped_base64_is_read_and_other_alphabets_are_refused() {
    let text = STANDARD.encode(PLAN);
    let wrapped: String = text
        .as_bytes()
        .chunks(76)
        .flat_map(|line| line.iter().map(|byte| char::from(*byte)).chain(iter::once('\n')))
        .collect();
    assert_eq!(EphemeralJobData::decode(&wrapped).unwrap(), decode_json(PLAN).unwrap());
    for bad in ["", "e30", "e-_=", "{}", "é"] {
        let error = EphemeralJobData::decode(bad).unwrap_err();
        // No text at all is fine base64 of no JSON.
        let expected = if bad.is_empty() { "not the JSON object of a job" } else { "not standard base64" };
        assert_eq!(error.to_string(), format!("EphemeralJobData is {expected}"), "{bad:?}");
    }
}

#[test]
fn error_names_position_and_hides_payload() {
    let cases = [
        ("{", "EOF while parsing an object at line 1 column 1"),
        ("[]", "expected struct EphemeralJobData"),
        (r#"{"type":"terraformPlan"}"#, "missing field `organizationId` at line 1 column 24"),
        (r#"{"refresh":"hunter2"}"#, "expected a boolean at line 1 column 20"),
        (r#"{"refresh":"hunter2, expected hunter2"}"#, "expected a boolean at line 1 column 38"),
        (r#"{"variables":{"password":["hunter2"]}}"#, "expected a string at line 1 column 25"),
        (r#"{"source":{"hunter2":1}}"#, "expected a string at line 1 column 10"),
        (
            r#"{"type":"hunter2"}"#,
            "expected one of `terraformPlan`, `terraformPlanDestroy`, `terraformApply`, `terraformDestroy`, \
             `customScripts`, `approval` at line 1 column 17",
        ),
        (r#"{"commandList":[{"runtime":"hunter2"}]}"#, "expected `BASH` or `GROOVY` at line 1 column 36"),
        (r#"{"accessToken":hunter2}"#, "expected value at line 1 column 16"),
    ];
    for (json, expected) in cases {
        let error = decode_json(json).unwrap_err();
        let text = chain(&error);
        assert!(text.contains(expected), "{json}: {text}");
        assert!(!format!("{text} {error:?}").contains("hunter2"), "{json}: {text} {error:?}");
    }
}

#[test]
fn debug_of_payload_hides_values_and_credentials() {
    let text = format!("{:?}", decode_json(PLAN).unwrap());
    assert!(text.contains("region") && text.contains("TF_IN_AUTOMATION"), "{text}");
    assert!(!text.contains("gho_example") && !text.contains("eu-central-1"), "{text}");
}

#[test]
fn step_types_report_whether_they_change_infrastructure() {
    let changing: Vec<StepType> =
        StepType::ALL.into_iter().filter(|step| step.changes_infrastructure()).collect();
    assert_eq!(changing, [StepType::TerraformApply, StepType::TerraformDestroy, StepType::CustomScripts]);
    for step in StepType::ALL {
        assert_eq!(serde_json::to_value(step).unwrap(), step.to_string());
        assert_eq!(step.is_plan(), step.kind() == Some(StepKind::Plan), "{step}");
        assert!(!(step.is_plan() && step.changes_infrastructure()), "{step}");
    }
}

fn command() -> impl Strategy<Value = Command> {
    (
        prop::sample::select(&[CommandRuntime::Bash, CommandRuntime::Groovy]),
        ".*",
        any::<i64>(),
        any::<[bool; 4]>(),
    )
        .prop_map(|(runtime, script, priority, [before, after, verbose, before_init])| Command {
            runtime,
            script,
            priority,
            before,
            after,
            verbose,
            before_init,
        })
}

type Texts = BTreeMap<String, String>;

/// Variables of both categories, and the names of expressions.
fn maps() -> impl Strategy<Value = (Texts, Texts, Option<BTreeSet<String>>)> {
    let map = || prop::collection::btree_map(".*", ".*", 0..4);
    (map(), map(), prop::option::of(prop::collection::btree_set(".*", 0..4)))
}

fn payload() -> impl Strategy<Value = EphemeralJobData> {
    (
        prop::option::of(prop::collection::vec(command(), 0..3)),
        prop::sample::select(&StepType::ALL),
        any::<[String; 9]>(),
        any::<[Option<String>; 4]>(),
        any::<[bool; 5]>(),
        maps(),
    )
        .prop_map(
            |(
                command_list,
                step_type,
                texts,
                optional,
                flags,
                (environment_variables, variables, hcl_variables),
            )| {
                let [
                    organization_id,
                    workspace_id,
                    job_id,
                    step_id,
                    terraform_version,
                    source,
                    branch,
                    folder,
                    vcs_type,
                ] = texts;
                let [connection_type, access_token, module_ssh_key, commit_id] = optional;
                let [refresh, refresh_only, show_header, ignore_error, tofu] = flags;
                EphemeralJobData {
                    command_list,
                    step_type,
                    organization_id,
                    workspace_id,
                    job_id,
                    step_id,
                    terraform_version,
                    source,
                    branch,
                    folder,
                    vcs_type,
                    connection_type,
                    access_token,
                    module_ssh_key,
                    commit_id,
                    refresh,
                    refresh_only,
                    show_header,
                    ignore_error,
                    tofu,
                    environment_variables,
                    variables,
                    hcl_variables,
                    on_failure_list: None,
                    import_commands: None,
                }
            },
        )
}

proptest! {
    #[test]
    fn what_was_written_reads_as_itself(data in payload()) {
        prop_assert_eq!(EphemeralJobData::decode(&data.encode()).unwrap(), data);
    }

    #[test]
    fn no_text_panics(text in ".*|[A-Za-z0-9+/= \n]*", json in ".*|\\{(\"[a-zA-Z]*\":(null|1|\"a\"|\\[\\]),?)*\\}") {
        let _ = EphemeralJobData::decode(&text);
        let _ = decode_json(&json);
    }
}
