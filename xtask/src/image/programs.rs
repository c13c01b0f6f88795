//! Gets the programs of the images: static ones, built here or given.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::{cmd::Cmd, environment::Environment, test::find_program};

use super::architecture::{self, Architecture};

/// The profile in the root manifest.
const PROFILE: &str = "image";

/// One way to build static programs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Toolchain {
    /// Target of Rust.
    target: String,
    /// C compilers, any of which will do; `SQLite` and the TLS library are C.
    compilers: Vec<String>,
    /// Whether code for this machine is built for another target than this machine's own; then the C compiler must be named.
    cross: bool,
    /// Debian package with such a compiler.
    package: String,
}

/// The ways for an architecture, the best first. musl is made for static programs. glibc works as well: since version 2.34
/// it resolves names by `/etc/hosts` and DNS without loading a library.
fn toolchains(architecture: Architecture, host: Option<Architecture>) -> [Toolchain; 2] {
    let processor = architecture.of_compilers();
    let cross = host != Some(architecture);
    let mut musl = vec![format!("{processor}-linux-musl-gcc")];
    if !cross {
        musl.push("musl-gcc".to_owned());
    }
    let gnu = if cross { format!("{processor}-linux-gnu-gcc") } else { "cc".to_owned() };
    let package =
        if cross { format!("gcc-{}-linux-gnu", processor.replace('_', "-")) } else { "gcc".to_owned() };
    [
        Toolchain {
            target: format!("{processor}-unknown-linux-musl"),
            compilers: musl,
            cross,
            package: "musl-tools".to_owned(),
        },
        Toolchain { target: format!("{processor}-unknown-linux-gnu"), compilers: vec![gnu], cross, package },
    ]
}

/// Takes the first toolchain that is complete.
///
/// # Errors
/// None is; the text says what each one lacks.
fn choose(
    toolchains: &[Toolchain],
    has_target: impl Fn(&str) -> bool,
    has_program: impl Fn(&str) -> bool,
) -> anyhow::Result<(&Toolchain, &str)> {
    let mut lacking = Vec::new();
    for toolchain in toolchains {
        let compiler = toolchain.compilers.iter().find(|name| has_program(name));
        match (has_target(&toolchain.target), compiler) {
            (true, Some(compiler)) => return Ok((toolchain, compiler)),
            (target, compiler) => {
                let mut missing = Vec::new();
                if !target {
                    missing.push(format!("`rustup target add {}`", toolchain.target));
                }
                if compiler.is_none() {
                    let names = toolchain.compilers.join(" or ");
                    missing.push(format!("the C compiler {names} (Debian: {})", toolchain.package));
                }
                lacking.push(format!("{} needs {}", toolchain.target, missing.join(" and ")));
            }
        }
    }
    bail!(
        "no toolchain for static programs is complete: {}; or give programs that were built elsewhere with --programs",
        lacking.join("; ")
    )
}

/// Builds programs for an architecture, with the profile for images.
///
/// # Errors
/// There is no toolchain for it, or the build fails.
pub(super) fn build(
    environment: &Environment,
    architecture: Architecture,
    names: &[&'static str],
) -> anyhow::Result<Vec<PathBuf>> {
    let candidates = toolchains(architecture, Architecture::of_this_machine().ok());
    let libraries = |target: &str| {
        let folder = Cmd::new("rustc", ["--print", "target-libdir", "--target", target]).read(environment);
        folder.is_ok_and(|folder| Path::new(folder.trim()).is_dir())
    };
    let (toolchain, compiler) =
        choose(&candidates, libraries, |name| environment.find_program(name).is_some())?;
    let messages = build_command(toolchain, compiler, names).read(environment)?;
    names
        .iter()
        .map(|name| find_program(&messages, name).with_context(|| format!("cargo built no program {name:?}")))
        .collect()
}

fn build_command(toolchain: &Toolchain, compiler: &str, names: &[&str]) -> Cmd {
    let target = &toolchain.target;
    let variable = target.replace('-', "_");
    let mut build = Cmd::cargo(["build", "--locked", "--message-format=json-render-diagnostics"])
        .args(["--profile", PROFILE, "--target", target])
        .args(names.iter().flat_map(|name| ["-p", name]))
        // The second flag asks the kernel for random bytes: a static glibc would otherwise read them from /dev.
        .env(
            &format!("CARGO_TARGET_{}_RUSTFLAGS", variable.to_uppercase()),
            "-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\"",
        );
    if toolchain.cross || compiler != "cc" {
        build = build
            .env(&format!("CC_{variable}"), compiler)
            .env(&format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()), compiler);
    }
    build
}

