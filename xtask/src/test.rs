//! `cargo xtask test`: builds the programs that tests start, then runs the tests.

use std::path::PathBuf;

use serde_json::Value;

use crate::shell::{Cmd, Shell};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Arguments of `cargo test`, after `--`: a name, `-p CRATE`…
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds, then tests.
pub(crate) fn run(shell: &Shell, args: &Args) -> anyhow::Result<()> {
    build_all(shell)?;
    if args.arguments.is_empty() {
        run_tests(shell)?;
        return run_doc_tests(shell);
    }
    let workspace = (!args.arguments.iter().any(|argument| argument == "-p")).then_some("--workspace");
    Cmd::cargo(["test"]).args(workspace).args(args.arguments.iter().map(String::as_str)).run(shell)
}

/// Builds all programs and tests with one set of features, and returns the messages of cargo.
///
/// Built separately, the programs would need fewer features of their libraries,
/// and these would be compiled twice.
pub(crate) fn build_all(shell: &Shell) -> anyhow::Result<String> {
    build(shell, &["--workspace", "--all-targets"])
}

/// Runs all tests but the doc tests; a failure does not stop the others.
pub(crate) fn run_tests(shell: &Shell) -> anyhow::Result<()> {
    Cmd::cargo(["test", "--workspace", "--all-targets", "--no-fail-fast"]).run(shell)
}

/// Runs the doc tests, which are no target of cargo.
pub(crate) fn run_doc_tests(shell: &Shell) -> anyhow::Result<()> {
    Cmd::cargo(["test", "--workspace", "--doc"]).run(shell)
}

/// Builds targets and returns the messages of cargo, which contain the paths of the programs.
pub(crate) fn build(shell: &Shell, targets: &[&str]) -> anyhow::Result<String> {
    Cmd::cargo(["build", "--message-format=json-render-diagnostics"])
        .args(targets.iter().copied())
        .read(shell)
}

/// Builds the programs of the demo and returns the messages of cargo.
///
/// Without names of packages, so that cargo selects the features of the whole workspace, as for xtask itself.
/// A first build needs no data for incremental builds and no line tables: without them our own crates compile
/// in two thirds of the time.
pub(crate) fn build_demo(shell: &Shell) -> anyhow::Result<String> {
    Cmd::cargo(["build", "--message-format=json-render-diagnostics"])
        .args(["--bin", "api-server", "--bin", "executor", "--bin", "demo"])
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .read(shell)
}

/// Finds the path of a program in the messages of a build.
pub(crate) fn find_program(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let is_program = message["target"]["kind"][0] == "bin" && message["profile"]["test"] == false;
        let path = message["executable"].as_str().filter(|_| is_program && message["target"]["name"] == name);
        path.map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_program_and_not_its_unit_tests() {
        let messages = r#"{"reason":"build-script-executed"}
{"target":{"name":"executor","kind":["lib"]},"profile":{"test":false},"executable":null}
{"target":{"name":"executor","kind":["bin"]},"profile":{"test":true},"executable":"/t/deps/executor-1f"}
{"target":{"name":"executor","kind":["bin"]},"profile":{"test":false},"executable":"/t/executor"}
"#;
        assert_eq!(find_program(messages, "executor"), Some(PathBuf::from("/t/executor")));
        assert_eq!(find_program(messages, "api-server"), None);
    }
}
