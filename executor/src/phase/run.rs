//! Phase 7: runs plan, apply or destroy.

use std::{
    io,
    path::{Path, PathBuf},
};

use job_spec::executor_files::ERRORED_STATE;

use super::{context::Context, engine::Tool, init::backend::remove};
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

/// The command was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("could not remove {path:?}, which terraform is about to write")]
    Leftover { path: PathBuf, source: io::Error },
    #[error("could not record the start of terraform")]
    Record(#[source] io::Error),
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Runs the command of the step. With `reviewed`, an apply applies the plan file of the work directory.
pub(crate) async fn run_command(
    context: &Context<'_>,
    dir: &WorkDir,
    folder: &Path,
    tool: &Tool,
    reviewed: bool,
) -> Result<TerraformRun, RunError> {
    let args = step_args(context.options(), &dir.plan_file(), reviewed).unwrap_or_default();
    let name = args.first().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
    let command = format!("{} {name}", tool.engine.program());
    context.heading(&command);
    // Whatever is there afterwards is of this run.
    for path in [folder.join(ERRORED_STATE), dir.plan_file()] {
        if !(reviewed && path == dir.plan_file()) {
            remove(&path).map_err(|source| RunError::Leftover { path, source })?;
        }
    }
    if !context.payload().step_type.is_plan() {
        dir.record_start(folder).map_err(RunError::Record)?;
    }
    let call = Invocation { program: &tool.program, args, dir: folder, env: &tool.env };
    let exit = run(&call, context.log, context.stop).await?;
    Ok(TerraformRun { exit, stop_requested: context.stop.is_requested(), command, folder: folder.to_owned() })
}
