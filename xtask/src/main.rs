//! The commands of this repository (`cargo xtask …`), one file each.
//!
//! Nothing of the product is linked in here: the commands run the built programs, as a user would.
//! The list below is all there is to see; every command starts in the file of its name.

mod bench;
mod ci;
mod cmd;
mod demo;
mod deploy;
mod docs;
mod environment;
mod fuzz;
mod image;
mod interrupt;
mod manifests;
mod test;
mod tidy;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{environment::Environment, interrupt::Interrupted};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The commands of this repository")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a Terraform configuration from plan to destroy with throwaway executors, on this machine alone
    Demo(demo::Args),
    /// Builds the programs that tests start, then runs all tests, doc tests included
    Test(test::Args),
    /// Builds container images of the api-server and the executor, without a container daemon
    Image(image::Args),
    /// Searches for inputs of the parsers that break what must hold for all inputs
    Fuzz(fuzz::Args),
    /// Measures how long things take
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Brings the api-server into a cluster, or up to date there: roles, Secrets, storage, Deployment, Service
    Deploy(deploy::Args),
    /// Removes from a cluster what `deploy` has made
    Undeploy(deploy::undeploy::Args),
    /// Runs scenarios on a real cluster, with the documented role and with the extended one
    E2e(demo::E2eArgs),
    /// Prints the objects that `deploy` applies, as YAML
    Manifests(manifests::Settings),
    /// Runs every check: format, lints, tests, documentation, house rules, demo
    Ci,
    /// Checks the house rules: who may depend on whom, how files look
    Tidy,
    /// Writes docs/reference/ and deploy/kustomize/ anew from the code
    Docs,
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let environment = match Environment::of_this_process() {
        Ok(environment) => environment,
        Err(error) => return ui::Ui::plain().failure(&error),
    };
    let result = match command {
        Command::Demo(args) => demo::run(&environment, &args),
        Command::Test(args) => test::run(&environment, &args),
        Command::Image(args) => image::run(&environment, &args),
        Command::Fuzz(args) => fuzz::run(&environment, &args),
        Command::Bench(bench) => bench::run(&environment, &bench),
        Command::Deploy(args) => deploy::run(&environment, &args),
        Command::Undeploy(args) => deploy::undeploy::run(&environment, &args),
        Command::E2e(args) => demo::run_e2e(&environment, &args),
        Command::Manifests(settings) => manifests::run(&environment, &settings),
        Command::Ci => ci::run(&environment),
        Command::Tidy => tidy::run(&environment),
        Command::Docs => docs::run(&environment),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            environment.ui.note("interrupted");
            ExitCode::from(130)
        }
        Err(error) => environment.ui.failure(&error),
    }
}
