//! `cargo xtask tidy`: the house rules as code.
//!
//! Reads the files of the repository into [`Repository`], and hands that to the rules, which are pure functions from
//! what is there to what is wrong with it. It changes nothing. One file per family of rules:
//! [`graph`] (who may depend on whom), [`manifests`], [`sources`], [`pure`] (who does no I/O), [`links`].

mod code;
mod collect;
mod graph;
mod links;
mod manifests;
mod pure;
mod sources;

use anyhow::bail;

use crate::environment::Environment;

/// What the rules look at.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    /// The root manifest.
    root_manifest: toml::Table,
    /// The crates of the workspace.
    crates: Vec<Crate>,
    /// The pages at the root and below `docs/`: path and text.
    pages: Vec<(String, String)>,
    /// Every file and folder, relative to the root.
    paths: std::collections::BTreeSet<String>,
}

/// One crate of the workspace.
#[derive(Debug, Default)]
struct Crate {
    name: String,
    manifest: toml::Table,
    /// The Rust files: path relative to the root, and text.
    files: Vec<(String, String)>,
}

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    severity: Severity,
    /// A path, with a line where that says more.
    place: String,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Warning,
    Error,
}

impl Finding {
    fn error(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place: place.into(), text: text.into() }
    }

    fn warning(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, place: place.into(), text: text.into() }
    }
}

/// Checks all rules, prints what is wrong, and fails if anything is more than a warning.
pub(crate) fn run(environment: &Environment) -> anyhow::Result<()> {
    let mut findings = check(&collect::repository(&environment.root)?);
    findings.extend(pure::check_libraries(environment)?);
    let mut errors = 0;
    for finding in &findings {
        let line = format!("{}: {}", finding.place, finding.text);
        match finding.severity {
            Severity::Warning => environment.ui.warning(&line),
            Severity::Error => {
                errors += 1;
                environment.ui.line(&format!("error: {line}"));
            }
        }
    }
    if errors > 0 {
        bail!("{errors} house rules are broken");
    }
    environment.ui.good("the house rules hold");
    Ok(())
}

fn check(repository: &Repository) -> Vec<Finding> {
    let rules = [graph::check, manifests::check, sources::check, pure::check, links::check];
    let mut findings: Vec<_> = rules.iter().flat_map(|rule| rule(repository)).collect();
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn this_repository_keeps_its_rules() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut findings = check(&collect::repository(root).unwrap());
        findings.extend(pure::check_libraries(&Environment::of_a_test()).unwrap());
        findings.retain(|finding| finding.severity == Severity::Error);
        assert!(findings.is_empty(), "{findings:#?}");
    }
}
