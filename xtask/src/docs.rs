//! `cargo xtask docs`: updates `docs/reference/` and `deploy/kustomize/`.
//!
//! Each page belongs to the crate whose facts it contains. Tests of the api-server, which uses all of them,
//! compare pages and code, and write the pages if the variable below is set.

use crate::{
    manifests,
    shell::{self, Cmd, Shell},
};

const UPDATE: &str = "UPDATE_REFERENCE";

/// Writes all generated files.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    for tests in [["--test", "api", "reference_of"], ["--lib", "--", "page_of_transitions"]] {
        let command = Cmd::cargo(["test", "--quiet", "-p", "api-server"]).args(tests);
        command.env(UPDATE, "1").run(shell)?;
    }
    shell::success("docs/reference is up to date");
    manifests::write_kustomize(&shell.root)?;
    shell::success("deploy/kustomize is up to date");
    Ok(())
}
