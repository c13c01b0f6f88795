//! Workspace variables as a whole.

use proptest::prelude::*;

use std::collections::BTreeMap;

use super::*;
use crate::{ConfigMapMount, kubernetes::Rule, value::MAX_ANNOTATION_BYTES};

mod metadata;
mod pod;
mod resources;
mod step_kinds;
mod time_limits;
mod unknown_names;
mod volumes;
mod yaml;

fn parse(pairs: &[(&str, &str)]) -> Result<WorkspaceOverrides, Vec<String>> {
    parse_for(None, pairs)
}

fn parse_for(kind: Option<StepKind>, pairs: &[(&str, &str)]) -> Result<WorkspaceOverrides, Vec<String>> {
    WorkspaceOverrides::parse(&pairs.iter().copied().collect(), kind)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn reads_documented_variables() {
    let overrides = parse(&[
        ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "key1=value1;key2=value2"),
        ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", " myserviceaccount "),
        ("EPHEMERAL_CONFIG_ANNOTATIONS", "key1=value1;acme.io/b=c=d e"),
        ("EPHEMERAL_CONFIG_TOLERATIONS", "key:Exists:NoSchedule"),
        ("EPHEMERAL_CONFIG_MAP_NAME", "extra-files"),
        ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "/opt/extra"),
    ])
    .unwrap();
    let node_selector = overrides.get(&workspace::NODE_SELECTOR_TAGS).unwrap();
    assert_eq!(node_selector.to_string(), "key1=value1;key2=value2");
    assert_eq!(*overrides.get(&workspace::SERVICE_ACCOUNT).unwrap(), "myserviceaccount");
    assert_eq!(overrides.get(&workspace::ANNOTATIONS).unwrap().get("acme.io/b"), Some("c=d e"));
    assert_eq!(overrides.get(&workspace::TOLERATIONS).unwrap().to_string(), "key:Exists:NoSchedule");
    let expected =
        ConfigMapMount { name: "extra-files".parse().unwrap(), mount_path: "/opt/extra".parse().unwrap() };
    assert_eq!(overrides.config_map(), Some(expected));
}

