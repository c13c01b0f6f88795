//! `cargo xtask demo`, `cargo xtask e2e` and `cargo xtask chaos`: build the programs of the crate `e2e` with
//! those they start, and replace this process.

use std::{os::unix::process::CommandExt as _, path::PathBuf, process::Command};

use anyhow::{Context as _, bail};

use crate::{
    shell::{self, Cmd, Shell},
    test::{build, build_demo, find_program},
};

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Approve the plan without a question
    #[arg(long)]
    yes: bool,
    /// Leave the server running until Ctrl-C; its data stays in `.demo/` unless --data-dir is given
    #[arg(long)]
    keep: bool,
    /// Keep all data in this folder [default: a temporary folder that is removed at the end]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The program to run: terraform or tofu [default: terraform, or else tofu]
    #[arg(long)]
    engine: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct E2eArgs {
    /// Options of the program, among them --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds and runs the demo.
pub(crate) fn run_demo(shell: &Shell, args: &DemoArgs) -> anyhow::Result<()> {
    if ["terraform", "tofu"].iter().all(|tool| shell.find_program(tool).is_none()) {
        bail!(
            "neither terraform nor tofu is on your PATH: install one of them \
             (https://developer.hashicorp.com/terraform/install or https://opentofu.org/docs/intro/install)"
        );
    }
    shell::title("Building the api-server and the executor");
    let messages = build_demo(shell)?;
    let mut command =
        Command::new(find_program(&messages, "demo").context("cargo built no program \"demo\"")?);
    command.args(args.yes.then_some("--yes")).args(args.keep.then_some("--keep"));
    if let Some(folder) = &args.data_dir {
        command.arg("--data-dir").arg(folder);
    }
    if let Some(engine) = &args.engine {
        command.arg("--engine").arg(engine);
    }
    replace(command)
}

/// Builds and runs the end-to-end scenarios.
pub(crate) fn run_e2e(shell: &Shell, args: &E2eArgs) -> anyhow::Result<()> {
    shell::title("Building the api-server, the executor and the scenarios");
    let packages = ["-p", "api-server", "-p", "executor", "-p", "e2e", "-p", "k8s-backend"];
    let what = [&packages[..], &["--bins", "--example", "process_cluster"]].concat();
    let messages = build(shell, &what)?;
    let mut command = Command::new(find_program(&messages, "e2e").context("cargo built no program \"e2e\"")?);
    command.args(&args.arguments);
    replace(command)
}

/// Builds and runs chaos.
pub(crate) fn run_chaos(shell: &Shell, args: &E2eArgs) -> anyhow::Result<()> {
    shell::title("Building the api-server, the executor and chaos");
    let packages = ["-p", "api-server", "-p", "executor", "-p", "e2e", "-p", "k8s-backend"];
    let messages = build(shell, &[&packages[..], &["--bins", "--example", "process_cluster"]].concat())?;
    let program = find_program(&messages, "chaos").context("cargo built no program \"chaos\"")?;
    let mut command = Command::new(program);
    command.args(&args.arguments);
    replace(command)
}

/// Builds and runs the measurement of the server's memory.
pub(crate) fn run_memory(shell: &Shell) -> anyhow::Result<()> {
    shell::title("Building the api-server and the measurement");
    let messages = build(shell, &["-p", "api-server", "-p", "executor", "-p", "e2e", "--bins"])?;
    let program = find_program(&messages, "memory").context("cargo built no program \"memory\"")?;
    replace(Command::new(program))
}

/// Builds the search with optimization, and runs it. Only what it spends its time in is optimized: building
/// everything again would take longer than a million histories.
pub(crate) fn run_search(shell: &Shell, args: &E2eArgs) -> anyhow::Result<()> {
    const OPTIMIZED: [&str; 2] =
        ["profile.dev.package.e2e.opt-level=3", "profile.dev.package.api-server.opt-level=1"];
    let config = OPTIMIZED.into_iter().flat_map(|setting| ["--config", setting]);
    Cmd::cargo(["run", "--quiet"])
        .args(config)
        .args(["-p", "e2e", "--bin", "search", "--"])
        .args(args.arguments.iter().map(String::as_str))
        .run(shell)
}

/// Replaces this process, so that the program receives all signals.
fn replace(mut command: Command) -> anyhow::Result<()> {
    Err(command.exec()).with_context(|| format!("cannot start {:?}", command.get_program()))
}

/// Runs the built demo and the built main job, as `cargo xtask ci` does.
pub(crate) fn run_built(
    shell: &Shell,
    messages: &str,
    program: &str,
    arguments: &[&str],
) -> anyhow::Result<()> {
    let path =
        find_program(messages, program).with_context(|| format!("cargo built no program {program:?}"))?;
    Cmd::new(&path.display().to_string(), arguments.iter().copied()).run(shell)
}
