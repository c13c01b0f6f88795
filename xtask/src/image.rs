//! `cargo xtask image`: builds the container images of `deploy/images/Containerfile` with podman,
//! buildah or docker.

mod builder;
mod programs;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use self::{
    builder::{Build, Builder},
    programs::Architecture,
};
use crate::shell::{self, Cmd, Shell};

const FILES: &str = "deploy/images";
const AFTER_HELP: &str = "\
Examples:
  Both images, in the storage of the builder and as files in target/images/:
      cargo xtask image
  An executor with terraform, for a cluster without internet access:
      cargo xtask image executor --with-engine $(command -v terraform)
  Push as registry.example.com/team/api-server:v1 and registry.example.com/team/executor:v1:
      cargo xtask image --repository registry.example.com/team --tag v1 --push

The programs are static: built for musl if that target is installed, \
else with the static glibc of this machine.
Details: docs/images.md";

#[derive(Debug, clap::Args)]
#[command(after_long_help = AFTER_HELP, after_help = "More, with examples: cargo xtask image --help")]
pub(crate) struct Args {
    /// The images to build [default: both]
    #[arg(value_enum, value_name = "IMAGE")]
    images: Vec<Program>,
    /// Program that builds the images [default: the first of podman, buildah and docker on the PATH]
    #[arg(long, value_enum)]
    builder: Option<Builder>,
    /// Debian image whose apt downloads the packages, for instance from a mirror of Docker Hub
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Add this terraform or tofu binary to the executor's image
    #[arg(long, value_name = "FILE")]
    with_engine: Option<PathBuf>,
    /// Add a Debian package to the executor's image (repeatable)
    #[arg(long = "package", value_name = "NAME")]
    packages: Vec<String>,
    /// Trust the certificates in this PEM file besides the public ones
    #[arg(long, value_name = "FILE")]
    extra_ca: Option<PathBuf>,
    /// Prefix of the image names, with or without a registry
    #[arg(long, value_name = "NAME", default_value = "ephemeral-agents")]
    repository: String,
    /// Tag of the images
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// Architecture of the images [default: that of this machine]
    #[arg(long, value_enum)]
    arch: Option<Architecture>,
    /// Use the programs in this folder instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Folder for the image archives [default: images in the target folder of cargo]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Start the programs of each image in a container with a read-only root
    #[arg(long)]
    check: bool,
    /// Push the images to the registry of --repository
    #[arg(long)]
    push: bool,
    /// The registry has no certificate that this machine trusts, or uses plain HTTP
    #[arg(long, requires = "push")]
    insecure_registry: bool,
    /// Time of the files in the images, in seconds since 1970 [default: that of the last commit]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    source_date_epoch: Option<u64>,
}

/// A program with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Program {
    ApiServer,
    Executor,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::ApiServer => "api-server",
            Self::Executor => "executor",
        }
    }
}

/// Builds the images, and pushes them if asked.
pub(crate) fn run(shell: &Shell, args: &Args) -> anyhow::Result<()> {
    let mut images = args.images.clone();
    if images.is_empty() {
        images = vec![Program::ApiServer, Program::Executor];
    }
    images.sort_unstable();
    images.dedup();
    check_options(args, &images)?;
    let builder = builder::find(shell, args.builder)?;
    let architecture = args.arch.map_or_else(Architecture::of_this_machine, Ok)?;
    let target = shell.target_folder()?;
    let out = args.out.as_ref().map_or_else(|| target.join("images"), |out| shell.root.join(out));
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;

    shell::title(&format!("Programs for {}", architecture.name()));
    let names: Vec<_> = images.iter().map(|image| image.name()).collect();
    let files = match &args.programs {
        Some(folder) => names.iter().map(|name| folder.join(name)).collect(),
        None => programs::build(shell, architecture, &names)?,
    };
    // Of a fixed name, so that an interrupted build leaves nothing that the next one does not replace.
    let context = out.join("context");
    let _ = fs::remove_dir_all(&context);
    fs::create_dir_all(&context).context("cannot create the build context")?;
    let engine = fill_context(shell, args, &context, architecture, &names, &files)?;
    let time = source_date_epoch(shell, args)?;
    for name in names {
        shell::title(&format!("Image of the {name}"));
        let image = image_name(args, name);
        let mut options = labels(shell, name, engine.as_deref());
        options.extend(args.base.iter().map(|base| format!("--build-arg=BASE={base}")));
        if name == "executor" && !args.packages.is_empty() {
            options.push(format!("--build-arg=MORE_PACKAGES={}", args.packages.join(" ")));
        }
        let build =
            Build { context: &context, stage: name, image: &image, architecture, time, options: &options };
        builder.build(shell, &build)?;
        if args.check {
            builder.check(shell, &image, &trials(name, args.with_engine.as_deref()))?;
        }
        let archive = out.join(format!("{name}-{}.tar", architecture.name()));
        builder.save(shell, &image, &archive)?;
        let size = fs::metadata(&archive).map_or(0, |file| file.len() >> 20);
        shell::success(&format!("{image}: {size} MiB in {}", archive.display()));
        if args.push {
            builder.push(shell, &image, args.insecure_registry)?;
        }
    }
    Ok(())
}

