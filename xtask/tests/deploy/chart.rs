//! The Helm chart renders to the objects that `cargo xtask manifests` prints, for all options that both have.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use super::support::{by_name, objects, output_of, printed, root, tool};

fn helm(helm: &Path, command: &[&str], options: &[&str]) -> Output {
    let chart = root().join("deploy/chart");
    Command::new(helm).args(command).arg(chart).args(options).output().unwrap()
}

fn rendered(program: &Path, namespace: &str, options: &[&str]) -> BTreeMap<String, Value> {
    let output = helm(program, &["template", "release"], &[&["--namespace", namespace], options].concat());
    let mut objects = objects(&output_of(&output));
    for object in &mut objects {
        // Only Helm reads these, and the values of Secrets are random.
        if let Some(annotations) = object["metadata"].as_object_mut().unwrap().remove("annotations") {
            assert_eq!(annotations, serde_json::json!({ "helm.sh/resource-policy": "keep" }));
        }
        if object["kind"] == "Secret" {
            object.as_object_mut().unwrap().remove("data");
        }
    }
    by_name(objects)
}

/// The objects of `cargo xtask manifests` without the namespace, which Helm can create itself.
fn expected(options: &[&str]) -> BTreeMap<String, Value> {
    let mut objects = objects(&printed(&[&["manifests"], options].concat()));
    objects.retain(|object| object["kind"] != "Namespace");
    by_name(objects)
}

#[test]
fn chart_renders_the_objects_of_manifests() {
    let Some(program) = tool("helm") else { return };
    let same: &[(&str, &[&str], &[&str])] = &[
        ("terrakube", &[], &[]),
        ("other", &[], &["--namespace=other"]),
        ("terrakube", &["--set=extendedRole=true"], &["--extended-role"]),
        ("terrakube", &["--set=clusterDNS=false"], &["--no-cluster-dns"]),
        ("terrakube", &["--set=storage.kind=emptyDir"], &["--storage=empty-dir"]),
        (
            "terrakube",
            &["--set=storage.size=1Gi,storage.className=fast"],
            &["--storage-size=1Gi", "--storage-class=fast"],
        ),
        ("terrakube", &["--set=api.url=https://api.example.com"], &["--api-url=https://api.example.com"]),
        ("terrakube", &["--set=api.imagePullSecrets={login}"], &["--image-pull-secret=login"]),
        (
            "terrakube",
            &["--set=allowFromNamespaces={a,b}"],
            &["--allow-from-namespace=a", "--allow-from-namespace=b"],
        ),
        (
            "terrakube",
            &[
                "--set-string=api.image=acme/api,api.version=1,executor.image=acme/executor,executor.version=2",
            ],
            &["--image=acme/api:1", "--executor-image=acme/executor:2"],
        ),
        (
            "terrakube",
            &["--set=api.env[0].name=RUST_LOG,api.env[0].value=debug,api.env[1].name=A,api.env[1].value=b c"],
            &["--env=RUST_LOG=debug", "--env=A=b c"],
        ),
    ];
    for (namespace, values, options) in same {
        assert_same(&rendered(&program, namespace, values), &expected(options), &format!("{values:?}"));
    }
}

/// Object by object, so that the difference is readable.
#[track_caller]
fn assert_same(rendered: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>, case: &str) {
    assert_eq!(rendered.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{case}");
    for (name, object) in rendered {
        assert!(*object == expected[name], "{case}: rendered {object:#}\nexpected {:#}", expected[name]);
    }
}

/// The example of the documentation of ephemeral executors.
const DOCUMENTED: &str = r#"
## API properties
api:
  image: "azbuilder/api-server"
  version: "2.27.2"
  serviceAccountName: "terrakube-api-service-account"
  env:
  - name: ExecutorEphemeralNamespace
    value: terrakube
  - name: ExecutorEphemeralImage
    value: azbuilder/executor:2.27.2
  - name: ExecutorEphemeralSecret
    value: terrakube-executor-secrets
"#;

#[test]
fn accepts_the_documented_values() {
    let Some(program) = tool("helm") else { return };
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    fs::write(&values, DOCUMENTED).unwrap();
    let rendered = rendered(&program, "terrakube", &["--values", values.to_str().unwrap()]);
    let images = ["--image=azbuilder/api-server:2.27.2", "--executor-image=azbuilder/executor:2.27.2"];
    assert_same(&rendered, &expected(&images), "documented values");
}

#[test]
fn rejects_invalid_values_by_name() {
    let Some(program) = tool("helm") else { return };
    let refused: &[(&str, &str)] = &[
        (
            "--set=api.env[0].name=ExecutorEphemeralNamespace,api.env[0].value=other",
            "the role of the api-server holds in namespace",
        ),
        ("--set=api.imagee=x", "imagee"),
        ("--set=storage.kind=disk", "storage/kind"),
        ("--set=api.url=api:8080", "api/url"),
    ];
    for (values, expected) in refused {
        let output = helm(&program, &["template", "release"], &["--namespace=terrakube", values]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(expected), "{values}: {text}");
    }
}

#[test]
fn rendered_secrets_have_the_format_of_the_server() {
    let Some(program) = tool("helm") else { return };
    let output = helm(&program, &["template", "release"], &["--namespace=terrakube"]);
    let mut objects = by_name(objects(&output_of(&output)));
    let data = objects.remove("Secret/ephemeral-agents-api").unwrap()["data"].take();
    let decoded = |name: &str| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let decode = |text: &[u8]| STANDARD.decode(text).unwrap();
        (decode(data[name].as_str().unwrap().as_bytes()), decode)
    };
    let (key, decode) = decoded("encryption-key");
    assert_eq!(decode(&key).len(), 32);
    assert!(decoded("admin-token").0.len() >= 16);
}

#[test]
fn chart_passes_the_linter() {
    let Some(program) = tool("helm") else { return };
    output_of(&helm(&program, &["lint"], &["--strict"]));
}
