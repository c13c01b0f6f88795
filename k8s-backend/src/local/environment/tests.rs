//! Tables of environments and command lines.

use std::fs;

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::*;
use crate::rules::JobRules;

fn plan(container: &Value) -> Plan {
    let job = json!({"metadata": {"name": "job-1", "namespace": "terrakube"},
        "spec": {"template": {"spec": {"containers": [container]}}}});
    Plan::new(&serde_json::from_value::<Job>(job).unwrap().into(), &JobRules::new(), true).unwrap()
}

fn host(secrets: &Path) -> HostEnvironment {
    let environment =
        [("PATH", "/usr/bin:/bin"), ("HOME", "/home/tester"), ("AWS_SECRET_ACCESS_KEY", "of the server")];
    HostEnvironment {
        termination_variable: None,
        secrets: secrets.to_owned(),
        entry_point: Some("/opt/executor".into()),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    }
}

fn secret(secrets: &Path, name: &str, values: &[(&str, &str)]) {
    fs::create_dir_all(secrets.join(name)).unwrap();
    for (key, value) in values {
        fs::write(secrets.join(name).join(key), value).unwrap();
    }
}

fn environment(secrets: &Path, container: &Value) -> Result<BTreeMap<String, String>, String> {
    let line = host(secrets).command_line(&plan(container), Path::new("/jobs/job-1/mounts"))?;
    let text = |text: OsString| text.into_string().unwrap();
    Ok(line.environment.into_iter().map(|(name, value)| (text(name), text(value))).collect())
}

#[test]
fn inherits_only_listed_variables() {
    let folder = tempfile::tempdir().unwrap();
    let got = environment(folder.path(), &json!({"name": "executor"})).unwrap();
    assert_eq!(
        got,
        [("HOME", "/home/tester"), ("PATH", "/usr/bin:/bin")].map(|(k, v)| (k.into(), v.into())).into()
    );
}

#[test]
fn later_definitions_win_and_references_use_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    secret(folder.path(), "first", &[("A", "one"), ("B", "two\n"), (".hidden", "x"), ("not=a=name", "x")]);
    secret(folder.path(), "second", &[("A", "three")]);
    let container = json!({"name": "executor",
    "envFrom": [
        {"secretRef": {"name": "first"}},
        {"secretRef": {"name": "second"}},
        {"secretRef": {"name": "second"}, "prefix": "S_"},
        {"secretRef": {"name": "absent", "optional": true}},
        {"configMapRef": {"name": "absent", "optional": true}},
    ],
    "env": [
        {"name": "PATH", "value": "/own"},
        {"name": "EARLY", "value": "$(LATE) $(HOME)"},
        {"name": "LATE", "value": "$(A)+$(S_A) $$(A)"},
        {"name": "B"},
        {"name": "ONE_KEY", "valueFrom": {"secretKeyRef": {"name": "first", "key": "A"}}},
        {"name": "NO_KEY", "valueFrom": {"secretKeyRef": {"name": "first", "key": "Z", "optional": true}}},
    ]});
    let expected = [
        ("A", "three"),
        ("B", ""),
        ("EARLY", "$(LATE) $(HOME)"),
        ("HOME", "/home/tester"),
        ("LATE", "three+three $(A)"),
        ("ONE_KEY", "one"),
        ("PATH", "/own"),
        ("S_A", "three"),
    ];
    let got = environment(folder.path(), &container).unwrap();
    assert_eq!(got, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
}

#[test]
fn missing_objects_have_the_messages_of_the_kubelet() {
    let folder = tempfile::tempdir().unwrap();
    secret(folder.path(), "there", &[("A", "one")]);
    let from = |source: Value| json!({"name": "executor", "envFrom": [source]});
    let value = |source: Value| json!({"name": "executor", "env": [{"name": "X", "valueFrom": source}]});
    for (container, expected) in [
        (from(json!({"secretRef": {"name": "absent"}})), "secret \"absent\" not found"),
        (from(json!({"secretRef": {"name": "../there"}})), "secret \"../there\" not found"),
        (
            from(json!({"configMapRef": {"name": "m"}})),
            "configmap \"m\" not found (the local backend has none)",
        ),
        (value(json!({"secretKeyRef": {"name": "absent", "key": "A"}})), "secret \"absent\" not found"),
        (
            value(json!({"secretKeyRef": {"name": "there", "key": "Z"}})),
            "couldn't find key Z in Secret terrakube/there",
        ),
        (
            value(json!({"secretKeyRef": {"name": "there", "key": "../there/A"}})),
            "couldn't find key ../there/A in Secret terrakube/there",
        ),
        (
            value(json!({"fieldRef": {"fieldPath": "metadata.name"}})),
            "a variable refers to a field of the pod, and a local process has no pod",
        ),
    ] {
        assert_eq!(environment(folder.path(), &container).unwrap_err(), expected);
    }
}

#[test]
fn container_without_command_runs_the_entry_point() {
    let folder = tempfile::tempdir().unwrap();
    let line = |container: Value| host(folder.path()).command_line(&plan(&container), folder.path()).unwrap();
    let own = line(
        json!({"name": "executor", "args": ["--for=$(WHO)", "$(NOBODY)"], "env": [{"name": "WHO", "value": "me"}]}),
    );
    assert_eq!(
        (own.program, own.arguments),
        ("/opt/executor".into(), vec!["--for=me".into(), "$(NOBODY)".into()])
    );
    let given = line(json!({"name": "executor", "command": ["sh", "-c"], "args": ["true"]}));
    assert_eq!((given.program, given.arguments), ("sh".into(), vec!["-c".into(), "true".into()]));
}
