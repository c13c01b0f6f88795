//! `cargo xtask docs`: writes `docs/reference/` and `deploy/kustomize/` anew.
//!
//! The pages belong to the crates whose facts they show: a test there compares page and code, and writes the page
//! when the variable below is set.

use crate::{cmd::Cmd, environment::Environment, manifests};

const UPDATE: &str = "UPDATE_REFERENCE";

/// Lets the tests of the owning crates write their pages.
pub(crate) fn run(environment: &Environment) -> anyhow::Result<()> {
    let owners = ["-p", "config-core", "-p", "job-spec"];
    Cmd::cargo(["test", "--quiet"]).args(owners).env(UPDATE, "1").run(environment)?;
    environment.ui.good("docs/reference is up to date");
    manifests::write_kustomize(&environment.root)?;
    environment.ui.good("deploy/kustomize is up to date");
    Ok(())
}
