//! What `deploy` and `undeploy` do, step by step, with a `kubectl` that remembers what it is told and answers from files.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{by_name, objects, output_of, variable, xtask};

/// Objects that are there lie in files `KIND-NAME.json`.
const KUBECTL: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 9
echo "$*" >> calls
case " $* " in
  *" config get-contexts "*) cat contexts ;;
  *" config current-context "*) head -n 1 contexts ;;
  *" version "*) echo '{"serverVersion":{"gitVersion":"v1.36.2"}}' ;;
  *" get pods "*) cat pods.json ;;
  *" get events "*|*" get jobs "*) echo '{"items":[]}' ;;
  *" get namespace "*) [ ! -e namespace-terrakube.json ] || echo namespace/terrakube ;;
  *" get "*) for word; do case "$word" in */*) cat "$(echo "$word" | tr / -).json" 2>/dev/null ;; esac; done; true ;;
  *" create "*) cat >> created ;;
  *" patch "*) cat >> patched ;;
  *" apply "*) cat >> applied ;;
esac
"#;

/// A cluster that is nothing but files.
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
        let status =
            json!({ "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
        let deployment =
            json!({ "metadata": { "generation": 1 }, "spec": { "replicas": 1 }, "status": status });
        cluster.write("deployment-ephemeral-agents-api.json", &deployment.to_string());
        cluster
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Puts an object there, written by somebody.
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

    /// The objects that were deleted, in order.
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
fn the_first_deployment_makes_secrets_whose_values_stand_on_no_command_line() {
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
    // The namespace must be there before the Secrets, and these before the pod that mounts them.
    let order: Vec<_> = cluster.read("calls").lines().map(str::to_owned).collect();
    let place = |verb: &str| order.iter().position(|call| call.contains(verb)).unwrap();
    assert!(place(" apply ") < place(" create ") && cluster.calls("apply").len() == 2, "{order:#?}");
    assert!(order.last().unwrap().contains(" get "), "{order:#?}");
    let applied = by_name(objects(&cluster.read("applied")));
    assert!(
        applied.contains_key("Namespace/terrakube")
            && applied.contains_key("Deployment/ephemeral-agents-api")
    );
    assert!(!applied.keys().any(|name| name.starts_with("Secret/")), "{:?}", applied.keys());
    assert!(order.iter().skip(2).all(|call| call.starts_with("--context here ")), "{order:#?}");
}

#[test]
fn a_later_deployment_keeps_what_the_secrets_hold() {
    let cluster = Cluster::new();
    cluster.put("namespace/terrakube", "ephemeral-agents", &json!({}));
    cluster.put(
        "secret/ephemeral-agents-api",
        "ephemeral-agents",
        &json!({ "encryption-key": "eA==", "admin-token": "eQ==" }),
    );
    cluster.put("secret/terrakube-executor-secrets", "somebody", &json!({ "AWS_ACCESS_KEY_ID": "eg==" }));
    output_of(&cluster.run(&["deploy"]));
    assert_eq!((cluster.read("created"), cluster.read("patched")), (String::new(), String::new()));
}

#[test]
fn only_an_entry_that_is_missing_is_added() {
    let cluster = Cluster::new();
    cluster.put("secret/ephemeral-agents-api", "somebody", &json!({ "encryption-key": "eA==" }));
    cluster.put("secret/terrakube-executor-secrets", "somebody", &json!({}));
    output_of(&cluster.run(&["deploy"]));
    let patch: Value = serde_json::from_str(&cluster.read("patched")).unwrap();
    assert_eq!(patch["stringData"].as_object().unwrap().keys().collect::<Vec<_>>(), ["admin-token"]);
    assert_eq!(cluster.read("created"), "");
}

#[test]
fn a_namespace_of_somebody_else_is_not_touched() {
    let cluster = Cluster::new();
    cluster.put("namespace/terrakube", "kubectl-create", &json!({}));
    output_of(&cluster.run(&["deploy"]));
    assert!(!by_name(objects(&cluster.read("applied"))).contains_key("Namespace/terrakube"));
    output_of(&cluster.run(&["undeploy", "--yes"]));
    assert_eq!(cluster.deleted(), Vec::<String>::new());
}

#[test]
fn the_extended_role_goes_with_the_option_if_it_was_ours() {
    let role = "role/terrakube-api-extended-role";
    for (manager, options, expected) in [
        ("ephemeral-agents", &["deploy"][..], &[role][..]),
        ("somebody", &["deploy"], &[]),
        ("ephemeral-agents", &["deploy", "--extended-role"], &[]),
    ] {
        let cluster = Cluster::new();
        cluster.put(role, manager, &json!({}));
        output_of(&cluster.run(options));
        assert_eq!(cluster.deleted(), expected, "{manager} {options:?}");
    }
}

#[test]
fn a_dry_run_asks_no_cluster_and_shows_no_value() {
    let cluster = Cluster::new();
    let printed = output_of(&cluster.run(&["deploy", "--dry-run", "--context=nowhere"]));
    assert_eq!(cluster.read("calls"), "");
    let secrets: Vec<_> = objects(&printed).into_iter().filter(|object| object["kind"] == "Secret").collect();
    assert!(secrets.len() == 2 && secrets.iter().all(|secret| secret.get("data").is_none()), "{secrets:?}");
}

#[test]
fn a_cluster_that_cannot_be_meant_is_told_with_those_that_can() {
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
fn a_rollout_that_hangs_is_explained_with_what_to_do() {
    let cluster = Cluster::new();
    let deployment = json!({ "metadata": { "generation": 2 }, "spec": { "replicas": 1 }, "status": { "observedGeneration": 2 } });
    cluster.write("deployment-ephemeral-agents-api.json", &deployment.to_string());
    let waiting = json!({ "reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\"" });
    let status = json!({ "containerStatuses": [{ "state": { "waiting": waiting } }] });
    cluster.write("pods.json", &json!({ "items": [{ "metadata": {}, "status": status }] }).to_string());
    let output = cluster.run(&["deploy", "--timeout=0"]);
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(
        said.contains("ImagePullBackOff: Back-off pulling image") && said.contains("hint: name an image"),
        "{said}"
    );
    let text = errors(&output);
    assert!(text.contains("not ready within 0 s: ImagePullBackOff"), "{text}");
}

#[test]
fn undeploy_removes_data_only_when_that_was_agreed() {
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
    cluster.put("secret/terrakube-executor-secrets", "somebody", &json!({}));
    // There is no terminal in a test, so nobody can be asked, and the answer is no.
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
