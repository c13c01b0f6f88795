//! `cargo xtask ci`: every check of this repository, the same on a laptop and in a pipeline.
//!
//! Cheap checks first. Everything is built once, with one profile and one set of features; the tests, the doc
//! tests, the demo and the main job use that build.

use std::time::Instant;

use anyhow::Context as _;

use crate::{
    programs,
    shell::{self, Cmd, Shell},
    test, tidy,
};

type Check = fn(&mut State<'_>) -> anyhow::Result<()>;

const CHECKS: &[(&str, Check)] = &[
    ("format", |state| Cmd::cargo(["fmt", "--all", "--check"]).run(state.shell)),
    ("house rules", |state| tidy::run(state.shell)),
    ("lints", |state| {
        Cmd::cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run(state.shell)?;
        // Without I/O in the code of the pure libraries; their tests read files.
        Cmd::cargo(["clippy", "-p", "config-core", "-p", "job-spec", "--lib", "--", "-D", "warnings"])
            .env("CLIPPY_CONF_DIR", state.shell.root.join(".ci/pure"))
            .run(state.shell)
    }),
    ("features", |state| check_features(state.shell)),
    ("build", |state| {
        state.messages = test::build_all(state.shell)?;
        Ok(())
    }),
    ("tests", |state| test::run_tests(state.shell)),
    ("doc tests", |state| test::run_doc_tests(state.shell)),
    ("WebAssembly", |state| check_web_assembly(state.shell)),
    ("documentation", |state| {
        Cmd::cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-Dwarnings").run(state.shell)
    }),
    ("packages", |state| check_packages(state.shell)),
    ("search", |state| {
        programs::run_built(state.shell, &state.messages, "search", &["--histories", "20000"])
    }),
    ("demo", |state| programs::run_built(state.shell, &state.messages, "demo", &["--yes"])),
    ("main job", |state| programs::run_built(state.shell, &state.messages, "e2e", &["--full", "--local"])),
    ("chaos", |state| programs::run_built(state.shell, &state.messages, "chaos", &["--seconds", "15"])),
    ("chaos (replicas)", |state| {
        let arguments = ["--replicas", "2", "--seconds", "15"];
        programs::run_built(state.shell, &state.messages, "chaos", &arguments)
    }),
    ("chaos (cloud)", |state| {
        let arguments = ["--cloud", "--seconds", "15", "--workspaces", "2"];
        programs::run_built(state.shell, &state.messages, "chaos", &arguments)
    }),
    ("demo (tofu)", |state| run_with_tofu(state, "demo", &["--yes"])),
    ("main job (tofu)", |state| run_with_tofu(state, "e2e", &["--full", "--local"])),
    ("chaos (tofu)", |state| run_with_tofu(state, "chaos", &["--seconds", "15"])),
];

/// Crates that other programs import, in the order of their dependencies.
const LIBRARIES: [&str; 3] = ["config-core", "job-spec", "k8s-backend"];
/// Libraries leave the version of Kubernetes to the program that imports them.
const KUBERNETES_VERSION: &str = "k8s-openapi/earliest";

/// That of the root manifest, so that libraries which are built already are not built again.
const PROFILE: &str =
    "[profile.dev]\ndebug = \"line-tables-only\"\n[profile.dev.package.\"*\"]\ndebug = false\n";

struct State<'a> {
    shell: &'a Shell,
    /// The messages of the build.
    messages: String,
}

/// Runs the checks up to the first that fails.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    let mut state = State { shell, messages: String::new() };
    let mut durations = Vec::new();
    let mut result = Ok(());
    for (name, check) in CHECKS {
        shell::title(name);
        let start = Instant::now();
        result = check(&mut state).with_context(|| format!("check {name:?} failed"));
        durations.push(format!("{name:<16} {:>7.1} s", start.elapsed().as_secs_f64()));
        if result.is_err() {
            break;
        }
    }
    shell::title("Durations");
    shell::line(&durations.join("\n"));
    if !has_tofu(shell) {
        shell::warning(
            "SKIPPED: every test, the demo, the main job and chaos with tofu, which is not on PATH; \
             e2e/engines/build builds it where Go is installed",
        );
    }
    result
}

