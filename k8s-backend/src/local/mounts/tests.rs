//! Tables of mounted Secrets.

use std::{fs, os::unix::fs::PermissionsExt as _};

use k8s_openapi::api::core::v1::{PodSpec, Secret};
use serde_json::{Value, json};

use super::*;
use crate::local::secrets::OwnSecret;

fn pod(source: &Value) -> PodSpec {
    serde_json::from_value(json!({
        "containers": [{"name": "executor", "volumeMounts": [{"name": "payload", "mountPath": "/run/payload/"}]}],
        "volumes": [{"name": "payload", "secret": source}],
    }))
    .unwrap()
}

fn own() -> OwnSecret {
    let secret = json!({"metadata": {"name": "job-1"}, "data": {"a": "b25l", "b": "b25l"}, "stringData": {"b": "two"}});
    OwnSecret::of(&serde_json::from_value::<Secret>(secret).unwrap())
}

fn collected(source: &Value, below: &Path) -> Result<Vec<Mount>, String> {
    let (pod, own) = (pod(source), own());
    let secrets = Secrets { own: Some(&own), folder: below };
    collect(&pod.containers[0], pod.volumes.as_deref().unwrap(), &secrets, &below.join("mounts"), "terrakube")
}

#[test]
fn files_are_those_of_the_secret_and_accessible_to_this_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mounts = collected(&json!({"secretName": "job-1"}), folder.path()).unwrap();
    for mount in &mounts {
        mount.write().unwrap();
    }
    let at = folder.path().join("mounts/payload");
    assert_eq!(fs::read_to_string(at.join("a")).unwrap(), "one");
    assert_eq!(fs::read_to_string(at.join("b")).unwrap(), "two", "stringData replaces data");
    for (path, mode) in [("", 0o700), ("a", 0o600)] {
        assert_eq!(fs::metadata(at.join(path)).unwrap().permissions().mode() & 0o777, mode, "{path:?}");
    }
}

#[test]
fn items_select_keys_and_their_paths() {
    let folder = tempfile::tempdir().unwrap();
    let source = json!({"secretName": "job-1", "items": [{"key": "a", "path": "deep/er"}]});
    let mounts = collected(&source, folder.path()).unwrap();
    assert_eq!(mounts[0].files, [("deep/er".to_owned(), b"one".to_vec())].into());
}

#[test]
fn missing_secret_is_awaited_unless_it_is_optional() {
    let folder = tempfile::tempdir().unwrap();
    let items = |key: &str, path: &str| json!([{"key": key, "path": path}]);
    for (source, expected) in [
        (json!({"secretName": "absent"}), "secret \"absent\" not found"),
        (
            json!({"secretName": "job-1", "items": items("z", "z")}),
            "couldn't find key z in Secret terrakube/job-1",
        ),
        (
            json!({"secretName": "job-1", "items": items("a", "../a")}),
            "path \"../a\" of key \"a\" leaves its volume",
        ),
        (
            json!({"secretName": "job-1", "items": items("a", "/a")}),
            "path \"/a\" of key \"a\" leaves its volume",
        ),
    ] {
        assert_eq!(collected(&source, folder.path()).unwrap_err(), expected);
    }
    for source in [
        json!({"secretName": "absent", "optional": true}),
        json!({"secretName": "job-1", "optional": true, "items": items("z", "z")}),
    ] {
        assert!(collected(&source, folder.path()).unwrap()[0].files.is_empty());
    }
}

#[test]
fn only_whole_paths_below_the_mount_are_replaced() {
    let mounts = collected(&json!({"secretName": "job-1"}), Path::new("/jobs/job-1")).unwrap();
    for (value, expected) in [
        ("/run/payload", Some("/jobs/job-1/mounts/payload")),
        ("/run/payload/a", Some("/jobs/job-1/mounts/payload/a")),
        ("/run/payload2", None),
        ("x/run/payload", None),
        ("", None),
    ] {
        let got = mounts[0].translate(value.as_bytes());
        assert_eq!(got.as_deref(), expected.map(str::as_bytes), "{value:?}");
    }
}
