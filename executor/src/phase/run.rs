//! Phase 7: runs plan, apply or destroy.

mod declarations;
pub(super) mod hcl;
mod variables;

use std::{
    io,
    path::{Path, PathBuf},
};

use job_spec::executor_files::ERRORED_STATE;

use self::variables::VariableError;
use super::{context::Context, engine::Tool, init::backend::remove};
use crate::{
    child::{
        command_line::step_args,
        process::{Exit, Invocation, ProcessError, run},
    },
    work_paths::WorkDir,
};

/// Terraform's own workspaces are another thing than those of the server.
const WORKSPACE_NOTE: &str = "(terraform.workspace, which the configuration reads, is \"default\" in every \
                              workspace: a workspace of the server has one state; use an input variable \
                              to tell environments apart)";

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
    /// It has done something: a plan has written its file, an apply has read the state.
    pub(crate) has_effect: bool,
}

/// The command was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("could not remove {path:?}, which terraform is about to write")]
    Leftover { path: PathBuf, source: io::Error },
    #[error("cannot use the variables of the workspace")]
    Variables(#[source] VariableError),
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
    let payload = context.payload();
    let module = declarations::read(folder, tool.engine);
    if module.reads_workspace && !reviewed {
        context.log.note(WORKSPACE_NOTE);
    }
    let values = variables::sort(&payload.variables, payload.hcl_variables.as_ref(), &module, reviewed)
        .map_err(RunError::Variables)?;
    for note in &values.notes {
        context.log.note(note);
    }
    let files = values.write(dir).map_err(RunError::Variables)?;
    let mut env = tool.env.clone();
    files.add_to(&mut env, &name);
    if !payload.step_type.is_plan() {
        dir.record_start(folder).map_err(RunError::Record)?;
    }
    let requests_before = context.state.requests();
    let call = Invocation { program: &tool.program, args, dir: folder, env: &env };
    let exit = run(&call, context.log, context.stop).await?;
    drop(files);
    let has_effect = if payload.step_type.is_plan() {
        dir.plan_file().is_file()
    } else {
        context.state.requests() > requests_before
    };
    let stop_requested = context.stop.is_requested();
    Ok(TerraformRun { exit, stop_requested, command, folder: folder.to_owned(), has_effect })
}
