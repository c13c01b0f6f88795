//! Compares [`config_core::java_options`] with a Java virtual machine: both parse the same texts of
//! `JAVA_TOOL_OPTIONS` and must agree on every system property and on every error.
//!
//! Each text takes the start of a virtual machine. With `CI` set there are 2,000 texts (one or two minutes on
//! two cores), otherwise 300; `JVM_CASES=2000` sets any number. Without a Java development kit the test is
//! skipped with a message, and fails with `CI` set.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by a panic too")]

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use config_core::java_options;

#[path = "jvm/strings.rs"]
mod strings;

/// The number of texts in CI.
const CASES_IN_CI: usize = 2_000;
/// The number of texts of a local run.
const CASES: usize = 300;

type Properties = BTreeMap<String, String>;

/// Starts virtual machines; `own` are the system properties that each has without options.
struct Jvm {
    classes: &'static Path,
    own: Properties,
}

impl Jvm {
    /// Compiles the program that prints the properties; `None` without a Java development kit.
    fn new() -> Option<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jvm/PrintProperties.java");
        let classes = Path::new(env!("CARGO_TARGET_TMPDIR"));
        Command::new("java").arg("-version").stderr(Stdio::null()).status().ok()?;
        let compiled = Command::new("javac").arg("-d").arg(classes).arg(source).status().ok()?;
        assert!(compiled.success(), "javac: {compiled}");
        let jvm = Self { classes, own: Properties::new() };
        let own = stored_properties(&jvm.start(None).stdout);
        assert!(own.contains_key("java.version"), "a virtual machine has properties of its own: {own:?}");
        Some(Self { own, ..jvm })
    }

    fn start(&self, options: Option<&str>) -> Output {
        let mut java = Command::new("java");
        // Options that make the start fast. They win over those of the variable, so the heap stays small.
        java.args(["-Xint", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xmx32m"]);
        // Only the tokenizer may fail, not the check of unknown options.
        java.arg("-XX:+IgnoreUnrecognizedVMOptions").arg("-cp").arg(self.classes).arg("PrintProperties");
        // Java decodes text beyond ASCII correctly only in a UTF-8 locale.
        java.env("LC_ALL", "C.UTF-8");
        for other in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"] {
            java.env_remove(other);
        }
        java.envs(options.map(|text| ("JAVA_TOOL_OPTIONS", text)));
        java.stdin(Stdio::null()).output().expect("java started a moment ago")
    }

    /// Returns the system properties of a virtual machine with these options,
    /// or `None` for an unmatched quote.
    fn properties(&self, options: &str) -> Option<Properties> {
        let Output { status, stdout, stderr } = self.start(Some(options));
        let stderr = String::from_utf8_lossy(&stderr);
        if status.success() {
            return Some(stored_properties(&stdout));
        }
        assert!(
            stderr.contains("Unmatched quote in JAVA_TOOL_OPTIONS"),
            "{options:?} fails for another reason, {status}: {stderr}"
        );
        None
    }

    /// Returns the same by our tokenizer.
    fn expected(&self, options: &str) -> Option<Properties> {
        let mut properties = self.own.clone();
        for option in java_options::split(options).ok()? {
            if let Some((key, value)) = java_options::system_property(&option) {
                properties.insert(key.to_owned(), value.to_owned());
            }
        }
        Some(properties)
    }
}

/// Parses the output of `Properties.store`: one property per line, escapes of Java,
/// each half of a surrogate pair on its own.
fn stored_properties(text: &[u8]) -> Properties {
    let text = std::str::from_utf8(text).expect("the stored form is ASCII");
    text.lines().filter(|line| !line.starts_with('#')).map(stored_property).collect()
}

fn stored_property(line: &str) -> (String, String) {
    let mut parts = [Vec::new(), Vec::new()];
    let mut part = 0;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let unit = match character {
            '=' if part == 0 => {
                part = 1;
                continue;
            }
            '\\' => match characters.next().expect("an escape has a second character") {
                't' => '\t'.into(),
                'n' => '\n'.into(),
                'r' => '\r'.into(),
                'f' => 0xc,
                'u' => {
                    let digits: String = characters.by_ref().take(4).collect();
                    u32::from_str_radix(&digits, 16).unwrap()
                }
                other => other.into(),
            },
            other => other.into(),
        };
        parts[part].push(u16::try_from(unit).expect("the stored form is ASCII"));
    }
    let [key, value] = parts.map(|units| String::from_utf16(&units).unwrap());
    (key, value)
}

/// Describes the difference between two results for one text.
fn difference(ours: Option<&Properties>, theirs: Option<&Properties>) -> Option<String> {
    match (ours, theirs) {
        (None, None) => None,
        (None, Some(_)) => Some("only the virtual machine accepts it".to_owned()),
        (Some(_), None) => Some("only our tokenizer accepts it".to_owned()),
        (Some(ours), Some(theirs)) => {
            let keys = ours.keys().chain(theirs.keys()).filter(|key| ours.get(*key) != theirs.get(*key));
            let lines: Vec<String> = keys
                .map(|key| format!("{key:?}: ours {:?}, theirs {:?}", ours.get(key), theirs.get(key)))
                .collect();
            (!lines.is_empty()).then(|| lines.join("; "))
        }
    }
}

#[expect(
    clippy::explicit_write,
    reason = "standard error is not captured by the test harness, so a skipped test is visible"
)]
fn report(message: &str) {
    writeln!(std::io::stderr(), "{message}").unwrap();
}

#[expect(clippy::disallowed_methods, reason = "these variables select the number of cases")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[test]
fn splits_options_like_a_java_virtual_machine() {
    let in_ci = variable("CI").is_some();
    let usual = if in_ci { CASES_IN_CI } else { CASES };
    let count = variable("JVM_CASES").map_or(usual, |count| count.parse().expect("JVM_CASES is a number"));
    let Some(jvm) = Jvm::new() else {
        assert!(!in_ci, "there is no java or no javac on the PATH");
        report(
            "SKIPPED: JAVA_TOOL_OPTIONS was not compared with Java: there is no java or no javac on the PATH",
        );
        return;
    };
    let texts = strings::texts(count);
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let refused = AtomicUsize::new(0);
    let defined = AtomicUsize::new(0);
    let differences = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let theirs = jvm.properties(text);
                    match &theirs {
                        None => refused.fetch_add(1, Ordering::Relaxed),
                        Some(all) => defined.fetch_add(all.len() - jvm.own.len(), Ordering::Relaxed),
                    };
                    if let Some(difference) = difference(jvm.expected(text).as_ref(), theirs.as_ref()) {
                        differences.lock().unwrap().push(format!("{text:?}: {difference}"));
                    }
                }
            });
        }
    });
    let (refused, defined) = (refused.into_inner(), defined.into_inner());
    let differences = differences.into_inner().unwrap();
    report(&format!(
        "{} texts in {:.1} s: {refused} rejected, {defined} properties, {} differences",
        texts.len(),
        start.elapsed().as_secs_f64(),
        differences.len()
    ));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(refused * 10 > texts.len() && defined > texts.len(), "there are too few texts of one kind");
}
