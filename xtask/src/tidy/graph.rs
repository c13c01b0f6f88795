//! Who may depend on whom: lower crates never know upper ones, and some libraries have one home.
//!
//! ```text
//! api-server ─┬─► k8s-backend                               xtask ─► none of them
//! executor ───┴─► job-spec ─► config-core
//!                 ▲
//!         fuzz ───┘
//! ```

use super::{Crate, Finding, Repository, manifests, pure};

/// Every crate of the workspace, with the crates that it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("config-core", &[]),
    ("job-spec", &["config-core"]),
    ("k8s-backend", &[]),
    ("executor", &["config-core", "job-spec", "k8s-backend"]),
    ("api-server", &["config-core", "job-spec", "k8s-backend"]),
    ("e2e", &["api-server", "config-core", "job-spec", "k8s-backend"]),
    ("xtask", &[]),
    ("xtask-launcher", &[]),
    ("fuzz", &["config-core", "job-spec"]),
];

/// Libraries that do I/O or run tasks: none of a pure crate's business, not even in its tests.
const NOT_PURE: &[&str] = &[
    "async-trait",
    "axum",
    "futures",
    "hyper",
    "kube",
    "reqwest",
    "rustix",
    "sqlx",
    "tokio",
    "tokio-stream",
    "ureq",
];

/// Checks the dependencies of every crate.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    repository.crates.iter().flat_map(|member| check_crate(member, repository)).collect()
}

fn check_crate(member: &Crate, repository: &Repository) -> Vec<Finding> {
    let place = format!("{}/Cargo.toml", member.name);
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == member.name) else {
        return vec![Finding::error(
            place,
            "the crate has no place in the dependency graph of xtask/src/tidy/graph.rs",
        )];
    };
    let mut findings = Vec::new();
    for dependency in manifests::dependencies(member) {
        let package = manifests::package_name(&dependency, repository);
        let package = package.as_str();
        let ours = ALLOWED.iter().any(|(name, _)| *name == package);
        if ours && package != member.name && !allowed.contains(&package) {
            findings.push(Finding::error(&place, format!("{} may not depend on {package}", member.name)));
        }
        if is_kube(package) && !["k8s-backend", "e2e"].contains(&member.name.as_str()) {
            findings.push(Finding::error(&place, format!("only k8s-backend may depend on {package}")));
        }
        if pure::CRATES.contains(&member.name.as_str()) && NOT_PURE.contains(&package) {
            findings.push(Finding::error(
                &place,
                format!("{} does no I/O and may not depend on {package}", member.name),
            ));
        }
    }
    findings
}

fn is_kube(package: &str) -> bool {
    package == "kube" || package.starts_with("kube-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, manifest: &str) -> Vec<String> {
        let root_manifest =
            "[workspace.dependencies]\ncluster = { package = \"kube\", version = \"1\" }".parse().unwrap();
        let member = Crate { name: name.to_owned(), manifest: manifest.parse().unwrap(), files: Vec::new() };
        let repository = Repository { root_manifest, crates: vec![member], ..Repository::default() };
        check(&repository).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn a_crate_may_use_those_below_it_and_itself() {
        let manifest = "[dependencies]\nconfig-core.workspace = true\nserde.workspace = true\n\
                        [dev-dependencies]\njob-spec = { path = \".\" }";
        assert_eq!(findings("job-spec", manifest), Vec::<String>::new());
    }

    #[test]
    fn a_crate_may_not_use_one_above_it_in_any_kind_of_dependency() {
        for table in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            let manifest = format!("[{table}]\nk8s-backend.workspace = true");
            assert_eq!(
                findings("job-spec", &manifest),
                ["job-spec may not depend on k8s-backend"],
                "{table}"
            );
        }
        assert_eq!(
            findings("xtask", "[dependencies]\nconfig-core.workspace = true"),
            ["xtask may not depend on config-core"]
        );
    }

    #[test]
    fn only_the_backend_may_use_kube_under_whatever_name() {
        let manifest = "[dependencies]\ncluster.workspace = true";
        assert_eq!(findings("api-server", manifest), ["only k8s-backend may depend on kube"]);
        assert_eq!(findings("k8s-backend", manifest), Vec::<String>::new());
    }

    #[test]
    fn a_pure_crate_may_not_use_a_runtime() {
        assert_eq!(
            findings("config-core", "[dependencies]\ntokio.workspace = true"),
            ["config-core does no I/O and may not depend on tokio"]
        );
    }

    #[test]
    fn a_new_crate_needs_a_place_in_the_graph() {
        assert_eq!(findings("surprise", "").len(), 1);
    }
}
