//! `cargo xtask image`: container images of the api-server and the executor, made from files, without a container daemon.
//!
//! Reading order: [`contents`] (what is in them), [`programs`] and [`packages`] (where that comes from), [`tree`] and
//! [`layer`] (files to layers), [`archive`] and [`spec`] (layers to an image). The same inputs give the same bytes.

mod architecture;
mod archive;
mod check;
mod contents;
mod engine;
mod layer;
mod name;
mod packages;
mod programs;
mod push;
mod spec;
#[cfg(test)]
mod stand_in;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;

use crate::{cmd::Cmd, environment::Environment};

use self::{
    architecture::Architecture,
    archive::Image,
    contents::About,
    engine::Engine,
    layer::Layer,
    name::{Name, Repository, Tag},
    packages::PackageName,
    tree::Tree,
};

const AFTER_HELP: &str = "\
Examples:
  Both images, as files in target/images/:
      cargo xtask image
  An executor that brings its terraform, for a cluster without internet:
      cargo xtask image executor --with-engine $(command -v terraform)
  Start the programs of each image in it, and see that they work:
      cargo xtask image --check
  Load them:
      docker load --input target/images/executor-amd64.tar
      podman load --input target/images/executor-amd64.tar
      ctr --namespace k8s.io images import target/images/executor-amd64.tar    (on a node)
  Push them as registry.example.com/team/api-server:v1 and registry.example.com/team/executor:v1:
      cargo xtask image --repository registry.example.com/team --tag v1 --push

The programs are static: built for musl where that target is installed, else with a static glibc.
The other files come from Debian's packages, as this machine's apt finds them. Details: docs/images.md";

#[derive(Debug, clap::Args)]
#[command(after_long_help = AFTER_HELP, after_help = "More, with examples: cargo xtask image --help")]
pub(crate) struct Args {
    /// Which images to make [default: both]
    #[arg(value_enum, value_name = "IMAGE")]
    images: Vec<Program>,
    /// Put this terraform or tofu binary into the executor's image
    #[arg(long, value_name = "FILE")]
    with_engine: Option<PathBuf>,
    /// Put one more Debian package into the executor's image (may be repeated)
    #[arg(long = "package", value_name = "NAME")]
    packages: Vec<PackageName>,
    /// Trust the certificates of this file (PEM) beside the public ones
    #[arg(long, value_name = "FILE")]
    extra_ca: Option<PathBuf>,
    /// What stands before the names of the images: folders, with or without a registry
    #[arg(long, value_name = "NAME", default_value = "ephemeral-agents")]
    repository: Repository,
    /// The tag of the images [default: the version of this repository]
    #[arg(long)]
    tag: Option<Tag>,
    /// The processor that the images are for [default: this machine's]
    #[arg(long, value_enum)]
    arch: Option<Architecture>,
    /// Take the programs from this folder instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Where to write the images
    #[arg(long, value_name = "DIR", default_value = "target/images")]
    out: PathBuf,
    /// Start the programs of each image in it, without a container runtime (needs unshare)
    #[arg(long)]
    check: bool,
    /// Push the images to the registry of --repository, with skopeo or crane
    #[arg(long)]
    push: bool,
    /// The registry speaks plain HTTP, or has a certificate that nobody knows
    #[arg(long, requires = "push")]
    insecure_registry: bool,
    /// The time of everything in the images, in seconds since 1970 [default: that of the last commit]
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH")]
    source_date_epoch: Option<u64>,
}

/// A program that has an image.
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

/// Everything that was decided and looked at before the first file is written.
#[derive(Debug)]
struct Order {
    architecture: Architecture,
    time: u64,
    about: About,
    engine: Option<Engine>,
    extra_certificates: String,
}

/// Makes the images, and pushes them if asked.
pub(crate) fn run(environment: &Environment, args: &Args) -> anyhow::Result<()> {
    let mut wanted = args.images.clone();
    if wanted.is_empty() {
        wanted = vec![Program::ApiServer, Program::Executor];
    }
    wanted.sort_unstable();
    wanted.dedup();
    // What can be refused is refused before a build of many minutes.
    let pusher = if args.push {
        let registry = args.repository.registry();
        ensure!(registry.is_some(), "--push needs a registry in --repository (registry.example.com/team)");
        Some(push::find(environment)?)
    } else {
        None
    };
    let order = order(environment, args, &wanted)?;
    let out = environment.root.join(&args.out);
    fs::create_dir_all(&out).with_context(|| format!("could not make folder {out:?}"))?;

    let names: Vec<_> = wanted.iter().map(|program| program.name()).collect();
    environment.ui.title(&format!("Programs for {}", order.architecture));
    let files = match &args.programs {
        Some(folder) => programs::given(folder, &names)?,
        None => programs::build(environment, order.architecture, &names)?,
    };
    for file in &files {
        programs::expect_static(file, order.architecture)?;
    }
    for (program, file) in wanted.into_iter().zip(files) {
        environment.ui.title(&format!("Image of the {}", program.name()));
        let system = system(environment, args, &order, program)?;
        let tag = match &args.tag {
            Some(tag) => tag.clone(),
            None => order.about.version.parse()?,
        };
        let name = Name::new(args.repository.clone(), program.name(), tag);
        let layers = layers(environment, &order, program, system, &file, &out)?;
        let path = out.join(format!("{}-{}.tar", program.name(), order.architecture));
        let image = image(&order, program, name, layers);
        let written = archive::write(&image, &path)?;
        environment.ui.good(&format!("{}: {} in {}", image.name, size(written.size), path.display()));
        environment.ui.note(&format!("manifest {}", written.digest));
        if args.check {
            check::run(environment, &image, &contents::trials(program.name(), order.engine.as_ref()), &out)?;
        }
        if let Some(tool) = pusher {
            push::push(environment, tool, &path, &image.name, args.insecure_registry)?;
        }
    }
    Ok(())
}

