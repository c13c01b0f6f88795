//! `cargo xtask docs`: updates `docs/reference/` and `deploy/kustomize/`.
//!
//! Each page belongs to the crate whose facts it contains. A test of that crate compares page and code, and
//! writes the page if the variable below is set.

use crate::{
    manifests,
    shell::{self, Cmd, Shell},
};

const UPDATE: &str = "UPDATE_REFERENCE";

/// Writes all generated files.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    let owners = ["-p", "config-core", "-p", "job-spec"];
    Cmd::cargo(["test", "--quiet"]).args(owners).env(UPDATE, "1").run(shell)?;
    shell::success("docs/reference is up to date");
    manifests::write_kustomize(&shell.root)?;
    shell::success("deploy/kustomize is up to date");
    Ok(())
}