/// Takes programs that were built elsewhere.
///
/// # Errors
/// The folder lacks one.
pub(super) fn given(folder: &Path, names: &[&'static str]) -> anyhow::Result<Vec<PathBuf>> {
    names
        .iter()
        .map(|name| {
            let path = folder.join(name);
            ensure!(path.is_file(), "there is no program {path:?}");
            Ok(path)
        })
        .collect()
}

/// Checks that a program runs in an image that has no libraries.
///
/// # Errors
/// It is for another processor, or needs a loader.
pub(super) fn expect_static(path: &Path, architecture: Architecture) -> anyhow::Result<()> {
    let program = architecture::expect(path, architecture)?;
    ensure!(program.is_static, "{path:?} needs a loader and libraries, expected a static program");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMD64: Architecture = Architecture::Amd64;

    fn targets<'a>(list: &'a [&str]) -> impl Fn(&str) -> bool + 'a {
        move |name| list.contains(&name)
    }

    #[test]
    fn musl_is_taken_where_it_is_complete_and_else_glibc() {
        let both = ["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"];
        let ways = toolchains(AMD64, Some(AMD64));
        let chosen = |has: &[&str]| {
            let (toolchain, compiler) = choose(&ways, targets(&both), targets(has)).unwrap();
            (toolchain.target.clone(), compiler.to_owned())
        };
        assert_eq!(chosen(&["cc", "musl-gcc"]), (both[0].to_owned(), "musl-gcc".to_owned()));
        assert_eq!(chosen(&["cc"]), (both[1].to_owned(), "cc".to_owned()));
    }

    #[test]
    fn without_a_toolchain_the_text_says_what_is_missing_for_each() {
        let ways = toolchains(Architecture::Arm64, Some(AMD64));
        let refused = choose(&ways, targets(&["aarch64-unknown-linux-gnu"]), targets(&["cc", "musl-gcc"]))
            .unwrap_err()
            .to_string();
        assert_eq!(
            refused,
            "no toolchain for static programs is complete: aarch64-unknown-linux-musl needs \
             `rustup target add aarch64-unknown-linux-musl` and the C compiler aarch64-linux-musl-gcc (Debian: musl-tools); \
             aarch64-unknown-linux-gnu needs the C compiler aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu); \
             or give programs that were built elsewhere with --programs"
        );
    }

    #[test]
    fn a_build_for_another_processor_names_its_compiler_to_cargo_and_to_c() {
        let [_, gnu] = toolchains(Architecture::Arm64, Some(AMD64));
        let shown = build_command(&gnu, "aarch64-linux-gnu-gcc", &["executor"]).to_string();
        for part in [
            "CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc ",
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc ",
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS=-C target-feature=+crt-static ",
            " --profile image --target aarch64-unknown-linux-gnu -p executor",
        ] {
            assert!(shown.contains(part), "{part:?} is not in {shown:?}");
        }
    }

    #[test]
    fn a_program_that_needs_a_loader_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("executor");
        std::fs::write(&file, super::super::stand_in::program(elf::abi::EM_X86_64, false)).unwrap();
        let refused = expect_static(&file, AMD64).unwrap_err().to_string();
        assert!(refused.ends_with("needs a loader and libraries, expected a static program"), "{refused}");
    }
}
