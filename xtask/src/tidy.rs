//! `cargo xtask tidy`: the house rules that no compiler checks.
//!
//! Dependencies, licenses and sources: `cargo deny` with `deny.toml`. Spelling: `typos` with
//! `typos.toml`. Here: files, links, avoided words, and which crates may do I/O. `.ci/run` installs the two
//! programs; without them, outside of CI, their part is skipped with a message.

use std::{collections::HashSet, fs, path::Path};

use anyhow::{Context as _, bail};

use crate::shell::{self, Cmd, Shell};

const MAX_FILE_LINES: usize = 500;
/// As in rustfmt.toml, which does not wrap comments.
const MAX_LINE_WIDTH: usize = 110;
/// Crates that are pure functions of their input, and libraries that do I/O.
const PURE_CRATES: [&str; 2] = ["config-core", "job-spec"];
const IO_LIBRARIES: [&str; 8] = ["tokio", "mio", "hyper", "kube", "reqwest", "rustix", "socket2", "sqlx"];

/// Words of a dialect that the language rules replace (CONTRIBUTING.md),
/// as an extended regular expression for `git grep`.
const AVOIDED_WORDS: &str = "(judge[sd]?|verdicts?|culprits?|patience|mishaps?|stor(y|ies)|fates?|manners?|somebody|anybody|nobody [a-z]+|whoever|hears)";
/// This list, and the old name of an option.
const EXCEPTIONS: [&str; 3] = [":!xtask/src/tidy.rs", ":!CHANGELOG.md", ":!api-server/src/cli.rs"];

/// Checks the house rules.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    let mut functions = HashSet::new();
    for path in tracked_files(shell)? {
        let Ok(text) = fs::read_to_string(shell.root.join(&path)) else { continue };
        let extension = Path::new(&path).extension().and_then(|extension| extension.to_str());
        if extension == Some("rs") {
            problems.extend(check_source(&path, &text));
            functions.extend(text.split("fn ").skip(1).map(|rest| identifier(rest).to_owned()));
        } else if path.ends_with("/Cargo.toml") && !text.contains("[lints]\nworkspace = true\n") {
            problems.push(format!("{path}: `[lints] workspace = true` is missing"));
        // Pages in the folders of crates are part of the reference, where their links lead somewhere.
        } else if extension == Some("md")
            && (!path.contains('/') || path.starts_with("docs/") || path.starts_with("examples/"))
        {
            problems.extend(check_links(&shell.root, &path, &text));
        }
    }
    let promises = fs::read_to_string(shell.root.join(PROMISES)).context("cannot read the promises")?;
    problems.extend(check_promises(&promises, &functions));
    problems.extend(check_pure_crates(shell)?);
    problems.extend(check_words(shell)?);
    for problem in &problems {
        shell::line(&format!("error: {problem}"));
    }
    let denied = run_tool(shell, "cargo-deny", &["--log-level=error", "check"], &deny_checks(shell));
    let spelled = run_tool(shell, "typos", &[], &[]);
    denied.and(spelled)?;
    if !problems.is_empty() {
        bail!("{} house rules are violated", problems.len());
    }
    shell::success("the house rules are satisfied");
    Ok(())
}

fn tracked_files(shell: &Shell) -> anyhow::Result<Vec<String>> {
    let list =
        Cmd::new("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).output(shell)?;
    if !list.status.success() {
        bail!("git cannot list the files: {}", list.stderr.trim());
    }
    Ok(list.stdout.split_terminator('\0').map(str::to_owned).collect())
}

fn check_source(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") {
        problems.push(format!("{path}: the first line is no `//!` comment that describes the file"));
    }
    let lines = text.lines().count();
    if lines > MAX_FILE_LINES {
        problems.push(format!("{path}: {lines} lines, at most {MAX_FILE_LINES} are allowed"));
    }
    if path.ends_with("/mod.rs") {
        problems.push(format!("{path}: use `name.rs` beside a folder `name`, not `mod.rs`"));
    }
    let too_wide = text.lines().enumerate().filter(|(_, line)| is_too_wide(line));
    problems.extend(
        too_wide.map(|(index, _)| {
            format!("{path}:{}: the line is wider than {MAX_LINE_WIDTH} columns", index + 1)
        }),
    );
    problems
}

/// Returns whether a line is too wide. Rows of tables, addresses and literals cannot always be wrapped.
fn is_too_wide(line: &str) -> bool {
    let is_row = line.trim_start().starts_with("//! |") || line.trim_start().starts_with("/// |");
    line.chars().count() > MAX_LINE_WIDTH && !is_row && !line.contains(['"', '`']) && !line.contains("://")
}

/// Checks that the inline links of a page to files of the repository lead to a file.
fn check_links(root: &Path, page: &str, text: &str) -> Vec<String> {
    let folder = root.join(page).parent().map(Path::to_path_buf).unwrap_or_default();
    let mut problems = Vec::new();
    for (line, content) in text.lines().enumerate() {
        let targets = content.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for (target, _) in targets {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !target.contains(':') && !folder.join(file).exists() {
                problems.push(format!("{page}:{}: the link target {target:?} does not exist", line + 1));
            }
        }
    }
    problems
}

