//! podman, buildah and docker: the same image from each.

use std::path::Path;

use anyhow::{bail, ensure};

use super::programs::Architecture;
use crate::shell::{self, Cmd, Shell};

/// A program that builds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Builder {
    Podman,
    Buildah,
    Docker,
}

/// Finds the builder: the chosen one, or the first on the `PATH`.
///
/// # Errors
/// There is none, or the daemon of docker does not answer.
pub(super) fn find(shell: &Shell, chosen: Option<Builder>) -> anyhow::Result<Builder> {
    let all = [Builder::Podman, Builder::Buildah, Builder::Docker];
    let found =
        chosen.or_else(|| all.into_iter().find(|builder| shell.find_program(builder.name()).is_some()));
    let Some(builder) = found else {
        bail!(
            "podman, buildah or docker must be on the PATH to build images (Debian: apt-get install \
             buildah); the programs alone are built by `cargo build --release -p api-server -p executor`"
        );
    };
    if builder == Builder::Docker {
        let version = Cmd::new("docker", ["version", "--format={{.Server.Version}}"]).output(shell)?;
        ensure!(version.status.success(), "the docker daemon does not answer: {}", version.stderr.trim());
    }
    Ok(builder)
}

/// One stage of the Containerfile as an image.
#[derive(Debug)]
pub(super) struct Build<'a> {
    /// The folder with everything that the Containerfile reads.
    pub(super) context: &'a Path,
    pub(super) stage: &'a str,
    pub(super) image: &'a str,
    pub(super) architecture: Architecture,
    /// Time of all files, in seconds since 1970.
    pub(super) time: u64,
    pub(super) options: &'a [String],
}

impl Builder {
    const fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Buildah => "buildah",
            Self::Docker => "docker",
        }
    }

    /// Builds an image.
    pub(super) fn build(self, shell: &Shell, build: &Build<'_>) -> anyhow::Result<()> {
        shell::note(&format!(
            "builder: {}; an interrupted build may leave a container in its storage",
            self.name()
        ));
        self.build_command(build).run(shell)
    }

    fn build_command(self, build: &Build<'_>) -> Cmd {
        let context = build.context.display().to_string();
        let file = format!("{context}/Containerfile");
        let platform = format!("--platform=linux/{}", build.architecture.name());
        let command = Cmd::new(self.name(), ["build", "--file", &file, "--target", build.stage])
            .args(["--tag", build.image, &platform])
            .args(build.options.iter().map(String::as_str));
        match self {
            // The layers of the stage `packages` are used for both images.
            Self::Podman | Self::Buildah => {
                command.args([format!("--timestamp={}", build.time).as_str(), "--layers", "--force-rm"])
            }
            Self::Docker => command
                .args([format!("--build-arg=SOURCE_DATE_EPOCH={}", build.time).as_str()])
                .env("DOCKER_BUILDKIT", "1"),
        }
        .args([context.as_str()])
    }

    /// Runs commands in containers: with a read-only root, except by buildah, which has no such option.
    ///
    /// # Errors
    /// A command ends with another exit code than expected.
    pub(super) fn check(
        self,
        shell: &Shell,
        image: &str,
        trials: &[(i32, Vec<String>)],
    ) -> anyhow::Result<()> {
        let container = match self {
            Self::Buildah => {
                let container = Cmd::new("buildah", ["from", image]).output(shell)?;
                ensure!(
                    container.status.success(),
                    "buildah cannot start {image}: {}",
                    container.stderr.trim()
                );
                Some(container.stdout.trim().to_owned())
            }
            Self::Podman | Self::Docker => None,
        };
        let result = trials.iter().try_for_each(|(expected, words)| {
            let words = words.iter().map(String::as_str);
            let output = match (&container, words.clone().next()) {
                (Some(container), _) => {
                    Cmd::new("buildah", ["run", container, "--"]).args(words).output(shell)?
                }
                (None, program) => {
                    Cmd::new(self.name(), ["run", "--rm", "--read-only", "--tmpfs=/tmp", "--entrypoint"])
                        .args(program)
                        .args([image])
                        .args(words.skip(1))
                        .output(shell)?
                }
            };
            let text = format!("{}{}", output.stdout, output.stderr);
            let command = trials_text(*expected, &text);
            ensure!(
                output.status.code() == Some(*expected),
                "a program of {image} ended with {}, expected {command}",
                output.status
            );
            shell::success(&command);
            Ok(())
        });
        if let Some(container) = container {
            Cmd::new("buildah", ["rm", &container]).output(shell)?;
        }
        result
    }

    /// Writes an image to an archive that every container runtime loads.
    pub(super) fn save(self, shell: &Shell, image: &str, archive: &Path) -> anyhow::Result<()> {
        // The builders refuse to overwrite an archive.
        let _ = std::fs::remove_file(archive);
        let path = archive.display().to_string();
        match self {
            Self::Podman => Cmd::new("podman", ["save", "--format=oci-archive", "--output", &path, image]),
            Self::Buildah => {
                let target = format!("oci-archive:{path}:{image}");
                Cmd::new("buildah", ["push", image, &target])
            }
            Self::Docker => Cmd::new("docker", ["save", "--output", &path, image]),
        }
        .run(shell)
    }

    /// Pushes an image to its registry.
    pub(super) fn push(self, shell: &Shell, image: &str, insecure: bool) -> anyhow::Result<()> {
        if self == Self::Docker {
            ensure!(!insecure, "docker takes insecure registries from the configuration of its daemon");
            return Cmd::new("docker", ["push", image]).run(shell);
        }
        Cmd::new(self.name(), ["push"])
            .args(insecure.then_some("--tls-verify=false"))
            .args([image, &format!("docker://{image}")])
            .run(shell)
    }
}

fn trials_text(expected: i32, text: &str) -> String {
    format!("exit code {expected}: {}", text.lines().next().unwrap_or("no output"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_command_has_the_options_of_each_builder() {
        let command = |builder: Builder| {
            let (context, architecture) = (Path::new("/context"), Architecture::Arm64);
            let options = &["--label=a=b".to_owned()];
            let build =
                Build { context, stage: "executor", image: "r/executor:1", architecture, time: 7, options };
            builder.build_command(&build).to_string()
        };
        let common = "build --file /context/Containerfile --target executor --tag r/executor:1 \
            --platform=linux/arm64 --label=a=b";
        let expected = format!("podman {common} --timestamp=7 --layers --force-rm /context");
        assert_eq!(command(Builder::Podman), expected);
        assert_eq!(command(Builder::Buildah), expected.replace("podman", "buildah"));
        assert_eq!(
            command(Builder::Docker),
            format!("DOCKER_BUILDKIT=1 docker {common} --build-arg=SOURCE_DATE_EPOCH=7 /context")
        );
    }
}
