//! `cargo xtask`: builds the program `xtask` and replaces this process by it.
//!
//! Cargo selects the features of dependencies for the packages of one command. `cargo run --package xtask`
//! would compile the crates that xtask shares with the product with other features than the product does, so
//! that a tenth of the first build would be done twice. A build in the root of the workspace selects the
//! features of all packages. `cargo run` cannot do that from other folders.
//!
//! Without dependencies, because nothing else compiles before it.

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

#[expect(clippy::disallowed_methods, reason = "this is where the programs get their environment")]
fn main() -> ExitCode {
    let error = match build() {
        Ok(Some(program)) => {
            let path = search_path(env::var_os("PATH").unwrap_or_default(), Path::new(&program));
            Command::new(program).args(env::args_os().skip(1)).env("PATH", path).exec()
        }
        // Cargo has printed why.
        Ok(None) => return ExitCode::FAILURE,
        Err(error) => error,
    };
    report(&error);
    ExitCode::FAILURE
}

/// Builds xtask and returns its path; `None` if it does not compile.
fn build() -> io::Result<Option<OsString>> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let root = Path::new(manifest).parent().unwrap_or(Path::new("/"));
    // The first build takes a minute or two, so cargo shows its progress; later ones are no news.
    let progress = if root.join("target/debug/xtask").exists() { &["--quiet"][..] } else { &[] };
    let built = Command::new("cargo")
        .args(["build", "--bin", "xtask", "--message-format=json-render-diagnostics"])
        .args(progress)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()?;
    if !built.status.success() {
        return Ok(None);
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let path = executable(&messages).ok_or_else(|| io::Error::other("cargo built no program \"xtask\""))?;
    Ok(Some(path.into()))
}

/// Adds the folder of the programs that `e2e/engines/build` builds, `target/engines`, after all others.
fn search_path(mut path: OsString, program: &Path) -> OsString {
    if let Some(target) = program.ancestors().nth(2) {
        path.push(":");
        path.push(target.join("engines"));
    }
    path
}

/// Finds the path of the program in the JSON messages of cargo. Only the last artifact has one.
fn executable(messages: &str) -> Option<String> {
    let start = messages.rfind("\"executable\":\"")? + "\"executable\":\"".len();
    let end = messages[start..].find('"')?;
    Some(messages[start..start + end].to_owned())
}

#[expect(clippy::print_stderr, reason = "there is no other output")]
fn report(error: &io::Error) {
    eprintln!("error: could not run xtask: {error}");
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, path::Path};

    use super::{executable, search_path};

    #[test]
    fn built_engines_come_after_those_of_the_machine() {
        let path = search_path(OsString::from("/bin"), Path::new("/a b/target/debug/xtask"));
        assert_eq!(path, "/bin:/a b/target/engines");
    }

    #[test]
    fn finds_path_of_program_in_messages_of_cargo() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"clap"},"executable":null,"fresh":true}
{"reason":"compiler-artifact","target":{"name":"xtask"},"executable":"/a b/target/debug/xtask","fresh":false}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages).as_deref(), Some("/a b/target/debug/xtask"));
        assert_eq!(executable(r#"{"executable":null}"#), None);
    }
}