/// The page that lists promises and their tests.
const PROMISES: &str = "docs/promises.md";

fn identifier(text: &str) -> &str {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default()
}

/// Checks that every test that the page names exists. Tests have long names;
/// other code in backticks has none.
fn check_promises(page: &str, functions: &HashSet<String>) -> Vec<String> {
    let names = page.split('`').skip(1).step_by(2);
    let tests = names.filter(|name| identifier(name) == *name && name.matches('_').count() >= 3);
    let missing = tests.filter(|name| !functions.contains(*name));
    missing.map(|name| format!("{PROMISES}: there is no test {name}")).collect()
}

/// Checks that no library with I/O is compiled into the pure crates.
/// Their own code is checked by clippy (`.ci/pure`).
fn check_pure_crates(shell: &Shell) -> anyhow::Result<Vec<String>> {
    let packages = PURE_CRATES.iter().flat_map(|name| ["-p", name]);
    let tree = Cmd::cargo(["tree", "--locked", "--edges=normal", "--prefix=none", "--format={p}"])
        .args(packages)
        .output(shell)?;
    if !tree.status.success() {
        bail!("cargo cannot list the dependencies: {}", tree.stderr.trim());
    }
    let compiled =
        |library: &&&str| tree.stdout.lines().any(|line| line.starts_with(&format!("{library} v")));
    let found = IO_LIBRARIES.iter().filter(compiled);
    Ok(found
        .map(|library| format!("{} do no I/O, but depend on {library}", PURE_CRATES.join(" and ")))
        .collect())
}

/// Finds avoided words in tracked text files.
fn check_words(shell: &Shell) -> anyhow::Result<Vec<String>> {
    let found = Cmd::new("git", ["grep", "-I", "-n", "-i", "-w", "-E", AVOIDED_WORDS, "--", "."])
        .args(EXCEPTIONS)
        .output(shell)?;
    match found.status.code() {
        Some(0 | 1) => Ok(found.stdout.lines().map(|line| format!("avoided word: {line}")).collect()),
        _ => bail!("git cannot search the files: {}", found.stderr.trim()),
    }
}

/// Returns the checks of `cargo deny`. Advisories need the database, which is a Git repository.
fn deny_checks(shell: &Shell) -> Vec<&'static str> {
    let mut checks = vec!["bans", "licenses", "sources"];
    if shell.root.join("target/advisory-db").is_dir() {
        checks.push("advisories");
    } else {
        shell::warning("no security advisories are checked: there is no database in target/advisory-db");
    }
    checks
}

fn run_tool(shell: &Shell, name: &str, arguments: &[&str], checks: &[&str]) -> anyhow::Result<()> {
    let installed = shell.root.join("target/tools/bin").join(name);
    let program = if installed.is_file() { Some(installed) } else { shell.find_program(name) };
    match program {
        Some(program) => {
            let program = program.to_str().context("the path of the repository is not UTF-8")?.to_owned();
            Cmd::new(&program, arguments.iter().chain(checks).copied()).run(shell)
        }
        None if shell.is_ci => bail!("{name} is missing; .ci/run installs it"),
        None => {
            shell::warning(&format!(
                "{name} is neither in target/tools nor on the PATH, so its checks are skipped"
            ));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_files_without_description_and_long_files() {
        assert_eq!(check_source("a/src/b.rs", "//! Describes the file.\nfn f() {}\n"), Vec::<String>::new());
        assert!(check_source("a/src/b.rs", "fn f() {}\n")[0].contains("no `//!` comment"));
        assert!(
            check_source("a/src/b.rs", &format!("//! x\n{}", "let x = 1;\n".repeat(500)))[0]
                .contains("501 lines")
        );
        assert!(check_source("a/src/b/mod.rs", "//! x\n")[0].contains("not `mod.rs`"));
    }

    #[test]
    fn reports_tests_of_the_page_that_do_not_exist() {
        let functions = HashSet::from(["a_test_that_is_there".to_owned()]);
        let page = "`a_test_that_is_there`, `one_that_is_not`, `some/file_of_an_old_test.rs`, `short_name`";
        assert_eq!(check_promises(page, &functions), ["docs/promises.md: there is no test one_that_is_not"]);
    }

    #[test]
    fn reports_wide_lines_that_can_be_wrapped() {
        let wide = "word ".repeat(23);
        let lines = |line: &str| check_source("a/src/b.rs", &format!("//! x\n{line}\n")).len();
        assert_eq!(lines(&format!("// {wide}")), 1);
        assert_eq!(lines(&format!("let a = {wide};")), 1);
        assert_eq!(lines(&format!("/// | {wide} |")), 0);
        assert_eq!(lines(&format!("let a = \"{wide}\";")), 0);
    }

    #[test]
    fn reports_links_to_files_that_do_not_exist() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("docs")).unwrap();
        fs::write(folder.path().join("README.md"), "").unwrap();
        let text = "[a](../README.md) [b](#heading) [c](https://example.com)\n[d](missing.md#x) `[e](f)`";
        let problems = check_links(folder.path(), "docs/page.md", text);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("docs/page.md:2: ") && problems[0].contains("\"missing.md#x\""));
    }
}
