//! Workspace variables as a whole.

use proptest::prelude::*;

use std::collections::BTreeMap;

use super::*;
use crate::kubernetes::Rule;
use reader::LARGEST_ANNOTATIONS;

fn parse(pairs: &[(&str, &str)]) -> Result<WorkspaceOverrides, Vec<String>> {
    parse_for(None, pairs)
}

fn parse_for(kind: Option<StepKind>, pairs: &[(&str, &str)]) -> Result<WorkspaceOverrides, Vec<String>> {
    WorkspaceOverrides::parse(&pairs.iter().copied().collect(), kind)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn the_documented_variables_are_read() {
    let overrides = parse(&[
        ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "key1=value1;key2=value2"),
        ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", " myserviceaccount "),
        ("EPHEMERAL_CONFIG_ANNOTATIONS", "key1=value1;acme.io/b=c=d e"),
        ("EPHEMERAL_CONFIG_TOLERATIONS", "key:Exists:NoSchedule"),
        ("EPHEMERAL_CONFIG_MAP_NAME", "extra-files"),
        ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "/opt/extra"),
    ])
    .unwrap();
    let WorkspaceOverrides { node_selector, service_account, annotations, tolerations, config_map, .. } =
        overrides;
    assert_eq!(node_selector.unwrap().to_string(), "key1=value1;key2=value2");
    assert_eq!(service_account.as_deref(), Some("myserviceaccount"));
    assert_eq!(annotations.unwrap().get("acme.io/b"), Some("c=d e"));
    assert_eq!(tolerations.unwrap().to_string(), "key:Exists:NoSchedule");
    let expected = ConfigMapMount { name: "extra-files".to_owned(), mount_path: "/opt/extra".to_owned() };
    assert_eq!(config_map, Some(expected));
}

#[test]
fn other_variables_are_ignored() {
    let variables =
        [("TF_LOG", "debug"), ("AWS_REGION", "x"), ("EPHEMERAL", "x"), ("MY_EPHEMERAL_X", "x"), ("É", "")];
    assert_eq!(parse(&variables), Ok(WorkspaceOverrides::default()));
    assert_eq!(parse(&[("TERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR", "1")]), Ok(WorkspaceOverrides::default()));
}

#[test]
fn a_config_map_without_a_path_is_mounted_at_the_default_one() {
    let config_map = parse(&[("EPHEMERAL_CONFIG_MAP_NAME", "extra")]).unwrap().config_map.unwrap();
    assert_eq!(config_map.mount_path, "/data");
}

