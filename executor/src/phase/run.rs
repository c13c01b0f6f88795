//! Phase 7: runs plan, apply or destroy.

use std::path::{Path, PathBuf};

use super::{context::Context, engine::Tool};
use crate::{
    child::{
        command_line::step_args,
        process::{Exit, Invocation, ProcessError, run},
    },
    work_paths::WorkDir,
};

/// A terraform command that has ended.
#[derive(Debug)]
pub(crate) struct TerraformRun {
    pub(crate) exit: Exit,
    /// The end of the step was requested before the command ended.
    pub(crate) stop_requested: bool,
    /// The command as users know it: `terraform plan`.
    pub(crate) command: String,
    /// The folder in which it ran.
    pub(crate) folder: PathBuf,
}

/// Runs the command of the step. With `reviewed`, an apply applies the plan file of the work directory.
pub(crate) async fn run_command(
    context: &Context<'_>,
    dir: &WorkDir,
    folder: &Path,
    tool: &Tool,
    reviewed: bool,
) -> Result<TerraformRun, ProcessError> {
    let args = step_args(context.options(), &dir.plan_file(), reviewed).unwrap_or_default();
    let name = args.first().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
    let command = format!("{} {name}", tool.engine.program());
    context.heading(&command);
    let call = Invocation { program: &tool.program, args, dir: folder, env: &tool.env };
    let exit = run(&call, context.log, context.stop).await?;
    Ok(TerraformRun { exit, stop_requested: context.stop.is_requested(), command, folder: folder.to_owned() })
}
