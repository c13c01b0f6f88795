//! Rules for Rust files: they say what they are for, stay small, leave nothing undone, and their tests do not sleep.

use std::path::Path;

use super::{Crate, Finding, Repository, code};

/// A file that is longer fails.
const LONGEST_FILE: usize = 500;
/// A file with more lines outside its tests gets a warning.
const LONGEST_CODE: usize = 300;
/// A module comment with fewer words says nothing.
const SHORTEST_COMMENT: usize = 4;
/// Marks of work that was left undone. Written so that this file does not hold them itself.
const UNDONE: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const UNDONE_CODE: &[&str] = &["todo!(", "unimplemented!("];
/// What a test may only do in a wait that has a bound and says so.
const SLEEPS: &[&str] = &["thread::sleep(", "time::sleep(", " sleep("];
const BOUNDED_POLL: &str = "// bounded poll";
/// A Rust file with what the rules want to know about it.
struct Source<'a> {
    path: &'a str,
    text: &'a str,
    /// Only code: comments and literals are blank.
    code: String,
    /// The line where the tests start; the whole file for a file of tests.
    tests_from: usize,
}

impl<'a> Source<'a> {
    fn new(path: &'a str, text: &'a str) -> Self {
        let code = code::only(text);
        let is_tests = Path::new(path).components().any(|part| part.as_os_str() == "tests")
            || Path::new(path).file_stem().is_some_and(|stem| stem == "tests");
        let tests_from = if is_tests { 0 } else { tests_start(&code) };
        Self { path, text, code, tests_from }
    }

    /// Lines of code by number, counted from 0.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate()
    }

    fn place(&self, line: usize) -> String {
        format!("{}:{}", self.path, line + 1)
    }
}

/// Finds the module of tests, which is the last thing in a file.
fn tests_start(code: &str) -> usize {
    let lines: Vec<_> = code.lines().collect();
    let opens = |line: &str| line.trim_start().starts_with("mod ") && line.trim_end().ends_with('{');
    let found = lines.windows(2).position(|pair| pair[0].trim() == "#[cfg(test)]" && opens(pair[1]));
    found.unwrap_or(lines.len())
}

/// Checks every Rust file.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    repository.crates.iter().flat_map(check_crate).collect()
}

fn check_crate(member: &Crate) -> Vec<Finding> {
    let check_file = |(path, text): &(String, String)| {
        let source = Source::new(path, text);
        let mut findings = Vec::new();
        module_comment(&source, &mut findings);
        length(&source, &mut findings);
        undone(&source, &mut findings);
        ignored(&source, &mut findings);
        sleeps(&source, &mut findings);
        findings
    };
    member.files.iter().flat_map(check_file).collect()
}

fn module_comment(source: &Source<'_>, findings: &mut Vec<Finding>) {
    let comment = source.text.lines().next().and_then(|line| line.strip_prefix("//!"));
    if comment.is_none_or(|words| words.split_whitespace().count() < SHORTEST_COMMENT) {
        findings.push(Finding::error(source.path, "the file must start with `//!` and say what it is for"));
    }
    if source.path.ends_with("/mod.rs") {
        findings.push(Finding::error(source.path, "write `name.rs` beside a folder `name`, not `mod.rs`"));
    }
}

fn length(source: &Source<'_>, findings: &mut Vec<Finding>) {
    let lines = source.text.lines().count();
    let code = source.tests_from.min(lines);
    if lines > LONGEST_FILE {
        findings
            .push(Finding::error(source.path, format!("{lines} lines, at most {LONGEST_FILE} are allowed")));
    } else if code > LONGEST_CODE {
        findings.push(Finding::warning(
            source.path,
            format!("{code} lines outside the tests, about {LONGEST_CODE} are the aim"),
        ));
    }
}

fn undone(source: &Source<'_>, findings: &mut Vec<Finding>) {
    for (number, line) in source.text.lines().enumerate() {
        let comment = line.split_once("//").map(|(_, comment)| comment).unwrap_or_default();
        let mut words = comment.split(|c: char| !c.is_alphanumeric());
        if words.any(|word| UNDONE.contains(&word)) {
            findings.push(Finding::error(source.place(number), "finish it, or write an issue"));
        }
    }
    for (number, line) in source.code_lines() {
        if let Some(found) = UNDONE_CODE.iter().find(|undone| line.contains(**undone)) {
            findings.push(Finding::error(source.place(number), format!("`{found}…)` is left")));
        }
    }
}

fn ignored(source: &Source<'_>, findings: &mut Vec<Finding>) {
    for (number, line) in source.code_lines() {
        if line.contains("#[ignore]") {
            findings.push(Finding::error(
                source.place(number),
                "an ignored test needs a reason: `#[ignore = \"…\"]`",
            ));
        }
    }
}