#[test]
fn an_empty_node_selector_is_a_choice_and_not_the_same_as_none() {
    let overrides = parse(&[("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "")]).unwrap();
    assert!(overrides.node_selector.is_some_and(|list| list.is_empty()));
}

#[test]
fn wrong_values_are_refused_with_variable_entry_and_expectation() {
    let subdomain = Rule::DnsSubdomain.expected();
    let cases = [
        (
            "malformed toleration",
            ("EPHEMERAL_CONFIG_TOLERATIONS", "spot:Exists;gpu:Exsts:NoSchedule"),
            "workspace variable EPHEMERAL_CONFIG_TOLERATIONS: found \"gpu:Exsts:NoSchedule\", expected the operator \
             Exists or Equal, not \"Exsts\"; did you mean \"Exists\"?"
                .to_owned(),
        ),
        (
            "item without a value",
            ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "a=1;diskType"),
            "workspace variable EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS: found \"diskType\", expected key=value".to_owned(),
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
            format!("workspace variable EPHEMERAL_CONFIG_SERVICE_ACCOUNT: found \"Runner\", expected {subdomain}"),
        ),
        (
            "empty service account",
            ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", " "),
            format!(
                "workspace variable EPHEMERAL_CONFIG_SERVICE_ACCOUNT: found \"\", expected {subdomain}; remove it to \
                 use no account of its own"
            ),
        ),
        (
            "empty config map",
            ("EPHEMERAL_CONFIG_MAP_NAME", ""),
            format!(
                "workspace variable EPHEMERAL_CONFIG_MAP_NAME: found \"\", expected {subdomain}; remove it to mount no \
                 config map"
            ),
        ),
        (
            "mount path alone",
            ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "/data"),
            "workspace variable EPHEMERAL_CONFIG_MAP_MOUNT_PATH: expected EPHEMERAL_CONFIG_MAP_NAME beside it; name \
             the config map to mount, or remove the path"
                .to_owned(),
        ),
    ];
    for (name, variable, message) in cases {
        assert_eq!(parse(&[variable]), Err(vec![message]), "{name}");
    }
}

#[test]
fn unknown_names_are_refused_with_the_nearest_known_one() {
    let cases = [
        (
            "misspelt name",
            ("EPHEMERAL_CONFIG_NODE_SELECTOR", "a=b"),
            "workspace variable EPHEMERAL_CONFIG_NODE_SELECTOR: expected the name of a known setting; did you mean \
             \"EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS\"?"
                .to_owned(),
        ),
        (
            "name in another case",
            ("Ephemeral_Config_Annotations", "a=b"),
            "workspace variable Ephemeral_Config_Annotations: expected the name of a known setting; did you mean \
             \"EPHEMERAL_CONFIG_ANNOTATIONS\"?"
                .to_owned(),
        ),
        (
            "name that resembles none",
            ("EPHEMERAL_XYZ", "secret"),
            format!(
                "workspace variable EPHEMERAL_XYZ: expected the name of a known setting; known are {}",
                keys::WORKSPACE_VARIABLES.join(", ")
            ),
        ),
        (
            "misspelt name without CONFIG",
            ("EPHEMERAL_CONFIG_CPU_REQEST", "1"),
            "workspace variable EPHEMERAL_CONFIG_CPU_REQEST: expected the name of a known setting; did you mean \
             \"EPHEMERAL_CPU_REQUEST\"?"
                .to_owned(),
        ),
    ];
    for (name, variable, message) in cases {
        assert_eq!(parse(&[variable]), Err(vec![message]), "{name}");
    }
}

#[test]
fn a_mount_path_must_be_absolute() {
    for path in ["data", "", "/", "/a/../b", "/a:b"] {
        let problems =
            parse(&[("EPHEMERAL_CONFIG_MAP_NAME", "a"), ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", path)])
                .unwrap_err();
        assert_eq!(
            problems,
            [format!(
                "workspace variable EPHEMERAL_CONFIG_MAP_MOUNT_PATH: found {path:?}, expected {}",
                Rule::MountPath.expected()
            )]
        );
    }
}

#[test]
fn annotations_are_limited_as_a_whole() {
    let fits = format!("a={}", "x".repeat(LARGEST_ANNOTATIONS - 1));
    assert!(parse(&[("EPHEMERAL_CONFIG_ANNOTATIONS", &fits)]).is_ok());
    assert_eq!(
        parse(&[("EPHEMERAL_CONFIG_ANNOTATIONS", &format!("{fits}x"))]).unwrap_err(),
        [
            "workspace variable EPHEMERAL_CONFIG_ANNOTATIONS: found \"262145 bytes\", expected at most 262144 bytes of \
          keys and values"
        ]
    );
}

#[test]
fn labels_pod_annotations_and_environment_are_read() {
    let overrides = parse(&[
        ("EPHEMERAL_CONFIG_LABELS", "team=platform"),
        ("EPHEMERAL_CONFIG_POD_ANNOTATIONS", "Acme.io/a=b=c"),
        ("EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP", "proxy, mirrors"),
        ("EPHEMERAL_JOB_ENV_VARS", "A=$(B);C=d"),
    ])
    .unwrap();
    assert_eq!(overrides.labels.unwrap().to_string(), "team=platform");
    assert_eq!(overrides.pod_annotations.unwrap().get("Acme.io/a"), Some("b=c"));
    assert_eq!(overrides.env_from_config_maps.unwrap().to_string(), "proxy,mirrors");
    assert_eq!(overrides.env_vars.to_string(), "A=$(B);C=d");
    assert_eq!(overrides.annotations, None);
}

#[test]
fn labels_pod_annotations_and_environment_are_checked() {
    let cases = [
        (
            "EPHEMERAL_CONFIG_LABELS",
            "a b=c",
            format!("found \"a b\", expected {}", Rule::LabelKey.expected()),
        ),
        (
            "EPHEMERAL_CONFIG_LABELS",
            "a=b c",
            format!("found \"b c\", expected {}", Rule::LabelValue.expected()),
        ),
        (
            "EPHEMERAL_CONFIG_POD_ANNOTATIONS",
            "a b=c",
            format!("found \"a b\", expected {}", Rule::AnnotationKey.expected()),
        ),
        (
            "EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP",
            "a;b",
            format!("found \"a;b\", expected {}", Rule::DnsSubdomain.expected()),
        ),
        ("EPHEMERAL_JOB_ENV_VARS", "A=b;hunter2", "found \"item 2\", expected NAME=value".to_owned()),
    ];
    for (key, value, message) in cases {
        assert_eq!(parse(&[(key, value)]).unwrap_err(), [format!("workspace variable {key}: {message}")]);
    }
}

#[test]
fn a_plugin_cache_needs_folder_and_claim() {
    let both = [("TF_PLUGIN_CACHE_DIR", "/plugin-cache"), ("PVC_CLAIM_NAME", " terrakube-plugin-pvc ")];
    let expected =
        PluginCache { claim: "terrakube-plugin-pvc".to_owned(), mount_path: "/plugin-cache".to_owned() };
    assert_eq!(parse(&both).unwrap().plugin_cache, Some(expected));
    for alone in both {
        assert_eq!(parse(&[alone]).unwrap().plugin_cache, None);
    }
    // Without a claim the folder is terraform's own business.
    assert_eq!(parse(&[("TF_PLUGIN_CACHE_DIR", "~/cache")]).unwrap().plugin_cache, None);
}

#[test]
fn folder_and_claim_of_a_plugin_cache_are_checked() {
    assert_eq!(
        parse(&[("TF_PLUGIN_CACHE_DIR", " /cache"), ("PVC_CLAIM_NAME", "My_Claim")]).unwrap_err(),
        [
            format!(
                "workspace variable PVC_CLAIM_NAME: found \"My_Claim\", expected {}",
                Rule::DnsSubdomain.expected()
            ),
            format!(
                "workspace variable TF_PLUGIN_CACHE_DIR: found \" /cache\", expected {}",
                Rule::MountPath.expected()
            ),
        ]
    );
    assert_eq!(
        parse(&[("TF_PLUGIN_CACHE_DIR", "/cache"), ("PVC_CLAIM_NAME", "")]).unwrap_err(),
        [format!(
            "workspace variable PVC_CLAIM_NAME: found \"\", expected {}; remove it to mount no claim",
            Rule::DnsSubdomain.expected()
        )]
    );
}

#[test]
fn amounts_are_read_for_each_resource() {
    let resources = parse(&[
        ("EPHEMERAL_CPU_REQUEST", "500m"),
        ("EPHEMERAL_CPU_LIMIT", "0.5"),
        ("EPHEMERAL_MEMORY_REQUEST", " 1G "),
        ("EPHEMERAL_MEMORY_LIMIT", "1Gi"),
        ("EPHEMERAL_STORAGE_LIMIT", "1e10"),
    ])
    .unwrap()
    .resources;
    let shown = |amounts: &BTreeMap<ResourceName, crate::value::Quantity>| -> Vec<String> {
        amounts.iter().map(|(name, amount)| format!("{}={amount}", name.as_str())).collect()
    };
    assert_eq!(shown(resources.requests()), ["cpu=500m", "memory=1G"]);
    assert_eq!(shown(resources.limits()), ["cpu=0.5", "ephemeral-storage=1e10", "memory=1Gi"]);
    assert!(parse(&[]).unwrap().resources.is_empty());
}

#[test]
fn a_request_above_its_limit_is_refused_with_both_values() {
    for (resource, request, limit) in
        [("CPU", "501m", "0.5"), ("MEMORY", "1Gi", "1G"), ("STORAGE", "2Ki", "2k")]
    {
        let (request_key, limit_key) =
            (format!("EPHEMERAL_{resource}_REQUEST"), format!("EPHEMERAL_{resource}_LIMIT"));
        assert_eq!(
            parse(&[(&request_key, request), (&limit_key, limit)]).unwrap_err(),
            [format!(
                "workspace variable {request_key}: found {request:?}, expected at most the limit, {limit_key}={limit}"
            )]
        );
        assert!(parse(&[(&request_key, limit), (&limit_key, limit)]).is_ok());
    }
}

#[test]
fn amounts_must_be_amounts_and_bytes_are_not_counted_in_thousandths() {
    let form = "expected an amount such as 500m, 1.5 or 2Gi";
    let cases = [
        ("EPHEMERAL_CPU_LIMIT", "", format!("found \"\", {form}")),
        ("EPHEMERAL_MEMORY_LIMIT", "1GB", format!("found \"1GB\", {form}; did you mean \"1G\"?")),
        ("EPHEMERAL_CPU_REQUEST", "-1", "found \"-1\", expected an amount that is not negative".to_owned()),
        (
            "EPHEMERAL_MEMORY_REQUEST",
            "512m",
            "found \"512m\", expected a whole number of bytes; m means thousandths; did you mean \"512Mi\"?"
                .to_owned(),
        ),
        ("EPHEMERAL_STORAGE_LIMIT", "7u", "found \"7u\", expected a whole number of bytes".to_owned()),
    ];
    for (key, value, message) in cases {
        assert_eq!(parse(&[(key, value)]).unwrap_err(), [format!("workspace variable {key}: {message}")]);
    }
    for value in ["1.1Gi", "1000m", "0"] {
        assert!(parse(&[("EPHEMERAL_MEMORY_REQUEST", value)]).is_ok(), "{value}");
    }
}

#[test]
fn security_settings_are_read_and_their_faults_named() {
    let overrides = parse(&[
        ("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT", "runAsUser=2000"),
        ("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "readOnlyRootFilesystem=true"),
    ])
    .unwrap();
    assert_eq!(overrides.pod_security.run_as_user(), Some(2000));
    assert_eq!(overrides.container_security.read_only_root_filesystem(), Some(true));
    assert_eq!(
        parse(&[("EPHEMERAL_CONFIG_SECURITY_CONTEXT", "runAsUser=1")]).unwrap_err(),
        ["workspace variable EPHEMERAL_CONFIG_SECURITY_CONTEXT: found \"runAsUser=1\", expected one of \
             allowPrivilegeEscalation, readOnlyRootFilesystem, not \"runAsUser\""]
    );
}

#[test]
fn every_problem_is_reported_sorted_by_name() {
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
fn every_name_of_the_lists_is_what_it_claims_to_be() {
    for name in keys::WORKSPACE_VARIABLES {
        assert!(name.starts_with(keys::EPHEMERAL_PREFIX), "{name}");
    }
}

#[test]
fn a_value_for_one_kind_of_steps_wins_there_and_counts_nowhere_else() {
    let variables = [
        ("EPHEMERAL_CPU_LIMIT", "2"),
        ("EPHEMERAL_CPU_LIMIT_PLAN", "1"),
        ("EPHEMERAL_CONFIG_MAP_NAME_APPLY", "extra"),
    ];
    let limit = |kind| {
        let overrides = parse_for(kind, &variables).unwrap();
        (
            overrides.resources.limits()[&ResourceName::Cpu].to_string(),
            overrides.origins.of(keys::CPU_LIMIT).key,
            overrides.config_map.map(|config_map| config_map.name),
        )
    };
    assert_eq!(limit(None), ("2".to_owned(), "EPHEMERAL_CPU_LIMIT".to_owned(), None));
    assert_eq!(limit(Some(StepKind::Plan)), ("1".to_owned(), "EPHEMERAL_CPU_LIMIT_PLAN".to_owned(), None));
    assert_eq!(
        limit(Some(StepKind::Apply)),
        ("2".to_owned(), "EPHEMERAL_CPU_LIMIT".to_owned(), Some("extra".to_owned()))
    );
}

#[test]
fn a_fault_for_one_kind_of_steps_is_found_before_every_step() {
    let message = "workspace variable EPHEMERAL_CONFIG_TOLERATIONS_APPLY: found \"a:X\", expected the operator Exists or \
                   Equal, not \"X\"";
    for kind in [None, Some(StepKind::Plan), Some(StepKind::Apply)] {
        assert_eq!(
            parse_for(kind, &[("EPHEMERAL_CONFIG_TOLERATIONS_APPLY", "a:X")]),
            Err(vec![message.to_owned()]),
            "{kind:?}"
        );
    }
}

#[test]
fn a_misspelt_name_for_one_kind_of_steps_is_told_with_its_suffix() {
    assert_eq!(
        parse(&[("EPHEMERAL_CPU_LIMT_PLAN", "1")]),
        Err(vec![
            "workspace variable EPHEMERAL_CPU_LIMT_PLAN: expected the name of a known setting; did you mean \
             \"EPHEMERAL_CPU_LIMIT_PLAN\"?"
                .to_owned()
        ])
    );
}

#[test]
fn a_variable_that_terraform_reads_too_has_no_form_for_one_kind_of_steps() {
    let variables = [("TF_PLUGIN_CACHE_DIR_PLAN", "/a"), ("PVC_CLAIM_NAME_PLAN", "b")];
    assert_eq!(parse_for(Some(StepKind::Plan), &variables), Ok(WorkspaceOverrides::default()));
}

#[test]
fn problems_name_the_layer_that_a_value_comes_from() {
    let global = [("EPHEMERAL_CPU_LIMIT".to_owned(), "x".to_owned())].into();
    let problems =
        WorkspaceOverrides::parse(&Variables::merge(&BTreeMap::new(), &global, &[]), None).unwrap_err();
    assert!(
        problems.to_string().starts_with("global variable EPHEMERAL_CPU_LIMIT: found \"x\""),
        "{problems}"
    );
}

#[test]
fn problems_serialise_for_the_api() {
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
    fn no_variables_panic(
        kind in prop::sample::select(&[None, Some(StepKind::Plan), Some(StepKind::Apply)]),
        pairs in prop::collection::btree_map(
            prop_oneof![prop::sample::select(&keys::WORKSPACE_VARIABLES).prop_map(str::to_owned), "EPHEMERAL_[A-Z_]*(_PLAN|_APPLY)?|.*"],
            "[a-c=;:* /.]*|.*",
            0..6,
        ),
    ) {
        let _ = WorkspaceOverrides::parse(&pairs.into_iter().collect(), kind);
    }
}
