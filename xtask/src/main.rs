//! The commands of this repository (`cargo xtask …`), one file each.
//!
//! No crate of the product is linked: the commands build its programs and run them.
//! That keeps the first step of every command short.

mod bench;
mod ci;
mod deploy;
mod docs;
mod fuzz;
mod image;
mod manifests;
mod programs;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::shell::Shell;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The commands of this repository")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a Terraform configuration from plan to destroy with ephemeral executors, on this machine
    Demo(programs::DemoArgs),
    /// Builds the programs that tests start, then runs all tests, doc tests included
    Test(test::Args),
    /// Builds container images of the api-server and the executor with podman, buildah or docker
    Image(image::Args),
    /// Searches for inputs that violate the invariants of the parsers
    Fuzz(fuzz::Args),
    /// Runs a benchmark
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Deploys the api-server to a cluster, or updates it: roles, Secrets, storage, Deployment, Service
    Deploy(deploy::Args),
    /// Removes what `deploy` has created from a cluster
    Undeploy(deploy::undeploy::Args),
    /// Runs scenarios on a real cluster; `cargo xtask e2e --help` builds the program and lists its options
    E2e(programs::E2eArgs),
    /// Kills server, executors and terraform at random moments and counts what was applied; options:
    /// --seconds, --seed, --workspaces, --replicas, --cloud; `cargo xtask chaos --help`
    Chaos(programs::E2eArgs),
    /// Measures the memory of the api-server under clients that try to exhaust it
    Memory,
    /// Searches a model of the product for histories that break a promise; `cargo xtask search --help`
    Search(programs::E2eArgs),
    /// Prints the objects that `deploy` applies, as YAML
    Manifests(manifests::Settings),
    /// Runs every check: format, house rules, lints, tests, documentation, packages, demo
    Ci,
    /// Checks dependencies, links, file lengths and spelling
    Tidy,
    /// Updates docs/reference/ and deploy/kustomize/ from the code
    Docs,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let shell = Shell::new()?;
    match command {
        Command::Demo(args) => programs::run_demo(&shell, &args),
        Command::Test(args) => test::run(&shell, &args),
        Command::Image(args) => image::run(&shell, &args),
        Command::Fuzz(args) => fuzz::run(&shell, &args),
        Command::Bench(bench) => bench::run(&shell, &bench),
        Command::Deploy(args) => deploy::run(&shell, &args),
        Command::Undeploy(args) => deploy::undeploy::run(&shell, &args),
        Command::E2e(args) => programs::run_e2e(&shell, &args),
        Command::Chaos(args) => programs::run_chaos(&shell, &args),
        Command::Memory => programs::run_memory(&shell),
        Command::Search(args) => programs::run_search(&shell, &args),
        Command::Manifests(settings) => manifests::run(&settings),
        Command::Ci => ci::run(&shell),
        Command::Tidy => tidy::run(&shell),
        Command::Docs => docs::run(&shell),
    }
}