fn sleeps(source: &Source<'_>, findings: &mut Vec<Finding>) {
    let text: Vec<_> = source.text.lines().collect();
    for (number, line) in source.code_lines().skip(source.tests_from) {
        let explained =
            text[number.saturating_sub(1)..=number].iter().any(|line| line.contains(BOUNDED_POLL));
        if SLEEPS.iter().any(|sleep| line.contains(sleep)) && !line.contains("fn sleep(") && !explained {
            findings.push(Finding::error(
                source.place(number),
                format!(
                    "a test waits for a state, it does not sleep; a helper that polls says `{BOUNDED_POLL}`"
                ),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMENT: &str = "//! Says what the file is for.\n";

    fn findings(crate_name: &str, path: &str, text: &str) -> Vec<String> {
        let files = vec![(path.to_owned(), text.to_owned())];
        let member = Crate { name: crate_name.to_owned(), files, ..Crate::default() };
        check_crate(&member)
            .into_iter()
            .map(|finding| format!("{}: {}", finding.place, finding.text))
            .collect()
    }

    #[track_caller]
    fn one_finding(crate_name: &str, path: &str, text: &str, expected: &str) {
        let found = findings(crate_name, path, text);
        assert!(found.len() == 1 && found[0].contains(expected), "expected {expected:?}, found {found:?}");
    }

    #[test]
    fn an_ordinary_file_is_fine() {
        let text = format!("{COMMENT}// sleeps and ignores nothing\nfn f() {{ g(\"#[ignore] todo!()\") }}\n");
        assert_eq!(findings("executor", "executor/src/run.rs", &text), Vec::<String>::new());
    }

    #[test]
    fn a_file_without_a_module_comment_is_found() {
        for text in ["fn f() {}\n", "", "// Says what the file is for.\n", "//! x\n"] {
            one_finding("executor", "executor/src/run.rs", text, "must start with `//!`");
        }
    }

    #[test]
    fn a_mod_file_is_found() {
        one_finding("executor", "executor/src/run/mod.rs", COMMENT, "not `mod.rs`");
    }

    #[test]
    fn a_file_that_is_too_long_is_found_and_one_with_much_code_gets_a_warning() {
        let lines = |count: usize| "let x = 1;\n".repeat(count);
        one_finding("executor", "a/src/b.rs", &format!("{COMMENT}{}", lines(500)), "501 lines");
        one_finding(
            "executor",
            "a/src/b.rs",
            &format!("{COMMENT}{}", lines(300)),
            "301 lines outside the tests",
        );
        let with_tests = format!("{COMMENT}{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(200), lines(200));
        assert_eq!(findings("executor", "a/src/b.rs", &with_tests), Vec::<String>::new());
        assert_eq!(
            findings("executor", "a/src/b/tests.rs", &format!("{COMMENT}{}", lines(400))),
            Vec::<String>::new()
        );
    }

    #[test]
    fn work_that_was_left_undone_is_found() {
        for mark in UNDONE {
            one_finding(
                "executor",
                "a/src/b.rs",
                &format!("{COMMENT}// {mark}: later\n"),
                "a/src/b.rs:2: finish it",
            );
        }
        one_finding("executor", "a/src/b.rs", &format!("{COMMENT}fn f() {{ todo!() }}\n"), "is left");
    }

    #[test]
    fn a_test_that_is_ignored_for_no_reason_is_found() {
        one_finding(
            "executor",
            "a/src/b.rs",
            &format!("{COMMENT}#[ignore]\nfn f() {{}}\n"),
            "needs a reason",
        );
        let with_reason = format!("{COMMENT}#[ignore = \"needs a cluster\"]\nfn f() {{}}\n");
        assert_eq!(findings("executor", "a/src/b.rs", &with_reason), Vec::<String>::new());
    }

    #[test]
    fn a_test_that_sleeps_is_found_and_a_bounded_poll_is_not() {
        for sleep in
            ["std::thread::sleep(PAUSE)", "tokio::time::sleep(PAUSE).await", "    sleep(PAUSE).await"]
        {
            let text = format!("{COMMENT}{sleep};\n");
            one_finding("executor", "a/tests/b.rs", &text, "it does not sleep");
            one_finding("executor", "a/src/b/tests.rs", &text, "it does not sleep");
            assert_eq!(findings("executor", "a/src/b.rs", &text), Vec::<String>::new(), "code may sleep");
            let explained = format!("{COMMENT}{BOUNDED_POLL}: ten seconds at most\n{sleep};\n");
            assert_eq!(findings("executor", "a/tests/b.rs", &explained), Vec::<String>::new());
        }
        let in_module = format!("{COMMENT}#[cfg(test)]\nmod tests {{\n    std::thread::sleep(PAUSE);\n}}\n");
        one_finding("executor", "a/src/b.rs", &in_module, "a/src/b.rs:4: ");
    }
}