fn has_tofu(shell: &Shell) -> bool {
    shell.find_program("tofu").is_some()
}

/// Runs a built program with tofu; terraform is what it takes by itself.
fn run_with_tofu(state: &State<'_>, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    if !has_tofu(state.shell) {
        shell::warning("SKIPPED: tofu is not on PATH");
        return Ok(());
    }
    programs::run_built(state.shell, &state.messages, program, &[arguments, &["--engine", "tofu"]].concat())
}

/// Checks each feature of `k8s-backend` alone; the build has all of them together.
fn check_features(shell: &Shell) -> anyhow::Result<()> {
    let manifest = std::fs::read_to_string(shell.root.join("k8s-backend/Cargo.toml"))?;
    let has_features = manifest.contains("\nlocal = ");
    let combinations: &[&str] =
        if has_features { &["", "local", "kube", "testing"] } else { &["", "testing"] };
    for features in combinations {
        let features = format!("{KUBERNETES_VERSION},{features}");
        Cmd::cargo(["check", "--quiet", "-p", "k8s-backend", "--lib", "--no-default-features"])
            .args(["--features", features.trim_end_matches(',')])
            .run(shell)?;
    }
    Ok(())
}

/// The pure crates run in any program, also in a browser. Without that target there is nothing to check.
fn check_web_assembly(shell: &Shell) -> anyhow::Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let folder = Cmd::new("rustc", ["--print", "target-libdir", "--target", TARGET]).read(shell)?;
    if !std::path::Path::new(folder.trim()).exists() {
        shell::note(&format!("skipped: the standard library for {TARGET} is not installed"));
        return Ok(());
    }
    Cmd::cargo(["check", "-p", "config-core", "-p", "job-spec", "--features", KUBERNETES_VERSION])
        .args(["--target", TARGET])
        .run(shell)
}

/// Packs the libraries as for a registry, builds each from its package, and runs its tests there.
fn check_packages(shell: &Shell) -> anyhow::Result<()> {
    let packages = LIBRARIES.iter().flat_map(|name| ["-p", name]);
    Cmd::cargo(["package", "--quiet", "--allow-dirty", "--no-verify"]).args(packages).run(shell)?;
    let target = shell.target_folder()?;
    let unpacked = target.join("unpacked");
    // Files of an earlier version must not hide that one is missing.
    let _ = std::fs::remove_dir_all(&unpacked);
    std::fs::create_dir_all(&unpacked).with_context(|| format!("cannot create {}", unpacked.display()))?;
    let folder = |name: &str| format!("{name}-{}", env!("CARGO_PKG_VERSION"));
    for name in LIBRARIES {
        let package = target.join("package").join(format!("{}.crate", folder(name)));
        let (package, into) = (package.display().to_string(), unpacked.display().to_string());
        Cmd::new("tar", ["-xzf", &package, "-C", &into]).run(shell)?;
    }
    let members = LIBRARIES.map(|name| format!("{:?}", folder(name))).join(", ");
    let patches = LIBRARIES.map(|name| format!("{name} = {{ path = {:?} }}\n", folder(name))).concat();
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n[patch.crates-io]\n{patches}\n{PROFILE}"
    );
    std::fs::write(unpacked.join("Cargo.toml"), manifest)?;
    std::fs::copy(shell.root.join("Cargo.lock"), unpacked.join("Cargo.lock"))?;
    let target = target.display().to_string();
    // A package has no dependency on itself, by which the tests in the repository choose this feature.
    let features = ["--features", "k8s-backend/testing"];
    Cmd::cargo(["test", "--quiet", "--workspace", "--target-dir", &target])
        .args(features)
        // What only the repository has, such as the schemas of Kubernetes, is skipped here.
        .env("CI", "")
        .folder(&unpacked)
        .run(shell)
}
