//! The terraform or tofu that an executor image may carry, so that a cluster needs to download none.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};

use super::architecture::{self, Architecture};

/// A program that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Engine {
    /// `terraform` or `tofu`: its name in the image, which is what executors look for.
    pub(super) name: &'static str,
    /// As it says itself; unknown for a program that this machine cannot run.
    pub(super) version: Option<String>,
    /// Where it lies on this machine.
    pub(super) path: PathBuf,
}

/// Looks at a program: whether it is one for this architecture, which of the two it is, and what version.
///
/// # Errors
/// It is neither of the two.
pub(super) fn look(path: &Path, architecture: Architecture) -> anyhow::Result<Engine> {
    let path = path.canonicalize().with_context(|| format!("could not find {path:?}"))?;
    architecture::expect(&path, architecture)?;
    if Architecture::of_this_machine().ok() == Some(architecture) {
        return ask(&path);
    }
    let name = match path.file_name().and_then(|name| name.to_str()) {
        Some("terraform") => "terraform",
        Some("tofu") => "tofu",
        _ => bail!(
            "{path:?} cannot be asked what it is, because this machine is not {architecture}; \
             name the file terraform or tofu"
        ),
    };
    Ok(Engine { name, version: None, path })
}

fn ask(path: &Path) -> anyhow::Result<Engine> {
    let output = Command::new(path)
        .arg("version")
        // Nothing of this user's settings shall change the answer, and nobody shall be asked whether there is a newer one.
        .env_clear()
        .env("CHECKPOINT_DISABLE", "1")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start {path:?}"))?;
    ensure!(output.status.success(), "`{} version` ended with {}", path.display(), output.status);
    let answer = String::from_utf8_lossy(&output.stdout);
    let (name, version) = parse(&answer).with_context(|| {
        format!(
            "{path:?} is neither terraform nor tofu: it says {:?}",
            answer.lines().next().unwrap_or_default()
        )
    })?;
    Ok(Engine { name, version: Some(version), path: path.to_path_buf() })
}

/// Reads the first line of the answer to `version`.
fn parse(answer: &str) -> Option<(&'static str, String)> {
    let (name, version) = answer.lines().next()?.trim().split_once(" v")?;
    let name = match name {
        "Terraform" => "terraform",
        "OpenTofu" => "tofu",
        _ => return None,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    (version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(plain))
        .then(|| (name, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{super::stand_in, *};

    #[test]
    fn both_programs_are_known_by_the_first_line_of_their_answer() {
        let answer = "Terraform v1.9.8\non linux_amd64\n";
        assert_eq!(parse(answer), Some(("terraform", "1.9.8".to_owned())));
        assert_eq!(parse("OpenTofu v1.11.0-rc1\n"), Some(("tofu", "1.11.0-rc1".to_owned())));
        for other in ["", "Terraform", "Terragrunt v1.0", "Terraform vX", "Terraform v1.0 \u{1b}[31m"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn another_program_is_refused_with_what_it_says() {
        let architecture = Architecture::of_this_machine().unwrap();
        let refused = look(Path::new("/usr/bin/echo"), architecture).unwrap_err().to_string();
        assert!(refused.ends_with("echo\" is neither terraform nor tofu: it says \"version\""), "{refused}");
        let refused = look(Path::new("/nowhere/terraform"), architecture).unwrap_err().to_string();
        assert_eq!(refused, "could not find \"/nowhere/terraform\"");
    }

    #[test]
    fn a_program_that_cannot_be_run_here_is_known_by_its_file_name() {
        let (other, machine) = match Architecture::of_this_machine().unwrap() {
            Architecture::Amd64 => (Architecture::Arm64, elf::abi::EM_AARCH64),
            Architecture::Arm64 => (Architecture::Amd64, elf::abi::EM_X86_64),
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tofu");
        std::fs::write(&file, stand_in::program(machine, true)).unwrap();
        let engine = look(&file, other).unwrap();
        assert_eq!((engine.name, engine.version), ("tofu", None));
        let misnamed = folder.path().join("engine");
        std::fs::rename(&file, &misnamed).unwrap();
        assert!(look(&misnamed, other).unwrap_err().to_string().ends_with("name the file terraform or tofu"));
    }
}