fn order(environment: &Environment, args: &Args, wanted: &[Program]) -> anyhow::Result<Order> {
    let for_executor = args.with_engine.is_some() || !args.packages.is_empty();
    ensure!(
        !for_executor || wanted.contains(&Program::Executor),
        "--with-engine and --package are for the image of the executor, which is not asked for"
    );
    let architecture = match args.arch {
        Some(architecture) => architecture,
        None => Architecture::of_this_machine()?,
    };
    let engine = args.with_engine.as_deref().map(|path| engine::look(path, architecture)).transpose()?;
    let extra_certificates = match &args.extra_ca {
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("could not read {path:?}"))?;
            ensure!(text.contains("-----BEGIN CERTIFICATE-----"), "{path:?} holds no certificate in PEM");
            format!("{}\n", text.trim_end())
        }
        None => String::new(),
    };
    let git = |arguments: &[&str]| Cmd::new("git", arguments.iter().copied()).read(environment);
    let time = match args.source_date_epoch {
        Some(time) => time,
        None => git(&["log", "-1", "--format=%ct"])
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .context("there is no commit whose time could be taken; give one with --source-date-epoch")?,
    };
    let created = i64::try_from(time).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let created = created.with_context(|| format!("{time} seconds since 1970 is no time"))?.to_string();
    let revision = git(&["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]).ok();
    let about = About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: revision.map(|text| text.trim().to_owned()),
        created,
    };
    Ok(Order { architecture, time, about, engine, extra_certificates })
}

/// The lower layer of an image: all but our programs.
fn system(environment: &Environment, args: &Args, order: &Order, program: Program) -> anyhow::Result<Tree> {
    let names: Vec<&str> = match program {
        Program::ApiServer => contents::API_SERVER_PACKAGES.to_vec(),
        Program::Executor => {
            let more = args.packages.iter().map(PackageName::as_str);
            contents::EXECUTOR_PACKAGES.iter().copied().chain(more).collect()
        }
    };
    let packages = packages::fetch(environment, order.architecture, &names)?;
    let mut tree = Tree::default();
    packages.unpack(&mut tree)?;
    environment.ui.note(&format!("{} Debian packages", packages.len()));
    match program {
        Program::ApiServer => contents::api_server_system(tree, &order.extra_certificates),
        Program::Executor => contents::executor_system(tree, &order.extra_certificates),
    }
}

/// Writes the layers, those that change seldom first: a node that has them fetches only the others.
fn layers(
    environment: &Environment,
    order: &Order,
    program: Program,
    system: Tree,
    file: &Path,
    folder: &Path,
) -> anyhow::Result<Vec<Layer>> {
    let mut trees = vec![("system".to_owned(), system)];
    if let (Program::Executor, Some(engine)) = (program, &order.engine) {
        let title = format!("{} {}", engine.name, engine.version.as_deref().unwrap_or_default());
        trees.push((title.trim_end().to_owned(), contents::program(engine.name, &engine.path)?));
    }
    trees.push((program.name().to_owned(), contents::program(program.name(), file)?));
    trees
        .iter()
        .map(|(title, tree)| {
            environment.interrupt.check()?;
            let layer = layer::write(title, tree, order.time, folder)?;
            let (packed, unpacked) = (size(layer.size), size(layer.unpacked));
            environment.ui.note(&format!("layer {title:?}: {unpacked}, {packed} compressed"));
            Ok(layer)
        })
        .collect()
}

fn image(order: &Order, program: Program, name: Name, layers: Vec<Layer>) -> Image {
    let settings = match program {
        Program::ApiServer => contents::api_server_settings(&order.about),
        Program::Executor => contents::executor_settings(&order.about, order.engine.as_ref()),
    };
    Image { name, architecture: order.architecture, settings, layers, time: order.time }
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
