//! Phase 5: writes what terraform needs into the work directory and runs `init`.

pub(crate) mod backend;

use std::{io, path::Path, time::Duration};

use secrecy::SecretString;

use self::backend::BackendError;
use super::{
    context::Context,
    engine::Tool,
    fetch::address::{self, Access, Repository, Source},
};
use crate::{
    child::{
        captured::run_captured,
        command_line::init_args,
        process::{Exit, Invocation, ProcessError, run},
        ssh_key::write_key,
    },
    work_paths::{WorkDir, write_private},
};

/// The longest time for an `init` whose output is not shown.
const INIT_TIMEOUT: Duration = Duration::from_hours(2);

/// The work directory could not be initialized.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    #[error("could not write {what}")]
    Write { what: &'static str, source: io::Error },
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("{command} failed with {exit}; see its error message in the log")]
    Failed { command: String, exit: Exit },
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Writes the backend file and the plan file, runs `init`, and checks that the backend in use is ours.
pub(crate) async fn init(
    context: &Context<'_>,
    dir: &WorkDir,
    folder: &Path,
    tool: &Tool,
    plan: Option<&[u8]>,
) -> Result<(), InitError> {
    let write_error = |what| move |source| InitError::Write { what, source };
    backend::check_environment(&tool.env)?;
    backend::prepare(folder, tool.engine)?;
    if let Some(plan) = plan {
        write_private(&dir.plan_file(), plan).map_err(write_error("the plan file"))?;
    }
    let mut env = tool.env.clone();
    if let Some(key) = module_key(context)
        && !env.contains_key("GIT_SSH_COMMAND")
    {
        let command =
            write_key(&dir.key_file("modules"), &key).map_err(write_error("the private key for modules"))?;
        env.insert("GIT_SSH_COMMAND".into(), command);
    }
    let command = format!("{} init", tool.engine.program());
    context.heading(&command);
    let args = init_args(context.options());
    let call = Invocation { program: &tool.program, args, dir: folder, env: &env };
    let exit = if context.payload().show_header {
        run(&call, context.log, context.stop).await?
    } else {
        run_quietly(&call, context).await?
    };
    match exit {
        Exit::Code(0) => Ok(backend::verify(folder, tool.engine)?),
        exit => Err(InitError::Failed { command, exit }),
    }
}

/// Runs `init` and shows its output only if it fails.
async fn run_quietly(call: &Invocation<'_>, context: &Context<'_>) -> Result<Exit, ProcessError> {
    let found = run_captured(call, None, context.stop, INIT_TIMEOUT).await?;
    let exit = found.exit.unwrap_or(Exit::NotSeen);
    if exit != Exit::Code(0) {
        for line in found.output.lines().chain(found.errors.lines()) {
            context.log.line(line.as_bytes());
        }
        context.log.flush();
    }
    Ok(exit)
}

/// Returns the key for modules in private repositories: that of the workspace, else that of its source.
fn module_key(context: &Context<'_>) -> Option<SecretString> {
    let payload = context.payload();
    let own = payload.module_ssh_key.as_deref().filter(|key| !key.trim().is_empty());
    own.map(SecretString::from).or_else(|| match address::locate(payload, |_| false) {
        Ok(Source::Git(Repository { access: Access::Key(key), .. })) => Some(key),
        _ => None,
    })
}
