//! The demo: a Terraform configuration from plan to destroy on this machine.
//!
//! Starts the server, registers `examples/hello-terraform`, runs three jobs and checks how each ends. It
//! knows the product by its command line and its HTTP API only. Whatever happens, no process is left running.

mod data_folder;
mod evidence;
mod jobs;

use std::path::PathBuf;

use api_server::client::Client;
use clap::Parser;

use self::{
    data_folder::DataFolder,
    jobs::{Demo, Rejected},
};
use crate::{
    server::{self, Options, Server},
    session::Session,
    settle,
    signals::{self, Interrupted, is_interrupted, until_signal},
    tool::Tool,
};

/// Runs a Terraform configuration from plan to destroy on this machine.
#[derive(Debug, Parser)]
#[command(name = "demo")]
pub struct Args {
    /// Approve the plan without a question
    #[arg(long)]
    yes: bool,
    /// Leave the server running until Ctrl-C; its data stays in `.demo/` unless --data-dir is given
    #[arg(long)]
    keep: bool,
    /// Keep all data in this folder [default: a temporary folder that is removed at the end]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The program to run [default: terraform, else tofu]
    #[arg(long, value_enum)]
    engine: Option<Tool>,
}

/// Runs the demo with the programs beside this one.
///
/// # Errors
/// A job did not end as it must, or the server failed.
pub fn run(args: &Args) -> anyhow::Result<()> {
    signals::block_on(run_demo(args))
}

async fn run_demo(args: &Args) -> anyhow::Result<()> {
    let session = Session::new()?;
    let ui = &session.ui;
    let tool = Tool::find(args.engine)?;
    let folder = DataFolder::create(&session, args.data_dir.as_deref(), args.keep)?;
    ui.title("Starting the api-server");
    let mut server = until_signal(Server::start(&session, folder.path(), &Options::local(&session)?)).await?;
    ui.success(&format!("it listens on {}, its data is in {}", server.address(), folder.path().display()));
    let client = Client::new(server.address(), &server::admin_token(folder.path())?)?;

    let demo = Demo { session: &session, yes: args.yes, client: &client, folder: &folder, tool };
    let mut result = until_signal(demo.run()).await.map_err(|error| server.explain(error));
    if args.keep && !is_interrupted(&result) && server.is_running() {
        ui.title("The server is running");
        ui.note("Ctrl-C stops it");
        signals::received().await?;
    }
    ui.clear_progress();
    if server.is_running()
        && let Err(error) = until_signal(settle::cancel_all_jobs(ui, &client)).await
    {
        ui.warning(&format!("{error:#}"));
        result = result.and(Err(error));
    }
    if result.as_ref().is_err_and(|error| !error.is::<Interrupted>() && !error.is::<Rejected>()) {
        ui.note("the last lines of the server's log:");
        server.last_lines().iter().for_each(|line| ui.log(line));
    }
    server.stop().await;
    result
}
