//! The calls of `deploy` and `undeploy`, recorded by a `kubectl` that answers from files.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{by_name, objects, output_of, variable, xtask};

/// Objects of the cluster are files `KIND-NAME.json`.
const KUBECTL: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 9
echo "$*" >> calls
case " $* " in
  *" config get-contexts "*) cat contexts ;;
  *" config current-context "*) head -n 1 contexts ;;
  *" version "*) echo '{"serverVersion":{"gitVersion":"v1.36.2"}}' ;;
  *" rollout status "*) [ ! -e rollout-hangs ] ;;
  *" get pods "*) cat pods.json ;;
  *" get events "*|*" get jobs "*) echo '{"items":[]}' ;;
  *" get namespace "*) [ ! -e namespace-terrakube.json ] || echo namespace/terrakube ;;
  *" get "*) for word; do case "$word" in */*) cat "$(echo "$word" | tr / -).json" 2>/dev/null ;; esac; done; true ;;
  *" create "*) cat >> created ;;
  *" patch "*) cat >> patched ;;
  *" apply "*) cat >> applied ;;
esac
"#;

/// A cluster of files.
struct Cluster(TempDir);

impl Cluster {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("kubectl");
        fs::write(&program, KUBECTL).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = Self(folder);
        cluster.write("contexts", "here\nthere\n");
        cluster.write("pods.json", r#"{"items":[]}"#);
        cluster
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Creates an object with this field manager.
    fn put(&self, reference: &str, manager: &str, data: &Value) {
        let object = json!({ "metadata": { "managedFields": [{ "manager": manager }] }, "data": data });
        self.write(&format!("{}.json", reference.replace('/', "-")), &object.to_string());
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let path = std::env::join_paths(
            [self.0.path().to_owned()].into_iter().chain(std::env::split_paths(&variable("PATH"))),
        );
        xtask(arguments).env("PATH", path.unwrap()).output().unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap_or_default()
    }

    fn calls(&self, verb: &str) -> Vec<String> {
        let calls = self.read("calls");
        let is_meant = |line: &&str| line.split(' ').any(|word| word == verb);
        calls.lines().filter(is_meant).map(str::to_owned).collect()
    }

    /// Returns the deleted objects, in order.
    fn deleted(&self) -> Vec<String> {
        let word = |call: &String| call.split(' ').find(|word| word.contains('/')).map(str::to_owned);
        self.calls("delete").iter().filter_map(word).collect()
    }
}

fn errors(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn first_deployment_creates_secrets_without_their_values_on_a_command_line() {
    let cluster = Cluster::new();
    let said = output_of(&cluster.run(&["deploy"]));
    let created: Vec<Value> = serde_json::Deserializer::from_str(&cluster.read("created"))
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let created = by_name(created);
    let values = created["Secret/ephemeral-agents-api"]["stringData"].as_object().unwrap();
    assert_eq!(values.keys().collect::<Vec<_>>(), ["admin-token", "encryption-key"]);
    assert_eq!(created["Secret/terrakube-executor-secrets"]["stringData"], json!({}));
    for value in values.values() {
        let value = value.as_str().unwrap();
        assert!(value.len() > 40 && !said.contains(value) && !cluster.read("calls").contains(value));
    }
    // The namespace must exist before the Secrets, and these before the pod that mounts them.
    let order: Vec<_> = cluster.read("calls").lines().map(str::to_owned).collect();
    let place = |verb: &str| order.iter().position(|call| call.contains(verb)).unwrap();
    assert!(place(" apply ") < place(" create ") && cluster.calls("apply").len() == 2, "{order:#?}");
    assert!(order.last().unwrap().contains(" rollout status "), "{order:#?}");
    let applied = by_name(objects(&cluster.read("applied")));
    assert!(
        applied.contains_key("Namespace/terrakube")
            && applied.contains_key("Deployment/ephemeral-agents-api")
    );
    assert!(!applied.keys().any(|name| name.starts_with("Secret/")), "{:?}", applied.keys());
    assert!(order.iter().skip(2).all(|call| call.starts_with("--context here ")), "{order:#?}");
}

#[test]
fn later_deployment_keeps_the_values_of_secrets() {
    let cluster = Cluster::new();
    cluster.put("namespace/terrakube", "ephemeral-agents", &json!({}));
    cluster.put(
        "secret/ephemeral-agents-api",
        "ephemeral-agents",
        &json!({ "encryption-key": "eA==", "admin-token": "eQ==" }),
    );
    cluster.put(
        "secret/terrakube-executor-secrets",
        "another-client",
        &json!({ "AWS_ACCESS_KEY_ID": "eg==" }),
    );
    output_of(&cluster.run(&["deploy"]));
    assert_eq!((cluster.read("created"), cluster.read("patched")), (String::new(), String::new()));
}

#[test]
fn adds_only_missing_entries_to_a_secret() {
    let cluster = Cluster::new();
    cluster.put("secret/ephemeral-agents-api", "another-client", &json!({ "encryption-key": "eA==" }));
    cluster.put("secret/terrakube-executor-secrets", "another-client", &json!({}));
    output_of(&cluster.run(&["deploy"]));
    let patch: Value = serde_json::from_str(&cluster.read("patched")).unwrap();
    assert_eq!(patch["stringData"].as_object().unwrap().keys().collect::<Vec<_>>(), ["admin-token"]);
    assert_eq!(cluster.read("created"), "");
}

#[test]
fn namespace_of_another_field_manager_is_unchanged() {
    let cluster = Cluster::new();
    cluster.put("namespace/terrakube", "kubectl-create", &json!({}));
    output_of(&cluster.run(&["deploy"]));
    assert!(!by_name(objects(&cluster.read("applied"))).contains_key("Namespace/terrakube"));
    output_of(&cluster.run(&["undeploy", "--yes"]));
    assert_eq!(cluster.deleted(), Vec::<String>::new());
}

#[test]
fn extended_role_is_deleted_without_its_option_if_deploy_created_it() {
    let role = "role/terrakube-api-extended-role";
    for (manager, options, expected) in [
        ("ephemeral-agents", &["deploy"][..], &[role][..]),
        ("another-client", &["deploy"], &[]),
        ("ephemeral-agents", &["deploy", "--extended-role"], &[]),
    ] {
        let cluster = Cluster::new();
        cluster.put(role, manager, &json!({}));
        output_of(&cluster.run(options));
        assert_eq!(cluster.deleted(), expected, "{manager} {options:?}");
    }
}

#[test]
fn dry_run_calls_no_cluster_and_prints_no_secret_value() {
    let cluster = Cluster::new();
    let printed = output_of(&cluster.run(&["deploy", "--dry-run", "--context=nowhere"]));
    assert_eq!(cluster.read("calls"), "");
    let secrets: Vec<_> = objects(&printed).into_iter().filter(|object| object["kind"] == "Secret").collect();
    assert!(secrets.len() == 2 && secrets.iter().all(|secret| secret.get("data").is_none()), "{secrets:?}");
}

#[test]
fn error_for_an_unknown_context_lists_the_known_ones() {
    let cluster = Cluster::new();
    let text = errors(&cluster.run(&["deploy", "--context=nowhere"]));
    assert!(text.contains("\"nowhere\"") && text.contains("\"here\", \"there\""), "{text}");
    cluster.write("contexts", "");
    assert!(errors(&cluster.run(&["deploy"])).contains("KUBECONFIG"));
    let without = xtask(&["undeploy"]).env("PATH", PathBuf::from("/nowhere")).output().unwrap();
    assert!(errors(&without).contains("kubectl is not on the PATH"));
    assert!(cluster.calls("apply").is_empty());
}

#[test]
fn rollout_timeout_is_explained_with_a_hint() {
    let cluster = Cluster::new();
    cluster.write("rollout-hangs", "");
    let waiting = json!({ "reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\"" });
    let status = json!({ "containerStatuses": [{ "state": { "waiting": waiting } }] });
    cluster.write("pods.json", &json!({ "items": [{ "metadata": {}, "status": status }] }).to_string());
    let output = cluster.run(&["deploy", "--timeout=0"]);
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        said.contains("ImagePullBackOff: Back-off pulling image") && said.contains("hint: choose an image"),
        "{said}"
    );
    let text = errors(&output);
    assert!(text.contains("not ready within 0 s: ImagePullBackOff"), "{text}");
}

#[test]
fn undeploy_deletes_data_only_after_confirmation() {
    let ours = [
        "deployment/ephemeral-agents-api",
        "role/terrakube-api-role",
        "secret/ephemeral-agents-api",
        "persistentvolumeclaim/ephemeral-agents-api",
        "namespace/terrakube",
    ];
    let cluster = Cluster::new();
    for reference in ours {
        cluster.put(reference, "ephemeral-agents", &json!({}));
    }
    cluster.put("secret/terrakube-executor-secrets", "another-client", &json!({}));
    // A test has no terminal for the question, so the answer is no.
    let said = output_of(&cluster.run(&["undeploy"]));
    assert_eq!(cluster.deleted(), ["deployment/ephemeral-agents-api", "role/terrakube-api-role"]);
    assert!(said.contains("secret/ephemeral-agents-api stays"), "{said}");
    output_of(&cluster.run(&["undeploy", "--yes"]));
    let mut deleted = cluster.deleted().split_off(2);
    deleted.sort();
    let mut expected = ours.to_vec();
    expected.sort_unstable();
    assert_eq!(deleted, expected);
}
