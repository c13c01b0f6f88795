//! Every object is valid by the JSON schemas that Kubernetes publishes, without unknown fields.

use std::{fs, path::Path, sync::LazyLock};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::support::{objects, printed, root, say, variable};

/// The supported minor versions of Kubernetes, as for Kubernetes Jobs (`job-spec/tests/schemas.rs`).
const VERSIONS: &[&str] = &["1.33", "1.34", "1.35", "1.36", "1.37"];

/// The kinds, and their prefix in the schemas.
const KINDS: &[(&str, &str, &str)] = &[
    ("v1", "Namespace", "io.k8s.api.core.v1"),
    ("v1", "ServiceAccount", "io.k8s.api.core.v1"),
    ("v1", "Secret", "io.k8s.api.core.v1"),
    ("v1", "Service", "io.k8s.api.core.v1"),
    ("v1", "ConfigMap", "io.k8s.api.core.v1"),
    ("v1", "PersistentVolumeClaim", "io.k8s.api.core.v1"),
    ("apps/v1", "Deployment", "io.k8s.api.apps.v1"),
    ("policy/v1", "PodDisruptionBudget", "io.k8s.api.policy.v1"),
    ("networking.k8s.io/v1", "NetworkPolicy", "io.k8s.api.networking.v1"),
    ("rbac.authorization.k8s.io/v1", "Role", "io.k8s.api.rbac.v1"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "io.k8s.api.rbac.v1"),
];

/// Every option that changes the structure of an object.
const EVERYTHING: &[&str] = &[
    "--extended-role",
    "--storage-class=fast",
    "--image-pull-secret=login",
    "--allow-from-namespace=ingress",
    "--no-cluster-dns",
    "--env=RUST_LOG=debug",
];

/// One validator for each version; none, with a message, without the schemas.
static VALIDATORS: LazyLock<Vec<(&str, Validator)>> = LazyLock::new(|| {
    let folder = root().join("target/kubernetes-schemas/kubernetes_validate/kubernetes-json-schema");
    if !folder.is_dir() {
        assert!(variable("CI").is_empty(), "the schemas are missing; .ci/run installs them");
        say("SKIPPED: no object was validated by the schemas of Kubernetes, which .ci/run installs");
        return Vec::new();
    }
    VERSIONS.iter().map(|version| (*version, validator(&folder, version))).collect()
});

/// Selects the schema by the kind, so that one validator is enough.
fn validator(folder: &Path, version: &str) -> Validator {
    let path = folder.join(format!("v{version}.0-local-strict/_definitions.json"));
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let cases = KINDS.iter().map(|(_, kind, group)| {
        json!({
            "if": { "properties": { "kind": { "const": kind } } },
            "then": { "$ref": format!("#/$defs/{group}.{kind}") },
        })
    });
    schema["allOf"] = cases.collect();
    jsonschema::validator_for(&schema).unwrap()
}

fn errors(objects: &[Value]) -> Vec<String> {
    let against = |object: &Value| {
        let of_version = |(version, validator): &(&str, Validator)| {
            let lines = validator.iter_errors(object).map(|error| {
                let (kind, name) = (&object["kind"], &object["metadata"]["name"]);
                format!("{version}: {kind} {name}: {}: {error}", error.instance_path())
            });
            lines.collect::<Vec<_>>()
        };
        VALIDATORS.iter().flat_map(of_version).collect::<Vec<_>>()
    };
    objects.iter().flat_map(against).collect()
}

#[test]
fn output_of_a_dry_run_is_valid_in_every_version() {
    for command in ["deploy", "manifests"] {
        for options in [&[][..], EVERYTHING, &["--storage=empty-dir", "--namespace=other"]] {
            let dry = if command == "deploy" { &["--dry-run"][..] } else { &[] };
            let objects = objects(&printed(&[&[command], dry, options].concat()));
            assert!(objects.len() > 10, "{objects:#?}");
            for object in &objects {
                let known = KINDS
                    .iter()
                    .any(|(version, kind, _)| object["apiVersion"] == *version && object["kind"] == *kind);
                assert!(known, "no schema was named for {object:#}");
            }
            assert_eq!(errors(&objects), Vec::<String>::new(), "{command} {options:?}");
        }
    }
}

#[test]
fn schemas_reject_unknown_fields_in_every_kind() {
    for object in &mut objects(&printed(&["manifests", "--extended-role"])) {
        object["surprise"] = json!(1);
        let found = errors(std::slice::from_ref(object));
        assert!(found.len() == VALIDATORS.len(), "{}: {found:?}", object["kind"]);
    }
}
