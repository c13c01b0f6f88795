//! Rules for manifests: one place for versions, one place for lints.

use super::{Crate, Finding, Repository};

const TABLES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// One entry of a dependency table.
#[derive(Debug)]
pub(super) struct Dependency<'a> {
    pub(super) key: &'a str,
    value: &'a toml::Value,
}

/// Lists the dependencies of a crate of every kind, those of single targets included.
pub(super) fn dependencies(member: &Crate) -> Vec<Dependency<'_>> {
    let targets = member.manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flatten().filter_map(|(_, target)| target.as_table());
    let tables = std::iter::once(&member.manifest).chain(targets);
    let tables = tables.flat_map(|table| TABLES.iter().filter_map(|name| table.get(*name)?.as_table()));
    tables.flatten().map(|(key, value)| Dependency { key, value }).collect()
}

/// Finds the name of the package that a dependency stands for, which its key may not be.
pub(super) fn package_name(dependency: &Dependency<'_>, repository: &Repository) -> String {
    let shared =
        repository.root_manifest.get("workspace").and_then(|w| w.get("dependencies")?.get(dependency.key));
    let renamed =
        [Some(dependency.value), shared].into_iter().flatten().find_map(|v| v.get("package")?.as_str());
    renamed.unwrap_or(dependency.key).to_owned()
}

/// Checks the manifest of every crate.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    repository.crates.iter().flat_map(check_crate).collect()
}

fn check_crate(member: &Crate) -> Vec<Finding> {
    let place = format!("{}/Cargo.toml", member.name);
    let mut findings = Vec::new();
    if !is_true(member.manifest.get("lints").and_then(|lints| lints.get("workspace"))) {
        findings.push(Finding::error(&place, "`[lints] workspace = true` is missing"));
    }
    for Dependency { key, value } in dependencies(member) {
        let itself = value.get("path").and_then(toml::Value::as_str) == Some(".");
        if !itself && !is_true(value.get("workspace")) {
            findings.push(Finding::error(
                &place,
                format!(
                    "dependency {key:?} must have its version in the root manifest: `{key}.workspace = true`"
                ),
            ));
        }
    }
    findings
}

fn is_true(value: Option<&toml::Value>) -> bool {
    value.and_then(toml::Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(manifest: &str) -> Vec<String> {
        let member =
            Crate { name: "executor".to_owned(), manifest: manifest.parse().unwrap(), files: Vec::new() };
        check_crate(&member).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn inherited_lints_and_versions_are_fine() {
        let manifest = "[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n\
                        [dev-dependencies]\nexecutor = { path = \".\", features = [\"testing\"] }";
        assert_eq!(findings(manifest), Vec::<String>::new());
    }

    #[test]
    fn lints_of_its_own_are_found() {
        assert_eq!(findings("[lints.rust]\nunsafe_code = \"allow\"").len(), 1);
        assert_eq!(findings(""), ["`[lints] workspace = true` is missing"]);
    }

    #[test]
    fn a_version_outside_the_root_manifest_is_found() {
        for entry in ["serde = \"1\"", "serde = { version = \"1\" }", "serde = { path = \"../serde\" }"] {
            let manifest = format!("[lints]\nworkspace = true\n[build-dependencies]\n{entry}");
            assert_eq!(findings(&manifest).len(), 1, "{entry}");
        }
    }
}
