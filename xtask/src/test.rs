//! `cargo xtask test`: everything that tests need, then the tests.
//!
//! Some tests start the built programs; `cargo test` alone would leave those of other crates unbuilt or old.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{cmd::Cmd, environment::Environment};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Arguments for `cargo test`, after `--`: a name to look for, `-p CRATE`…
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds, then tests.
pub(crate) fn run(environment: &Environment, args: &Args) -> anyhow::Result<()> {
    build_all(environment)?;
    if !args.arguments.is_empty() {
        let arguments = args.arguments.iter().map(String::as_str);
        let whole =
            if args.arguments.iter().any(|argument| argument == "-p") { None } else { Some("--workspace") };
        return Cmd::cargo(["test"]).args(whole).args(arguments).run(environment);
    }
    run_tests(environment)?;
    run_doc_tests(environment)
}

/// Builds every program and every test with the features that `cargo test --workspace` uses.
///
/// The programs are built in the same breath as the tests on purpose: built alone, the libraries below them would have
/// fewer features, and half of them would be compiled twice.
pub(crate) fn build_all(environment: &Environment) -> anyhow::Result<String> {
    build(environment, &["--workspace", "--all-targets"])
}

/// Runs all tests but the doc tests.
pub(crate) fn run_tests(environment: &Environment) -> anyhow::Result<()> {
    // All failures at once: whoever waited for the build should not wait for it again to see the second one.
    Cmd::cargo(["test", "--workspace", "--all-targets", "--no-fail-fast"]).run(environment)
}

/// Runs the doc tests, for which cargo has no place among the other targets.
pub(crate) fn run_doc_tests(environment: &Environment) -> anyhow::Result<()> {
    Cmd::cargo(["test", "--workspace", "--doc"]).run(environment)
}

/// Builds targets and returns the messages of cargo, which contain the paths of the programs.
pub(crate) fn build(environment: &Environment, targets: &[&str]) -> anyhow::Result<String> {
    Cmd::cargo(["build", "--message-format=json-render-diagnostics"])
        .args(targets.iter().copied())
        .read(environment)
}

/// Builds the programs of the demo and returns the messages of cargo.
///
/// Without names of packages, so that cargo selects the features of the whole workspace, as for xtask itself. A first
/// build needs no data for incremental builds and no line tables: without them our own crates compile in two thirds
/// of the time.
pub(crate) fn build_demo(environment: &Environment) -> anyhow::Result<String> {
    Cmd::cargo(["build", "--message-format=json-render-diagnostics"])
        .args(["--bin", "api-server", "--bin", "executor", "--bin", "demo"])
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
        .read(environment)
}

#[derive(Deserialize)]
struct Message {
    target: Target,
    executable: Option<PathBuf>,
    profile: Profile,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Finds the path of a program in the messages of a build.
pub(crate) fn find_program(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok()).find_map(|message| {
        let is_program = message.target.kind.iter().any(|kind| kind == "bin") && !message.profile.test;
        if is_program && message.target.name == name { message.executable } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_and_its_unit_tests_are_not_taken_for_it() {
        let messages = r#"{"reason":"build-script-executed"}
{"target":{"name":"executor","kind":["lib"]},"profile":{"test":false},"executable":null}
{"target":{"name":"executor","kind":["bin"]},"profile":{"test":true},"executable":"/t/deps/executor-1f"}
{"target":{"name":"executor","kind":["bin"]},"profile":{"test":false},"executable":"/t/executor"}
"#;
        assert_eq!(find_program(messages, "executor"), Some(PathBuf::from("/t/executor")));
        assert_eq!(find_program(messages, "api-server"), None);
    }
}
