//! The static programs of the images: built here, or given.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};

use crate::{
    shell::{Cmd, Shell},
    test::find_program,
};

/// The profile in the root manifest.
const PROFILE: &str = "image";

/// An architecture, by its name in images and in Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Architecture {
    /// 64-bit Intel and AMD
    Amd64,
    /// 64-bit Arm
    Arm64,
}

impl Architecture {
    /// Returns the architecture of this machine.
    pub(super) fn of_this_machine() -> anyhow::Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!(
                "no image is built for the architecture {other:?} of this machine; choose one with --arch"
            ),
        }
    }

    /// Returns the name in images and in Debian.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Returns the name in the targets of Rust and of C compilers.
    const fn of_compilers(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// Returns the number in the header of programs (`e_machine`).
    const fn of_elf(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }
}

/// Builds static programs with the profile for images.
///
/// # Errors
/// No toolchain for static programs is complete, or the build fails.
pub(super) fn build(
    shell: &Shell,
    architecture: Architecture,
    names: &[&str],
) -> anyhow::Result<Vec<PathBuf>> {
    let has_target = |target: &str| {
        let folder = Cmd::new("rustc", ["--print", "target-libdir", "--target", target]).output(shell);
        folder.is_ok_and(|folder| folder.status.success() && Path::new(folder.stdout.trim()).is_dir())
    };
    let is_host = Architecture::of_this_machine().ok() == Some(architecture);
    let (target, compiler) =
        choose_toolchain(architecture, is_host, has_target, |name| shell.find_program(name).is_some())?;
    let variable = target.replace('-', "_");
    let upper = variable.to_uppercase();
    // The second flag: a static glibc would read random bytes from /dev, the kernel has a call for them.
    let flags = "-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\"";
    let mut command = Cmd::cargo(["build", "--locked", "--message-format=json-render-diagnostics"])
        .args(["--profile", PROFILE, "--target", &target])
        .args(names.iter().flat_map(|name| ["-p", name]))
        .env(&format!("CARGO_TARGET_{upper}_RUSTFLAGS"), flags);
    if compiler != "cc" {
        command = command
            .env(&format!("CC_{variable}"), &compiler)
            .env(&format!("CARGO_TARGET_{upper}_LINKER"), &compiler);
    }
    let messages = command.read(shell)?;
    let find =
        |name: &&str| find_program(&messages, name).with_context(|| format!("cargo built no {name:?}"));
    names.iter().map(find).collect()
}

/// Returns target and C compiler (SQLite and the TLS library are C): musl if it is complete, else glibc.
/// Since version 2.34 a static glibc resolves names by `/etc/hosts` and DNS without loading a library.
fn choose_toolchain(
    architecture: Architecture,
    is_host: bool,
    has_target: impl Fn(&str) -> bool,
    has_program: impl Fn(&str) -> bool,
) -> anyhow::Result<(String, String)> {
    let processor = architecture.of_compilers();
    let musl = if is_host { "musl-gcc".to_owned() } else { format!("{processor}-linux-musl-gcc") };
    let gnu = if is_host { "cc".to_owned() } else { format!("{processor}-linux-gnu-gcc") };
    for (library, compiler) in [("musl", &musl), ("gnu", &gnu)] {
        let target = format!("{processor}-unknown-linux-{library}");
        if has_target(&target) && has_program(compiler) {
            return Ok((target, compiler.clone()));
        }
    }
    bail!(
        "no toolchain for static {} programs is complete: either `rustup target add \
         {processor}-unknown-linux-musl` and the C compiler {musl}, or `rustup target add \
         {processor}-unknown-linux-gnu` and {gnu} (Debian: gcc-{}-linux-gnu); or use programs that were \
         built elsewhere with --programs",
        architecture.name(),
        processor.replace('_', "-"),
    )
}

/// Checks that a program is for an architecture, and that it needs no dynamic loader if it must be static.
///
/// # Errors
/// It is not.
pub(super) fn check(path: &Path, architecture: Architecture, must_be_static: bool) -> anyhow::Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (machine, is_static) =
        parse_elf(&bytes).with_context(|| format!("{} is not a 64-bit Linux program", path.display()))?;
    ensure!(machine == architecture.of_elf(), "{} is not for {}", path.display(), architecture.name());
    ensure!(
        is_static || !must_be_static,
        "{} is dynamically linked, expected a static program",
        path.display()
    );
    Ok(())
}

/// Returns the machine and whether no segment names a loader (ELF, 64 bit, little endian).
fn parse_elf(bytes: &[u8]) -> Option<(u16, bool)> {
    const LOADER: u32 = 3;
    let u16_at = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    // The upper half of the offset is zero in every real program.
    let (start, size, count) = (u32_at(32)?, u16_at(54)?, u16_at(56)?);
    let segments = (0..count).map(|number| u32_at(start as usize + usize::from(size) * usize::from(number)));
    let kinds: Vec<_> = segments.collect::<Option<_>>()?;
    Some((u16_at(18)?, !kinds.contains(&LOADER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(machine: u16, segment: u32) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64..68].copy_from_slice(&segment.to_le_bytes());
        bytes
    }

    #[test]
    fn parses_machine_and_linking_of_a_program() {
        assert_eq!(parse_elf(&program(62, 1)), Some((62, true)));
        assert_eq!(parse_elf(&program(183, 3)), Some((183, false)));
        for other in [&b"#!/bin/sh\n"[..], b"", &program(62, 1)[..60]] {
            assert_eq!(parse_elf(other), None);
        }
    }

    #[test]
    fn this_test_is_dynamically_linked_or_static() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(parse_elf(&own).unwrap().0, Architecture::of_this_machine().unwrap().of_elf());
    }

    #[test]
    fn prefers_musl_and_lists_what_is_missing() {
        let choose = |is_host, has: &[&str]| {
            let has = |name: &str| has.contains(&name);
            choose_toolchain(Architecture::Amd64, is_host, has, has)
                .map(|(target, compiler)| format!("{target} {compiler}"))
        };
        let (musl, gnu) = ("x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu");
        assert_eq!(choose(true, &[musl, gnu, "musl-gcc", "cc"]).unwrap(), format!("{musl} musl-gcc"));
        assert_eq!(choose(true, &[musl, gnu, "cc"]).unwrap(), format!("{gnu} cc"));
        assert_eq!(
            choose(false, &[gnu, "x86_64-linux-gnu-gcc"]).unwrap(),
            format!("{gnu} x86_64-linux-gnu-gcc")
        );
        let error = choose(false, &[gnu, "cc"]).unwrap_err().to_string();
        assert!(error.contains("x86_64-linux-musl-gcc") && error.contains("gcc-x86-64-linux-gnu"), "{error}");
    }
}
