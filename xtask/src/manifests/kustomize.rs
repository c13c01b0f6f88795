//! `deploy/kustomize/base` and the component for the extended role, generated from the same objects.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Settings, objects, optional_objects, yaml};

const FOLDER: &str = "deploy/kustomize";
const COMMENT: &str = "Generated from xtask/src/manifests.rs; `cargo xtask docs` writes it.";

/// Returns every file in [`FOLDER`], by its relative path.
fn files() -> anyhow::Result<BTreeMap<String, String>> {
    let settings = Settings::defaults();
    let mut files = part("base", "kustomize.config.k8s.io/v1beta1", "Kustomization", &base(&settings))?;
    let extended = optional_objects(&settings);
    files.extend(part("extended-role", "kustomize.config.k8s.io/v1alpha1", "Component", &extended)?);
    Ok(files)
}

/// Without the Secret of the api-server, whose values the operator creates.
fn base(settings: &Settings) -> Vec<Value> {
    let is_server_secret = |object: &Value| *object == super::secrets::server(settings);
    objects(settings).into_iter().filter(|object| !is_server_secret(object)).collect()
}

/// Returns a folder with a file for each kind, and the file that lists them.
fn part(
    folder: &str,
    version: &str,
    kind: &str,
    objects: &[Value],
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut by_file: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        by_file.entry(format!("{kind}.yaml")).or_default().push(object.clone());
    }
    let resources: Vec<_> = by_file.keys().collect();
    let list = json!({ "apiVersion": version, "kind": kind, "resources": resources });
    let list = (format!("{folder}/kustomization.yaml"), yaml::documents(COMMENT, &[list])?);
    let files = by_file
        .iter()
        .map(|(name, objects)| Ok((format!("{folder}/{name}"), yaml::documents(COMMENT, objects)?)));
    files.chain([Ok(list)]).collect()
}

/// Writes the files, and deletes all others in the folder.
pub(crate) fn write(root: &Path) -> anyhow::Result<()> {
    let folder = root.join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot delete {}", folder.display()))?;
    }
    for (name, text) in files()? {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&folder))
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_the_repository_are_up_to_date() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(FOLDER);
        let files = files().unwrap();
        for (name, expected) in &files {
            let there = fs::read_to_string(root.join(name)).unwrap_or_default();
            assert!(there == *expected, "{FOLDER}/{name} is outdated; `cargo xtask docs` writes it");
        }
        let there = ["base", "extended-role"].map(|part| fs::read_dir(root.join(part)).unwrap().count());
        assert_eq!(there.iter().sum::<usize>(), files.len(), "{FOLDER} contains other files");
    }
}
