//! The kustomize base contains the objects that `cargo xtask manifests` prints.

use std::{fs, path::Path, process::Command};

use super::support::{by_name, objects, output_of, printed, root, tool};

fn built(kubectl: &Path, folder: &Path) -> std::collections::BTreeMap<String, serde_json::Value> {
    by_name(objects(&output_of(&Command::new(kubectl).arg("kustomize").arg(folder).output().unwrap())))
}

#[test]
fn base_contains_all_objects_except_the_secret_of_the_api_server() {
    let Some(kubectl) = tool("kubectl") else { return };
    let mut expected = by_name(objects(&printed(&["manifests"])));
    expected.remove("Secret/ephemeral-agents-api").unwrap();
    let built = built(&kubectl, &root().join("deploy/kustomize/base"));
    assert_eq!(built.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, object) in built {
        assert_eq!(object, expected[&name], "{name}");
    }
}

#[test]
fn component_adds_the_extended_role_also_in_another_namespace() {
    let Some(kubectl) = tool("kubectl") else { return };
    // kustomize accepts a base only by a relative path.
    let folder = tempfile::tempdir_in(root().join("target")).unwrap();
    let overlay = "namespace: other\nresources: [../../deploy/kustomize/base]\ncomponents: \
        [../../deploy/kustomize/extended-role]\n";
    fs::write(folder.path().join("kustomization.yaml"), overlay).unwrap();
    let built = built(&kubectl, folder.path());
    let arguments = [
        "manifests",
        "--namespace=other",
        "--extended-role",
        "--api-url=http://ephemeral-agents-api.terrakube.svc:8080",
    ];
    let expected = by_name(objects(&printed(&arguments)));
    for kind in ["Role", "RoleBinding"] {
        let name = format!("{kind}/terrakube-api-extended-role");
        assert_eq!(built[&name], expected[&name]);
    }
}
