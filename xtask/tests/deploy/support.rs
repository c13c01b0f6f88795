//! Runs the program under test and the tools that check its output.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// The tools that `.ci/run` installs, relative to the root of the repository.
const TOOLS: &str = "target/kubernetes-tools";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Returns a command of xtask.
pub(crate) fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments);
    command
}

/// Returns the output of a command of xtask, which must succeed.
pub(crate) fn printed(arguments: &[&str]) -> String {
    output_of(&xtask(arguments).output().unwrap())
}

/// Returns the standard output of a program, which must have succeeded.
#[track_caller]
pub(crate) fn output_of(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Parses a stream of YAML documents.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    let documents: Vec<Option<Value>> = serde_saphyr::from_multiple(text).unwrap();
    documents.into_iter().flatten().filter(|document| !document.is_null()).collect()
}

/// Returns objects by kind and name, which must be unique.
pub(crate) fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let count = objects.len();
    let named = objects.into_iter().map(|object| {
        (
            format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap()),
            object,
        )
    });
    let named: BTreeMap<_, _> = named.collect();
    assert_eq!(named.len(), count, "two objects of one name");
    named
}

/// Returns the path of a tool, or `None` with a message if it is missing.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let unpacked = root().join(TOOLS).join(name);
    if unpacked.is_file() {
        return Some(unpacked);
    }
    let path =
        std::env::split_paths(&variable("PATH")).map(|folder| folder.join(name)).find(|file| file.is_file());
    if path.is_none() {
        assert!(variable("CI").is_empty(), "{name} is missing; .ci/run installs it");
        say(&format!("SKIPPED: {name} is neither in {TOOLS} nor on the PATH; .ci/run installs it"));
    }
    path
}

#[expect(
    clippy::disallowed_methods,
    reason = "the environment contains the path of tools and whether this is a pipeline"
)]
pub(crate) fn variable(name: &str) -> std::ffi::OsString {
    std::env::var_os(name).unwrap_or_default()
}

#[expect(clippy::explicit_write, reason = "it is not captured, so that skipped checks are visible")]
pub(crate) fn say(message: &str) {
    writeln!(std::io::stderr(), "{message}").unwrap();
}
