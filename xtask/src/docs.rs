//! `cargo xtask docs`: writes `docs/reference/` and `deploy/kustomize/` anew.
//!
//! Tests of the api-server compare each page with the code, and write it when the variable below is set.

use crate::{cmd::Cmd, environment::Environment, manifests};

const UPDATE: &str = "UPDATE_REFERENCE";

/// Runs the tests that write the pages.
pub(crate) fn run(environment: &Environment) -> anyhow::Result<()> {
    let tests = ["-p", "api-server", "--test", "api", "reference::"];
    Cmd::cargo(["test", "--quiet"]).args(tests).env(UPDATE, "1").run(environment)?;
    environment.ui.good("docs/reference is up to date");
    manifests::write_kustomize(&environment.root)?;
    environment.ui.good("deploy/kustomize is up to date");
    Ok(())
}