/// Returns the full name: without a registry a kubelet adds docker.io, podman and buildah add localhost.
fn image_name(args: &Args, program: &str) -> String {
    let registry = if has_registry(&args.repository) { "" } else { "docker.io/" };
    format!("{registry}{}/{program}:{}", args.repository, args.tag)
}

fn has_registry(repository: &str) -> bool {
    let first = repository.split('/').next().unwrap_or_default();
    first.contains(['.', ':']) || first == "localhost"
}

/// Rejects options before a build of many minutes.
fn check_options(args: &Args, images: &[Program]) -> anyhow::Result<()> {
    let registry = args.repository.split('/').next().unwrap_or_default();
    let has_registry = registry.contains(['.', ':']) || registry == "localhost";
    ensure!(
        !args.push || has_registry,
        "--push needs a registry in --repository (registry.example.com/team)"
    );
    let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:".contains(c);
    ensure!(
        args.repository.chars().all(is_valid),
        "--repository is {:?}, expected lower case letters, digits and . _ - /",
        args.repository
    );
    let for_executor = args.with_engine.is_some() || !args.packages.is_empty();
    ensure!(
        !for_executor || images.contains(&Program::Executor),
        "--with-engine and --package apply to the executor's image, which is not selected"
    );
    let is_package = |name: &String| {
        name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c))
            && !name.starts_with('-')
    };
    let invalid = args.packages.iter().find(|name| !is_package(name));
    ensure!(invalid.is_none(), "--package is {invalid:?}, expected the name of a Debian package");
    Ok(())
}

/// Copies everything that the Containerfile reads into the build context, and returns the name of the engine.
fn fill_context(
    shell: &Shell,
    args: &Args,
    context: &Path,
    architecture: Architecture,
    names: &[&str],
    files: &[PathBuf],
) -> anyhow::Result<Option<String>> {
    let copy = |from: &Path, to: &Path| {
        fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {}", from.display()))
    };
    for folder in ["programs", "engine"] {
        fs::create_dir(context.join(folder)).context("cannot create the build context")?;
    }
    for name in ["Containerfile", "packages.sh"] {
        copy(&shell.root.join(FILES).join(name), &context.join(name))?;
    }
    for (name, file) in names.iter().zip(files) {
        programs::check(file, architecture, true)?;
        copy(file, &context.join("programs").join(name))?;
    }
    let certificates = match &args.extra_ca {
        Some(path) => fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => String::new(),
    };
    ensure!(
        args.extra_ca.is_none() || certificates.contains("-----BEGIN CERTIFICATE-----"),
        "--extra-ca contains no certificate in PEM"
    );
    fs::write(context.join("certificates.pem"), certificates).context("cannot write the certificates")?;
    let Some(engine) = &args.with_engine else { return Ok(None) };
    let name =
        engine.file_name().and_then(|name| name.to_str()).filter(|name| ["terraform", "tofu"].contains(name));
    let name = name.with_context(|| format!("{engine:?} must be named terraform or tofu"))?;
    programs::check(engine, architecture, false)?;
    copy(engine, &context.join("engine").join(name))?;
    Ok(Some(name.to_owned()))
}

fn source_date_epoch(shell: &Shell, args: &Args) -> anyhow::Result<u64> {
    if let Some(time) = args.source_date_epoch {
        return Ok(time);
    }
    let time = Cmd::new("git", ["log", "-1", "--format=%ct"]).output(shell)?.stdout;
    time.trim().parse().context("git knows no commit; set the time with --source-date-epoch")
}

fn labels(shell: &Shell, name: &str, engine: Option<&str>) -> Vec<String> {
    let label = |key: &str, value: &str| format!("--label=org.opencontainers.image.{key}={value}");
    let revision =
        Cmd::new("git", ["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]).output(shell);
    let mut labels = vec![
        label("title", name),
        label("version", env!("CARGO_PKG_VERSION")),
        label("licenses", env!("CARGO_PKG_LICENSE")),
        label("revision", revision.map(|git| git.stdout).unwrap_or_default().trim()),
    ];
    if let Some(engine) = engine.filter(|_| name == "executor") {
        labels.push(format!("--label=ephemeral-agents.dev/engine={engine}"));
    }
    labels
}

/// Commands that `--check` runs in an image, with their exit codes.
fn trials(name: &str, engine: Option<&Path>) -> Vec<(i32, Vec<String>)> {
    let mut trials: Vec<(i32, &str)> = match name {
        "api-server" => vec![(0, "/usr/local/bin/api-server --version")],
        // Without a payload (docs/reference/exit-codes.md).
        _ => vec![
            (11, "/usr/local/bin/executor"),
            (0, "git --version"),
            (0, "ssh -V"),
            (0, "curl --version"),
            (0, "jq --version"),
            (0, "sh -c mktemp"),
            (0, "bash -c id"),
        ],
    };
    let engine = engine.filter(|_| name == "executor").and_then(|path| path.file_name()?.to_str());
    let version = engine.map(|engine| format!("{engine} version"));
    trials.extend(version.as_deref().map(|command| (0, command)));
    trials.into_iter().map(|(code, line)| (code, line.split(' ').map(str::to_owned).collect())).collect()
}

#[cfg(test)]
mod tests;
