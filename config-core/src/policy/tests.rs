//! Policies that are accepted, every error, and the checks of rules.

use proptest::prelude::*;

use super::*;
use crate::{StepKind, WorkspaceOverrides};

fn messages(text: &str) -> Vec<String> {
    Policy::parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

fn rules(text: &str) -> Rules {
    Policy::parse(text).unwrap().rules_for(&["4-7", "acme"])
}

fn variables(source: SourceName, pairs: &[(&str, &str)]) -> Variables {
    Variables::new(pairs.iter().map(|(name, value)| {
        ((*name).to_owned(), Sourced::new((*value).to_owned(), Origin::new(source, *name)))
    }))
}

fn refused(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let problems = rules(text).check(&variables(SourceName::Workspace, pairs));
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn built_in_policy_refuses_variables_that_need_permission() {
    let needs = workspace::settings().filter(|setting| setting.permission).map(|setting| setting.name);
    let needs: Vec<&str> = needs.collect();
    assert!(needs.contains(&"EPHEMERAL_CONFIG_IMAGE"), "{needs:?}");
    for name in workspace::names() {
        for source in [SourceName::Workspace, SourceName::Global, SourceName::Collection] {
            let problems = Rules::default().check(&variables(source, &[(name, "x")]));
            assert_eq!(!problems.is_empty(), needs.contains(&name), "{name}");
        }
        assert_eq!(Rules::default().check(&variables(SourceName::SettingsFile, &[(name, "x")])), []);
    }
    assert_eq!(
        refused(
            "",
            &[("EPHEMERAL_CONFIG_IMAGE_PLAN", "x"), ("EPHEMERAL_CPU_LIMIT", "2"), ("AWS_REGION", "eu")]
        ),
        ["workspace variable EPHEMERAL_CONFIG_IMAGE_PLAN: expected the operator's permission, by built-in \
             default policy; the operator gives it with \"EPHEMERAL_CONFIG_IMAGE\" \
             in default.allow of the policy file"]
    );
    assert_eq!(Rules::default().pod_security().value, PodSecurityLevel::Baseline);
    assert_eq!(Policy::default().rules_for(&["acme"]), Rules::default());
}

#[test]
fn allow_and_forbid_apply_to_every_step_kind() {
    let text =
        "[default]\nallow = ['EPHEMERAL_CONFIG_IMAGE']\nforbid = ['EPHEMERAL_CPU_LIMIT', 'PVC_CLAIM_NAME']\n";
    assert!(
        refused(text, &[("EPHEMERAL_CONFIG_IMAGE", "x"), ("EPHEMERAL_CONFIG_IMAGE_APPLY", "x")]).is_empty()
    );
    assert_eq!(
        refused(text, &[("EPHEMERAL_CPU_LIMIT_APPLY", "2"), ("PVC_CLAIM_NAME", "c")]),
        [
            "workspace variable EPHEMERAL_CPU_LIMIT_APPLY: expected no value of a workspace, \
             by policy default.forbid",
            "workspace variable PVC_CLAIM_NAME: expected no value of a workspace, by policy default.forbid",
        ]
    );
}

#[test]
fn every_item_of_a_list_must_match_a_pattern() {
    let text = "[default.values]\n\
        EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS = ['diskType=*', 'nodeType=spot']\n\
        EPHEMERAL_CONFIG_TOLERATIONS = ['spot:*']\n\
        EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP = ['terraform-*']\n\
        EPHEMERAL_CONFIG_HOST_ALIASES = ['10.*']\n\
        EPHEMERAL_JOB_ENV_VARS = ['TF_*=*']\n\
        TF_PLUGIN_CACHE_DIR = ['/cache']\n\
        EPHEMERAL_CONFIG_SERVICE_ACCOUNT = []\n";
    let cases = [
        ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "diskType = ssd ; nodeType=spot;", ""),
        ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "diskType=ssd;pool=gpu", "pool=gpu"),
        ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", "nodeType=spots", "nodeType=spots"),
        ("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS_PLAN", "pool=gpu", "pool=gpu"),
        ("EPHEMERAL_CONFIG_TOLERATIONS", "spot:Exists:NoSchedule", ""),
        ("EPHEMERAL_CONFIG_TOLERATIONS", "spot:Exists;*", "*:Exists"),
        ("EPHEMERAL_CONFIG_ENVFROM_CONFIG_MAP", "terraform-a,b", "b"),
        ("EPHEMERAL_CONFIG_HOST_ALIASES", "10.0.0.1=a", ""),
        ("EPHEMERAL_CONFIG_HOST_ALIASES", "10.0.0.1=a;169.254.0.1=b", "169.254.0.1=b"),
        ("EPHEMERAL_JOB_ENV_VARS", "TF_LOG=debug", ""),
        // What a variable of terraform is set to may be a secret.
        ("EPHEMERAL_JOB_ENV_VARS", "TF_LOG=debug;AWS_KEY=hunter2", "AWS_KEY"),
        ("TF_PLUGIN_CACHE_DIR", "/cache", ""),
        ("TF_PLUGIN_CACHE_DIR", "/etc", "/etc"),
        // Terraform gets it with its spaces.
        ("TF_PLUGIN_CACHE_DIR", " /cache", " /cache"),
        ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", " a ", "a"),
        // What cannot be read is refused by those who read it.
        ("EPHEMERAL_CONFIG_TOLERATIONS", "spot:Exsts", ""),
    ];
    for (name, value, found) in cases {
        let problems = rules(text).check(&variables(SourceName::Workspace, &[(name, value)]));
        let shown: Vec<&str> = problems.iter().filter_map(|problem| problem.found.as_deref()).collect();
        assert_eq!(shown.join(""), found, "{name}={value}");
    }
    assert_eq!(
        refused(
            text,
            &[("EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS", ""), ("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "a")]
        ),
        [
            "workspace variable EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS: found \"\", expected diskType=* or \
             nodeType=spot, by policy default.values.EPHEMERAL_CONFIG_NODE_SELECTOR_TAGS",
            "workspace variable EPHEMERAL_CONFIG_SERVICE_ACCOUNT: found \"a\", expected no value, by policy \
             default.values.EPHEMERAL_CONFIG_SERVICE_ACCOUNT",
        ]
    );
}

#[test]
fn prints_line_breaks_of_keys_and_patterns_escaped() {
    let found = messages("[default.values]\n\"a\\nb\" = 1\n");
    assert!(found[0].contains(r#"write "a\nb" = ["…"]"#), "{found:?}");
    assert_eq!(
        refused(
            "[default.values]\nEPHEMERAL_JOB_ENV_VARS = [\"A=\\nB\", 'A=*']\n",
            &[("EPHEMERAL_JOB_ENV_VARS", "B=1")]
        ),
        ["workspace variable EPHEMERAL_JOB_ENV_VARS: found \"B\", expected A=\\nB or A=*, by policy \
             default.values.EPHEMERAL_JOB_ENV_VARS"]
    );
}

#[test]
fn organization_replaces_field_by_field_and_entry_by_entry() {
    let text = "[default]\nallow = ['EPHEMERAL_CONFIG_IMAGE']\nforbid = ['EPHEMERAL_CPU_LIMIT']\n\
        [default.values]\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT = ['a']\nPVC_CLAIM_NAME = ['a']\n\
        [default.maximum]\ncpu = '1'\nmemory = '1Gi'\n\
        [organizations.acme]\nforbid = []\npod-security = 'privileged'\n\
        [organizations.acme.values]\nPVC_CLAIM_NAME = ['b']\n\
        [organizations.acme.maximum]\ncpu = '2'\n\
        [organizations.4-7]\npod-security = 'restricted'\n";
    let policy = Policy::parse(text).unwrap();
    let acme = policy.rules_for(&["4-7", "acme"]);
    assert_eq!(acme.allow.origin.key, "default.allow");
    assert_eq!((acme.forbid.origin.key.as_str(), acme.forbid.value.len()), ("organizations.acme.forbid", 0));
    assert_eq!(acme.pod_security.origin.key, "organizations.4-7.pod-security");
    let rules: Vec<&str> = acme.values.values().map(|value| value.origin.key.as_str()).collect();
    assert_eq!(
        rules,
        ["default.values.EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "organizations.acme.values.PVC_CLAIM_NAME"]
    );
    let amounts: Vec<&str> = acme.maximum.values().map(|amount| amount.value.as_str()).collect();
    assert_eq!(amounts, ["2", "1Gi"]);
    assert_eq!(policy.rules_for(&["other"]), policy.rules_for(&[]));
    assert_eq!(policy.rules_for(&[]).forbid.value.len(), 1);
}

#[test]
fn reports_every_problem_with_its_line() {
    assert_eq!(
        messages(
            "defaults = 1\n\
             [default]\n\
             alow = []\n\
             allow = ['EPHEMERAL_CONFIG_IMAGE', 'EPHEMERAL_CPU_LIMIT', 7]\n\
             forbid = 'EPHEMERAL_CONFIG_IMAGE'\n\
             pod-security = 'restrict'\n\
             [default.values]\n\
             EPHEMERAL_CONFIG_SERVICE_ACOUNT = ['a']\n\
             EPHEMERAL_CPU_LIMIT_PLAN = ['1']\n\
             EPHEMERAL_CONFIG_AFFINITY = ['*']\n\
             [default.maximum]\n\
             cpu = 'lots'\n\
             memory = 8\n\
             disk = '1Gi'\n\
             deadline = '2d'\n\
             [organizations]\n\
             acme = []\n"
        ),
        [
            "policy default.allow: found \"7\", expected strings in quotes; see line 4",
            "policy default.allow: found \"EPHEMERAL_CPU_LIMIT\", expected variables that need a permission; \
             every workspace may set this one; use forbid, values and maximum to restrict it (line 4)",
            "policy default.alow: expected the name of a known setting; did you mean \"allow\"? (line 3)",
            "policy default.forbid: found \"EPHEMERAL_CONFIG_IMAGE\", expected a list of strings; \
             write forbid = [\"…\"] (line 5)",
            "policy default.maximum.cpu: found \"lots\", expected an amount such as 500m, 1.5 or 2Gi; \
             see line 12",
            "policy default.maximum.deadline: found \"2d\", expected whole seconds such as 3600, 90s, 30m or \
             1h30m; did you mean \"48h\"? (line 15)",
            "policy default.maximum.disk: expected the name of a known setting; known are cpu, \
             ephemeral-storage, memory, deadline (line 14)",
            "policy default.maximum.memory: found \"8\", expected a string in quotes; \
             write memory = \"8\" (line 13)",
            "policy default.pod-security: found \"restrict\", expected restricted, baseline or privileged; \
             did you mean \"restricted\"? (line 6)",
            "policy default.values.EPHEMERAL_CONFIG_AFFINITY: expected a variable whose value is not YAML, \
             because patterns do not match YAML; use allow and forbid, or pod-security and maximum (line 10)",
            "policy default.values.EPHEMERAL_CONFIG_SERVICE_ACOUNT: \
             found \"EPHEMERAL_CONFIG_SERVICE_ACOUNT\", expected the name of a known setting; did you \
             mean \"EPHEMERAL_CONFIG_SERVICE_ACCOUNT\"? (line 8)",
            "policy default.values.EPHEMERAL_CPU_LIMIT_PLAN: found \"EPHEMERAL_CPU_LIMIT_PLAN\", expected \
             the name of a variable without the suffix of a step kind; write EPHEMERAL_CPU_LIMIT; \
             it applies to all kinds (line 9)",
            "policy defaults: expected the name of a known setting; did you mean \"default\"? (line 1)",
            "policy organizations.acme: found \"a list of 0\", expected a table; \
             write [organizations.acme] (line 17)",
        ]
    );
}

#[test]
fn rejects_name_allowed_and_forbidden_in_one_table() {
    assert_eq!(
        messages("[default]\nallow = ['EPHEMERAL_CONFIG_IMAGE']\nforbid = ['EPHEMERAL_CONFIG_IMAGE']\n"),
        ["policy default.allow: found \"EPHEMERAL_CONFIG_IMAGE\", \
             expected no name that default.forbid has too; see line 2"]
    );
}

#[test]
fn rejects_maximum_of_zero() {
    assert_eq!(
        messages("[default.maximum]\nmemory = '512m'\ndeadline = '0s'\ncpu = '0'\n"),
        [
            "policy default.maximum.cpu: found \"0\", expected more than 0; see line 4",
            "policy default.maximum.deadline: found \"0s\", expected at least 1 second; see line 3",
            "policy default.maximum.memory: found \"512m\", expected a whole number of bytes; see line 2",
        ]
    );
}

fn limited(source: SourceName, pairs: &[(&str, &str)]) -> (WorkspaceOverrides, Vec<String>) {
    let rules = rules("[default.maximum]\ncpu = '2'\nmemory = '1Gi'\ndeadline = '2h'\n");
    let (mut overrides, problems) = WorkspaceOverrides::read(&variables(source, pairs), Some(StepKind::Plan));
    assert_eq!(problems, []);
    let problems = rules.limit(&mut overrides);
    (overrides, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn refuses_values_above_the_maximum() {
    let (_, problems) = limited(
        SourceName::Workspace,
        &[
            ("EPHEMERAL_CPU_REQUEST_PLAN", "2001m"),
            ("EPHEMERAL_MEMORY_LIMIT", "1025Mi"),
            ("EPHEMERAL_STORAGE_LIMIT", "1Ti"),
            ("EPHEMERAL_CONFIG_DEADLINE", "121m"),
        ],
    );
    assert_eq!(
        problems,
        [
            "workspace variable EPHEMERAL_CPU_REQUEST_PLAN: found \"2001m\", expected at most 2, \
             by policy default.maximum.cpu",
            "workspace variable EPHEMERAL_MEMORY_LIMIT: found \"1025Mi\", expected at most 1Gi, by policy \
             default.maximum.memory",
            "workspace variable EPHEMERAL_CONFIG_DEADLINE: found \"2h1m\", expected at most 2h, by policy \
             default.maximum.deadline",
        ]
    );
    let equal = [
        ("EPHEMERAL_CPU_LIMIT", "2000m"),
        ("EPHEMERAL_MEMORY_REQUEST", "1024Mi"),
        ("EPHEMERAL_CONFIG_DEADLINE", "120m"),
    ];
    assert!(limited(SourceName::Workspace, &equal).1.is_empty());
}

#[test]
fn label_of_a_queue_needs_the_permission_for_the_queue() {
    let queue = |text: &str, labels: &str| {
        let variables = [("EPHEMERAL_CONFIG_LABELS", labels)].into_iter().collect();
        let problems = rules(text).check(&variables);
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let allowed = "[default]\nallow = ['EPHEMERAL_CONFIG_QUEUE_NAME']\n\
                   [default.values]\nEPHEMERAL_CONFIG_QUEUE_NAME = ['team-*']\n";
    for label in ["kueue.x-k8s.io/queue-name=team-a", "kueue.x-k8s.io/priority-class=high"] {
        let key = label.split('=').next().unwrap();
        assert_eq!(
            queue("", &format!("team=a;{label}")),
            [format!(
                "workspace variable EPHEMERAL_CONFIG_LABELS: found {key:?}, expected the operator's \
                 permission, by built-in default policy; the operator gives it \
                 with \"EPHEMERAL_CONFIG_QUEUE_NAME\" in default.allow of the policy file"
            )]
        );
        assert_eq!(queue(allowed, label), Vec::<String>::new());
    }
    assert_eq!(
        queue(allowed, "kueue.x-k8s.io/queue-name=gold"),
        ["workspace variable EPHEMERAL_CONFIG_LABELS: found \"gold\", expected team-*, by policy \
             default.values.EPHEMERAL_CONFIG_QUEUE_NAME"]
    );
    assert_eq!(queue("[default]\nforbid = ['EPHEMERAL_CONFIG_QUEUE_NAME']\n", "kueue.x-k8s.io/x=y").len(), 1);
}

#[test]
fn grace_period_is_limited_by_the_maximum_deadline() {
    let rules = rules("[default.maximum]\ndeadline = '1h'\n");
    let problems = |text: &str| {
        let variables = [("EPHEMERAL_CONFIG_GRACE_PERIOD", text)].into_iter().collect();
        rules.limit(&mut WorkspaceOverrides::parse(&variables, None).unwrap())
    };
    assert_eq!(problems("1h"), []);
    let found: Vec<String> = problems("2147483647").iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["workspace variable EPHEMERAL_CONFIG_GRACE_PERIOD: found \"596523h14m7s\", expected at most 1h, \
             by policy default.maximum.deadline"]
    );
}

#[test]
fn maximum_becomes_the_limit_where_none_is_set() {
    // As much as the maximum is not above it.
    let (overrides, problems) = limited(SourceName::Workspace, &[("EPHEMERAL_CPU_REQUEST", "2")]);
    assert!(problems.is_empty());
    let resources = overrides.resources();
    let limits: Vec<&str> = resources.limits().values().map(Quantity::as_str).collect();
    assert_eq!(limits, ["2", "1Gi"]);
    assert_eq!(overrides.resources().requests().len(), 1);
    assert_eq!(overrides.origins().of("EPHEMERAL_CPU_LIMIT").to_string(), "policy default.maximum.cpu");
    assert_eq!(overrides.origins().of("EPHEMERAL_CPU_REQUEST").source, SourceName::Workspace);
    assert_eq!(overrides.deadline().to_string(), "2h");
    assert_eq!(
        overrides.origins().of("EPHEMERAL_CONFIG_DEADLINE").to_string(),
        "policy default.maximum.deadline"
    );
}

#[test]
fn settings_file_may_exceed_the_maximum() {
    let (overrides, problems) = limited(
        SourceName::SettingsFile,
        &[
            ("EPHEMERAL_CPU_REQUEST", "3"),
            ("EPHEMERAL_MEMORY_LIMIT", "2Gi"),
            ("EPHEMERAL_CONFIG_DEADLINE", "3h"),
        ],
    );
    assert!(problems.is_empty());
    let shown = |amounts: &BTreeMap<ResourceName, Quantity>| {
        amounts.values().map(|amount| amount.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(overrides.resources().limits()), ["2", "2Gi"]);
    assert_eq!(shown(overrides.resources().requests()), ["2"]);
    assert_eq!(overrides.origins().of("EPHEMERAL_CPU_REQUEST").to_string(), "policy default.maximum.cpu");
    assert_eq!(overrides.deadline().to_string(), "3h");
}

#[test]
fn maximum_above_the_default_deadline_changes_nothing() {
    let mut overrides = WorkspaceOverrides::default();
    for deadline in ["6h", "7h"] {
        let text = format!("[default.maximum]\ndeadline = '{deadline}'\n");
        assert_eq!(rules(&text).limit(&mut overrides), []);
        assert_eq!(overrides, WorkspaceOverrides::default());
    }
}

#[test]
fn validate_reports_every_problem_of_every_step_kind_once() {
    let text = "[default]\nforbid = ['PVC_CLAIM_NAME']\n[default.maximum]\ncpu = '2'\n";
    let found = variables(
        SourceName::Global,
        &[
            ("EPHEMERAL_CONFIG_IMAGE", "x"),
            ("EPHEMERAL_CONFIG_TOLERATIONS", "a:X;b:Y"),
            ("EPHEMERAL_CPU_LIMIT_APPLY", "3"),
            ("EPHEMERAL_CPU_LIMT", "1"),
            ("PVC_CLAIM_NAME", "x"),
        ],
    );
    let problems = rules(text).validate(&found).unwrap_err();
    let keys: Vec<&str> = problems.iter().map(|problem| problem.origin.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "EPHEMERAL_CONFIG_IMAGE",
            "EPHEMERAL_CONFIG_TOLERATIONS",
            "EPHEMERAL_CONFIG_TOLERATIONS",
            "EPHEMERAL_CPU_LIMIT_APPLY",
            "EPHEMERAL_CPU_LIMT",
            "PVC_CLAIM_NAME",
        ]
    );
}

proptest! {
    #[test]
    fn parses_any_policy_without_panic(
        text in "((\\[(default|organizations\\.a)(\\.(values|maximum))?\\]|allow|forbid|pod-security|cpu|deadline|EPHEMERAL_[A-Z_]*|[a-z.\"])( ?= ?('[^']*'|[0-9]+|\\['[A-Z_*]*'\\]))?\n|\\PC)*",
        value in ".*",
    ) {
        if let Ok(policy) = Policy::parse(&text) {
            let rules = policy.rules_for(&["a"]);
            let _ = rules.check(&variables(SourceName::Workspace, &[("EPHEMERAL_CONFIG_LABELS", &value)]));
            prop_assert_eq!(policy.rules_for(&["unknown"]), policy.rules_for(&[]));
        }
    }

    #[test]
    fn no_limit_is_above_the_maximum(
        maximum in 1_u64..4_000,
        request in prop::option::of(1_u64..4_000),
        limit in prop::option::of(1_u64..4_000),
    ) {
        let rules = rules(&format!("[default.maximum]\ncpu = '{maximum}m'\n"));
        let (request, limit) = (request.map(|amount| format!("{amount}m")), limit.map(|amount| format!("{amount}m")));
        let pairs: Vec<(&str, &str)> =
            [("EPHEMERAL_CPU_REQUEST", request.as_deref()), ("EPHEMERAL_CPU_LIMIT", limit.as_deref())]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
        let variables = variables(SourceName::Workspace, &pairs);
        let (mut overrides, mut problems) = WorkspaceOverrides::read(&variables, None);
        problems.extend(rules.limit(&mut overrides));
        if problems.is_empty() {
            let amount = |amounts: &BTreeMap<ResourceName, Quantity>| {
                amounts.get(&ResourceName::Cpu).map(Quantity::nanos)
            };
            let limit = amount(overrides.resources().limits());
            prop_assert!(limit.is_some_and(|limit| limit <= u128::from(maximum) * 1_000_000));
            prop_assert!(amount(overrides.resources().requests()) <= limit);
        }
    }
}
