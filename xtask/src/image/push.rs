//! Pushes an archive to a registry, by a tool for that: it knows the logins of this user, and the registry's certificates.

use std::path::Path;

use anyhow::bail;

use crate::{cmd::Cmd, environment::Environment};

use super::name::Name;

/// A program that can push an archive without a container daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    Skopeo,
    Crane,
}

impl Tool {
    const ALL: [Self; 2] = [Self::Skopeo, Self::Crane];

    const fn program(self) -> &'static str {
        match self {
            Self::Skopeo => "skopeo",
            Self::Crane => "crane",
        }
    }

    /// The command for one image. Both keep its bytes, and so its digest.
    fn command(self, archive: &Path, name: &Name, plain_http: bool) -> Cmd {
        let archive = archive.display();
        let options: &[&str] = match (self, plain_http) {
            (Self::Skopeo, false) => &["copy", "--preserve-digests"],
            (Self::Skopeo, true) => &["copy", "--preserve-digests", "--dest-tls-verify=false"],
            (Self::Crane, false) => &["push"],
            (Self::Crane, true) => &["push", "--insecure"],
        };
        let (source, target) = match self {
            Self::Skopeo => (format!("oci-archive:{archive}"), format!("docker://{}", name.full())),
            Self::Crane => (archive.to_string(), name.full()),
        };
        Cmd::new(self.program(), options.iter().copied()).args([source.as_str(), target.as_str()])
    }
}

/// Finds a tool, before anything is built.
///
/// # Errors
/// There is none.
pub(super) fn find(environment: &Environment) -> anyhow::Result<Tool> {
    let found = Tool::ALL.into_iter().find(|tool| environment.find_program(tool.program()).is_some());
    match found {
        Some(tool) => Ok(tool),
        None => bail!(
            "neither skopeo nor crane is on your PATH, and --push needs one of them (Debian: skopeo); \
             without --push you get files, which `docker load` and `podman load` read"
        ),
    }
}

/// Pushes an image under its name.
///
/// # Errors
/// The tool says what.
pub(super) fn push(
    environment: &Environment,
    tool: Tool,
    archive: &Path,
    name: &Name,
    plain_http: bool,
) -> anyhow::Result<()> {
    tool.command(archive, name, plain_http).run(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_is_given_the_archive_and_the_full_name() {
        let name = Name::new("r.example.com/t".parse().unwrap(), "executor", "1".parse().unwrap());
        let shown = |tool: Tool, plain| tool.command(Path::new("/x/e.tar"), &name, plain).to_string();
        assert_eq!(
            shown(Tool::Skopeo, false),
            "skopeo copy --preserve-digests oci-archive:/x/e.tar docker://r.example.com/t/executor:1"
        );
        assert_eq!(shown(Tool::Crane, true), "crane push --insecure /x/e.tar r.example.com/t/executor:1");
    }
}
