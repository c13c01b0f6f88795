//! `cargo xtask demo`: a Terraform configuration from plan to destroy on this machine alone.
//!
//! Plays the part of a user with an HTTP client: builds and starts the server, registers `examples/hello-terraform`, runs
//! three jobs and checks how each ends. It knows nothing of the product but its command line and its HTTP API.
//! Whatever happens, nothing is left running. Reading order: [`play`] (the story), [`crate::product`] (what it is
//! played with).

mod evidence;
mod folder;
mod person;
mod play;

use std::path::PathBuf;

use crate::{
    environment::Environment,
    interrupt::Interrupted,
    product::{
        api::Api,
        server::{self, Options, Server},
        settle, tool,
    },
    test::{self, Programs},
};

use self::{
    folder::DataFolder,
    play::{Rejected, Stage},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Answer the approval with yes
    #[arg(long)]
    yes: bool,
    /// Leave the server running after the summary, until Ctrl-C; its data stays in `.demo/` unless `--data-dir` is given
    #[arg(long)]
    keep: bool,
    /// Keep all data in this folder [default: a temporary folder that is removed at the end]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Args {
    /// The arguments for a run that nobody watches.
    pub(crate) fn answering_yes() -> Self {
        Self { yes: true, keep: false, data_dir: None }
    }
}

/// Builds what the demo needs, and plays it.
pub(crate) fn run(environment: &Environment, args: &Args) -> anyhow::Result<()> {
    // Asked before anything is built: who lacks it should not wait to hear so.
    tool::find(environment)?;
    environment.ui.title("Building the api-server and the executor");
    let programs = test::build_programs(environment)?;
    run_with(environment, args, &programs)
}

/// Plays the demo with programs that are built already.
pub(crate) fn run_with(environment: &Environment, args: &Args, programs: &Programs) -> anyhow::Result<()> {
    let tool = tool::find(environment)?;
    let folder = DataFolder::prepare(environment, args.data_dir.as_deref(), args.keep)?;
    environment.ui.title("Starting the api-server");
    let mut server = Server::start(environment, programs, folder.path(), &Options::local(programs))?;
    environment.ui.good(&format!(
        "it listens on {}, its data is in {}",
        server.address(),
        folder.path().display()
    ));
    let api = Api::new(server.address(), server::admin_token(folder.path())?);

    let stage = Stage { environment, args, api: &api, folder: &folder, tool };
    let mut result = stage.play().map_err(|error| server.explain(error));
    if args.keep && !is_interrupted(&result) {
        wait_for_interrupt(environment, &mut server);
    }
    environment.ui.quiet();
    if server.is_running()
        && let Err(error) = settle::all_jobs(environment, &api)
    {
        environment.ui.warning(&format!("{error:#}"));
        result = result.and(Err(error));
    }
    if result.as_ref().is_err_and(|error| !error.is::<Interrupted>() && !error.is::<Rejected>()) {
        environment.ui.note("the last lines of the server's log:");
        server.last_lines().iter().for_each(|line| environment.ui.log(line));
    }
    server.stop();
    folder.remove();
    result
}

fn is_interrupted(result: &anyhow::Result<()>) -> bool {
    result.as_ref().is_err_and(anyhow::Error::is::<Interrupted>)
}

fn wait_for_interrupt(environment: &Environment, server: &mut Server) {
    environment.ui.title("The server runs on");
    environment.ui.note("Ctrl-C stops it");
    while environment.interrupt.check().is_ok() && server.is_running() {
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
}
