//! The pure crates do no I/O: what their code names, and which libraries they are compiled with.
//!
//! That they compile for WebAssembly proves less, because the standard library has files and sockets there too, which fail.

use super::{Crate, Finding, Repository, code};
use crate::{cmd::Cmd, environment::Environment};

/// Crates that are pure functions over values.
pub(super) const CRATES: &[&str] = &["config-core", "job-spec"];

/// The outside world.
const OUTSIDE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "SystemTime::now",
    "Instant::now",
    "io::stdin",
    "io::stdout",
    "io::stderr",
    // Sources of their own; ours are ready tables.
    "config::Environment",
    "config::File",
];

/// Every library that the pure crates are compiled with, in WebAssembly so that no operating system adds its own. With the
/// features that are chosen, `config` alone has code that reads files or the environment; [`OUTSIDE`] keeps us from it.
const LIBRARIES: &[&str] = &[
    "annotate-snippets",
    "anstyle",
    "arraydeque",
    "base64",
    "block-buffer",
    "cfg-if",
    "config",
    "const-oid",
    "crypto-common",
    "digest",
    "encoding_rs",
    "encoding_rs_io",
    "granit-parser",
    "hybrid-array",
    "itoa",
    "jiff",
    "jiff-core",
    "json-patch",
    "jsonptr",
    "k8s-openapi",
    "memchr",
    "multiversion_no_op",
    "nohash-hasher",
    "num-traits",
    "pathdiff",
    "proc-macro2",
    "quote",
    "scopeguard",
    "serde",
    "serde-saphyr",
    "serde_core",
    "serde_derive",
    "serde_json",
    "serde_path_to_error",
    "serde_spanned",
    "sha2",
    "smallvec",
    "strsim",
    "syn",
    "thiserror",
    "thiserror-impl",
    "toml",
    "toml_datetime",
    "toml_parser",
    "toml_writer",
    "typenum",
    "unicode-ident",
    "unicode-width",
    "winnow",
    "zmij",
];

/// Checks what the code of the pure crates names, outside of their tests.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let pure = repository.crates.iter().filter(|member| CRATES.contains(&member.name.as_str()));
    pure.flat_map(|member: &Crate| &member.files)
        .filter(|(path, _)| {
            path.contains("/src/") && !path.ends_with("/tests.rs") && !path.contains("/tests/")
        })
        .flat_map(|(path, text)| outside(path, text))
        .collect()
}

/// Checks which libraries are compiled, features included; cargo knows.
pub(super) fn check_libraries(environment: &Environment) -> anyhow::Result<Vec<Finding>> {
    let packages = CRATES.iter().flat_map(|name| ["-p", name]);
    let list = Cmd::cargo(["tree", "--locked", "-e", "normal", "--target", "wasm32-unknown-unknown"])
        .args(["--prefix", "none", "--format", "{p}"])
        .args(packages)
        .ask(environment)?;
    anyhow::ensure!(list.status.success(), "cargo could not list dependencies: {}", list.errors);
    Ok(unknown_libraries(&list.output))
}

fn unknown_libraries(list: &str) -> Vec<Finding> {
    let names = list.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty());
    let unknown = names.filter(|name| !LIBRARIES.contains(name) && !CRATES.contains(name));
    let unique: std::collections::BTreeSet<&str> = unknown.collect();
    unique
        .into_iter()
        .map(|name| {
            Finding::error(
                "xtask/src/tidy/pure.rs",
                format!("{} are now compiled with {name}; add it if it does no I/O", CRATES.join(" and ")),
            )
        })
        .collect()
}

fn outside(path: &str, text: &str) -> Vec<Finding> {
    let code = code::only(text);
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut findings = Vec::new();
    let mut start = 0;
    for statement in code.split_inclusive(';') {
        let (before, imports) = statement.split_once("use ").unwrap_or((statement, ""));
        let imports = flattened(imports.trim_end_matches(';'));
        for name in OUTSIDE {
            let is_imported = imports.iter().any(|path| path.contains(name)).then_some(before.len());
            for place in before.find(name).into_iter().chain(is_imported) {
                let line = code[..start + place].matches('\n').count() + 1;
                let text = format!("this crate does no I/O and may not use {name}");
                findings.push(Finding::error(format!("{path}:{line}"), text));
            }
        }
        start += statement.len();
    }
    findings
}

/// The paths of a tree of imports: `std::{fmt, fs::{self, File}}` is `std::fmt`, `std::fs::self`, `std::fs::File`.
fn flattened(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let mut depth = 0;
    let items = inner.split(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    });
    items
        .filter(|item| !item.trim().is_empty())
        .flat_map(flattened)
        .map(|path| format!("{}{path}", head.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMENT: &str = "//! Says what the file is for, and names `std::fs`.\n";

    fn findings(crate_name: &str, path: &str, text: &str) -> Vec<String> {
        let files = vec![(path.to_owned(), format!("{COMMENT}{text}"))];
        let member = Crate { name: crate_name.to_owned(), files, ..Crate::default() };
        let repository = Repository { crates: vec![member], ..Repository::default() };
        check(&repository).into_iter().map(|finding| format!("{}: {}", finding.place, finding.text)).collect()
    }

    #[test]
    fn the_outside_world_is_found_however_it_is_named() {
        for (text, name) in [
            ("use std::fs;\n", "std::fs"),
            ("use std::{fmt, fs};\n", "std::fs"),
            ("use std::{\n    fmt,\n    net::{IpAddr, TcpStream},\n};\n", "std::net::TcpStream"),
            ("use std::{fmt, env as e};\n", "std::env"),
            ("use std::{fmt, io::{self, stdout}};\n", "io::stdout"),
            ("use config::{Config, File};\n", "config::File"),
            ("use std::io;\nfn f() { io::stdout(); }\n", "io::stdout"),
            ("fn f() { let _ = std::process::id(); }\n", "std::process"),
        ] {
            let found = findings("job-spec", "job-spec/src/render.rs", text);
            assert!(found.len() == 1 && found[0].ends_with(&format!("use {name}")), "{text:?}: {found:?}");
        }
        let found = findings("job-spec", "job-spec/src/render.rs", "fn f() {}\n\nuse std::{fmt, fs};\n");
        assert!(found[0].starts_with("job-spec/src/render.rs:4: "), "{found:?}");
    }

    #[test]
    fn values_tests_and_other_crates_are_left_in_peace() {
        let values = "use std::{fmt, io, net::{IpAddr, Ipv4Addr}, str::FromStr};\nuse config::Config;\n";
        assert_eq!(findings("config-core", "config-core/src/a.rs", values), Vec::<String>::new());
        let test = "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(findings("config-core", "config-core/src/a.rs", test), Vec::<String>::new());
        for path in ["job-spec/tests/golden.rs", "job-spec/src/plan/tests.rs"] {
            assert_eq!(findings("job-spec", path, "use std::fs;\n"), Vec::<String>::new());
        }
        assert_eq!(findings("executor", "executor/src/a.rs", "use std::fs;\n"), Vec::<String>::new());
    }

    #[test]
    fn a_library_that_nobody_looked_at_is_found_once() {
        let found = unknown_libraries("config-core v0.1.0 (/a b)\nserde v1.0.0\ntokio v1\n\ntokio v1 (*)\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].text.contains("with tokio;"), "{found:?}");
    }
}
