//! `cargo xtask ci`: every check of this repository, the same on a laptop and in a pipeline.
//!
//! The order is that of cost, so that a small slip is told soon. Everything is built once, with one profile and one
//! choice of features; the tests, the doc tests, the demo and the main job use that build.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{cmd::Cmd, demo, environment::Environment, test, tidy, ui::Ui};

type Check = fn(&mut State<'_>) -> anyhow::Result<()>;

/// The checks, in order.
const CHECKS: &[(&str, Check)] = &[
    ("format", |state| Cmd::cargo(["fmt", "--all", "--check"]).run(state.environment)),
    ("house rules", |state| tidy::run(state.environment)),
    ("lints", |state| {
        Cmd::cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run(state.environment)
    }),
    ("build", |state| {
        state.messages = test::build_all(state.environment)?;
        Ok(())
    }),
    ("tests", |state| test::run_tests(state.environment)),
    ("doc tests", |state| test::run_doc_tests(state.environment)),
    ("WebAssembly", |state| pure_crates_for_web_assembly(state.environment)),
    ("documentation", |state| {
        Cmd::cargo(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-Dwarnings")
            .run(state.environment)
    }),
    ("demo", |state| demo::run_built(state.environment, &state.messages, "demo", &["--yes"])),
    ("main job", |state| demo::run_built(state.environment, &state.messages, "e2e", &["--full", "--local"])),
];

struct State<'a> {
    environment: &'a Environment,
    /// The messages of the build.
    messages: String,
}

/// Runs the checks up to the first that fails.
pub(crate) fn run(environment: &Environment) -> anyhow::Result<()> {
    let mut state = State { environment, messages: String::new() };
    let mut done = Vec::new();
    let mut result = Ok(());
    for (name, check) in CHECKS {
        environment.ui.title(name);
        let start = Instant::now();
        result = check(&mut state).with_context(|| format!("check {name:?} failed"));
        done.push((*name, start.elapsed(), result.is_ok()));
        if result.is_err() {
            break;
        }
    }
    report(&environment.ui, &done);
    result
}

/// The pure crates run in any program, a browser's included. Without that target at hand there is nothing to check.
fn pure_crates_for_web_assembly(environment: &Environment) -> anyhow::Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let folder = Cmd::new("rustc", ["--print", "target-libdir", "--target", TARGET]).read(environment)?;
    if !Path::new(folder.trim()).exists() {
        environment.ui.note(&format!("skipped: the standard library for {TARGET} is not installed"));
        return Ok(());
    }
    // Libraries leave the Kubernetes version to the program that imports them.
    Cmd::cargo(["check", "-p", "config-core", "-p", "job-spec", "--features", "k8s-openapi/earliest"])
        .args(["--target", TARGET])
        .run(environment)
}

fn report(ui: &Ui, done: &[(&str, Duration, bool)]) {
    ui.title("Checks");
    for (name, duration, passed) in done {
        let line = format!("{name:<16} {:>7.1} s", duration.as_secs_f64());
        if *passed { ui.good(&line) } else { ui.warning(&format!("{line}  failed")) }
    }
}
