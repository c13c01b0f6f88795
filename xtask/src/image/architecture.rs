//! The processors that images are built for, in the words of each of the tools that must be told.

use std::{fmt, fs, path::Path};

use anyhow::{Context as _, bail};
use elf::{ElfBytes, abi, endian::AnyEndian};

/// A processor. The names are those of images and of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Architecture {
    /// 64-bit Intel and AMD
    Amd64,
    /// 64-bit Arm
    Arm64,
}

/// What the header of a program says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Program {
    /// What it runs on; `None` for a processor that we have no name for.
    pub(super) architecture: Option<Architecture>,
    /// Whether it needs no loader, and so no library.
    pub(super) is_static: bool,
}

impl Architecture {
    /// The one that this program runs on.
    ///
    /// # Errors
    /// No image is built for it.
    pub(super) fn of_this_machine() -> anyhow::Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!("this machine is of kind {other:?}; say with --arch what the image is for"),
        }
    }

    /// The name in images and in Debian's packages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name in the targets of Rust and of C compilers.
    pub(super) const fn of_compilers(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads the header of a program.
///
/// # Errors
/// The file cannot be read or is no Linux program (a script is none either).
pub(super) fn inspect(path: &Path) -> anyhow::Result<Program> {
    let bytes = fs::read(path).with_context(|| format!("could not read {path:?}"))?;
    parse(&bytes).with_context(|| format!("{path:?} is not a Linux program (ELF)"))
}

fn parse(bytes: &[u8]) -> anyhow::Result<Program> {
    let file = ElfBytes::<AnyEndian>::minimal_parse(bytes)?;
    let architecture = match file.ehdr.e_machine {
        abi::EM_X86_64 => Some(Architecture::Amd64),
        abi::EM_AARCH64 => Some(Architecture::Arm64),
        _ => None,
    };
    let segments = file.segments().context("it has no program headers")?;
    Ok(Program { architecture, is_static: segments.iter().all(|segment| segment.p_type != abi::PT_INTERP) })
}

/// Checks that a program runs on an architecture.
///
/// # Errors
/// It is no program, or one for something else.
pub(super) fn expect(path: &Path, architecture: Architecture) -> anyhow::Result<Program> {
    let program = inspect(path)?;
    if program.architecture != Some(architecture) {
        let found = program.architecture.map_or("another processor", Architecture::name);
        bail!("{path:?} is a program for {found}, expected one for {architecture}");
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::{super::stand_in, *};

    #[test]
    fn a_static_program_is_told_from_one_that_needs_a_loader() {
        let program = |machine, is_static| parse(&stand_in::program(machine, is_static)).unwrap();
        let amd64 = Some(Architecture::Amd64);
        assert_eq!(program(abi::EM_X86_64, true), Program { architecture: amd64, is_static: true });
        assert_eq!(program(abi::EM_X86_64, false), Program { architecture: amd64, is_static: false });
        assert_eq!(program(abi::EM_AARCH64, true).architecture, Some(Architecture::Arm64));
        assert_eq!(program(abi::EM_RISCV, true).architecture, None);
    }

    #[test]
    fn this_test_is_a_program_of_this_machine() {
        let path = std::env::current_exe().unwrap();
        let program = expect(&path, Architecture::of_this_machine().unwrap()).unwrap();
        assert_eq!(program.is_static, cfg!(target_feature = "crt-static"));
    }

    #[test]
    fn scripts_and_broken_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("terraform");
        for bytes in [&b"#!/bin/sh\n"[..], b"", b"\x7fELF", &stand_in::program(abi::EM_X86_64, true)[..70]] {
            fs::write(&file, bytes).unwrap();
            let refused = expect(&file, Architecture::Amd64).unwrap_err().to_string();
            assert!(refused.ends_with("terraform\" is not a Linux program (ELF)"), "{refused}");
        }
    }

    #[test]
    fn a_program_of_another_processor_is_refused_with_both_names() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("executor");
        fs::write(&file, stand_in::program(abi::EM_AARCH64, true)).unwrap();
        let refused = expect(&file, Architecture::Amd64).unwrap_err().to_string();
        assert!(refused.ends_with("is a program for arm64, expected one for amd64"), "{refused}");
    }
}