#[test]
fn ignores_other_variables() {
    let variables =
        [("TF_LOG", "debug"), ("AWS_REGION", "x"), ("EPHEMERAL", "x"), ("MY_EPHEMERAL_X", "x"), ("É", "")];
    assert_eq!(parse(&variables), Ok(WorkspaceOverrides::default()));
    assert_eq!(parse(&[("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "1")]), Ok(WorkspaceOverrides::default()));
}

#[test]
fn empty_node_selector_differs_from_none() {
    let overrides = parse(&[("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "")]).unwrap();
    assert!(overrides.get(&workspace::NODE_SELECTOR_TAGS).is_some_and(crate::value::Labels::is_empty));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn rejects_wrong_values_with_variable_entry_and_expectation() {
    let subdomain = Rule::DnsSubdomain.expected();
    let cases = [
        (
            "malformed toleration",
            ("EPHEMERAL_CONFIG_TOLERATIONS", "spot:Exists;gpu:Exsts:NoSchedule"),
            "workspace variable EPHEMERAL_CONFIG_TOLERATIONS: found \"gpu:Exsts:NoSchedule\", expected the \
             operator Exists or Equal, not \"Exsts\"; did you mean \"Exists\"?"
                .to_owned(),
        ),
        (
            "item without a value",
            ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "a=1;diskType"),
            "workspace variable EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS: found \"diskType\", expected key=value"
                .to_owned(),
        ),
        (
            "label key",
            ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "disk type=ssd"),
            format!(
                "workspace variable EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS: found \"disk type\", expected {}",
                Rule::LabelKey.expected()
            ),
        ),
        (
            "label value",
            ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "disk=a=b"),
            format!(
                "workspace variable EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS: found \"a=b\", expected {}",
                Rule::LabelValue.expected()
            ),
        ),
        (
            "annotation key",
            ("EPHEMERAL_CONFIG_ANNOTATIONS", "cost center=7"),
            format!(
                "workspace variable EPHEMERAL_CONFIG_ANNOTATIONS: found \"cost center\", expected {}",
                Rule::AnnotationKey.expected()
            ),
        ),
        (
            "service account",
            ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "Runner"),
            format!(
                "workspace variable EPHEMERAL_CONFIG_SERVICE_ACCOUNT: found \"Runner\", expected {subdomain}"
            ),
        ),
        (
            "empty service account",
            ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", " "),
            format!(
                "workspace variable EPHEMERAL_CONFIG_SERVICE_ACCOUNT: found \"\", expected {subdomain}; \
                 remove it to use no account of its own"
            ),
        ),
        (
            "empty config map",
            ("EPHEMERAL_CONFIG_MAP_NAME", ""),
            format!(
                "workspace variable EPHEMERAL_CONFIG_MAP_NAME: found \"\", expected {subdomain}; remove it \
                 to mount no config map"
            ),
        ),
        (
            "mount path alone",
            ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "/data"),
            "workspace variable EPHEMERAL_CONFIG_MAP_MOUNT_PATH: expected EPHEMERAL_CONFIG_MAP_NAME beside \
             it; name the config map to mount, or remove the path"
                .to_owned(),
        ),
    ];
    for (name, variable, message) in cases {
        assert_eq!(parse(&[variable]), Err(vec![message]), "{name}");
    }
}

#[test]
fn reads_security_settings_and_reports_their_errors() {
    let overrides = parse(&[
        ("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT", "runAsUser=2000"),
        ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "readOnlyRootFilesystem=true"),
    ])
    .unwrap();
    assert_eq!(overrides.get(&workspace::POD_SECURITY_CONTEXT).unwrap().run_as_user(), Some(2000));
    assert_eq!(overrides.get(&workspace::SECURITY_CONTEXT).unwrap().read_only_root_filesystem(), Some(true));
    assert_eq!(
        parse(&[("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "runAsUser=1")]).unwrap_err(),
        ["workspace variable EPHEMERAL_CONFIG_SECURITY_CONTEXT: found \"runAsUser=1\", expected one of \
             addCapabilities, allowPrivilegeEscalation, readOnlyRootFilesystem, not \"runAsUser\""]
    );
}

#[test]
fn reports_every_problem_sorted_by_name() {
    let problems = parse(&[
        ("EPHEMERAL_CONFIG_TOLERATIONS", "a:X;b:Y"),
        ("EPHEMERAL_CONFIG_ANNOTATIONS", "x"),
        ("EPHEMERAL_JOB_ENV_VARS", "hunter2"),
        ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "relative"),
    ])
    .unwrap_err();
    let keys: Vec<&str> = problems
        .iter()
        .map(|message| message.trim_start_matches("workspace variable ").split(':').next().unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "EPHEMERAL_CONFIG_ANNOTATIONS",
            "EPHEMERAL_CONFIG_MAP_MOUNT_PATH",
            "EPHEMERAL_CONFIG_MAP_MOUNT_PATH",
            "EPHEMERAL_CONFIG_TOLERATIONS",
            "EPHEMERAL_CONFIG_TOLERATIONS",
            "EPHEMERAL_JOB_ENV_VARS",
        ]
    );
}

#[test]
fn problems_have_the_layer_of_the_value() {
    let global = [("EPHEMERAL_CPU_LIMIT".to_owned(), "x".to_owned())].into();
    let problems =
        WorkspaceOverrides::parse(&Variables::merge(&BTreeMap::new(), &global, &[]), None).unwrap_err();
    assert!(
        problems.to_string().starts_with("global variable EPHEMERAL_CPU_LIMIT: found \"x\""),
        "{problems}"
    );
}

#[test]
fn debug_does_not_show_secret_values() {
    let overrides = parse(&[
        ("EPHEMERAL_JOB_ENV_VARS", "TOKEN=hunter2"),
        ("EPHEMERAL_CONFIG_POD_PATCH", "{a: hunter2}"),
        ("EPHEMERAL_CPU_LIMIT", "2"),
    ]);
    let shown = format!("{:?}", overrides.unwrap());
    assert!(!shown.contains("hunter2") && shown.contains("TOKEN"), "{shown}");
}

#[test]
fn serializes_problems() {
    let variables = [("EPHEMERAL_CONFIG_TOLERATIONS", "a:X")].into_iter().collect();
    let problems = WorkspaceOverrides::parse(&variables, None).unwrap_err();
    assert_eq!(
        serde_json::to_value(&problems).unwrap(),
        serde_json::json!([{
            "source": "workspace",
            "key": "EPHEMERAL_CONFIG_TOLERATIONS",
            "found": "a:X",
            "expected": "the operator Exists or Equal, not \"X\"",
            "hint": null,
        }])
    );
}

proptest! {
    #[test]
    fn reads_any_variables_without_panic(
        kind in prop::sample::select(&[None, Some(StepKind::Plan), Some(StepKind::Apply)]),
        pairs in prop::collection::btree_map(
            prop_oneof![prop::sample::select(workspace::names().collect::<Vec<_>>()).prop_map(str::to_owned), "EPHEMERAL_[A-Z_]*(_PLAN|_APPLY)?|.*"],
            "[a-c=;:* /.]*|.*",
            0..6,
        ),
    ) {
        let _ = WorkspaceOverrides::parse(&pairs.into_iter().collect(), kind);
    }
}

#[test]
fn reports_invalid_names_of_all_variables_together() {
    let variables = [
        ("EPHEMERAL_CONFIG_ANNOTATIONS", "a b=c"),
        ("EPHEMERAL_CONFIG_IMAGE", "I"),
        ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "relative"),
        ("EPHEMERAL_CONFIG_MAP_NAME", "M"),
        ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "disk=a b;b c=d"),
        ("EPHEMERAL_CONFIG_PRIORITY_CLASS", "P"),
        ("EPHEMERAL_CONFIG_RUNTIME_CLASS", "R"),
        ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "S"),
        ("PVC_CLAIM_NAME", "P"),
        ("TF_PLUGIN_CACHE_DIR", "cache"),
    ];
    let problems = WorkspaceOverrides::parse(&variables.into_iter().collect(), None).unwrap_err();
    let found: Vec<String> = problems
        .into_iter()
        .map(|problem| format!("{}={}", problem.origin.key, problem.found.unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            "EPHEMERAL_CONFIG_ANNOTATIONS=a b",
            "EPHEMERAL_CONFIG_IMAGE=I",
            "EPHEMERAL_CONFIG_MAP_MOUNT_PATH=relative",
            "EPHEMERAL_CONFIG_MAP_NAME=M",
            "EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS=b c",
            "EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS=a b",
            "EPHEMERAL_CONFIG_PRIORITY_CLASS=P",
            "EPHEMERAL_CONFIG_RUNTIME_CLASS=R",
            "EPHEMERAL_CONFIG_SERVICE_ACCOUNT=S",
            "PVC_CLAIM_NAME=P",
            "TF_PLUGIN_CACHE_DIR=cache",
        ]
    );
}
