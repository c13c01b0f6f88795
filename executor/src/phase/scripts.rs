//! Phase 6: runs the scripts of the template, before and after the terraform command or instead of it.
//!
//! Scripts are those of Terrakube: names of variables, search path and banner are the same. They get the
//! environment of terraform, and no credential of the executor.

mod environment;
mod import;
mod tools;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use job_spec::{Command, CommandRuntime, EphemeralJobData, StepType};

pub(crate) use self::import::ImportError;
use super::context::Context;
use crate::{
    child::{
        process::{Exit, Invocation, ProcessError, run},
        search_path::find_program,
    },
    step_report::StepReport,
    work_paths::{WorkDir, write_private},
};

/// File in the working directory by which a script passes variables to the scripts after it.
const PASSED_VARIABLES: &str = ".terrakube_temp_env";

/// The name under which scripts find the plan file in the working directory.
const PLAN_FILE: &str = "terraformLibrary.tfPlan";

const RULE: &str = "***************************************";

/// When a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before `init`.
    BeforeInit,
    /// Between `init` and the command of the step.
    Before,
    /// After the command has succeeded.
    After,
    /// Instead of a command.
    Instead,
    /// After the step has failed.
    OnFailure,
}

impl Moment {
    const fn text(self) -> &'static str {
        match self {
            Self::BeforeInit => "before init",
            Self::Before => "before the command",
            Self::After => "after the command",
            Self::Instead => "of the step",
            Self::OnFailure => "on failure",
        }
    }

    const fn includes(self, command: &Command) -> bool {
        match self {
            Self::BeforeInit => command.before_init,
            Self::Before => command.before,
            Self::After => command.after,
            Self::Instead | Self::OnFailure => true,
        }
    }
}

/// A script was not run to a good end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScriptError {
    #[error("script {moment} with priority {priority} failed with {exit}; see its output in the log")]
    Failed { moment: &'static str, priority: i64, exit: Exit },
    #[error("could not write the script with priority {priority}")]
    Write { priority: i64, source: io::Error },
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("could not read the scripts of the step")]
    Import(#[source] ImportError),
}

/// The scripts of a step, and what they run with.
#[derive(Debug)]
pub(crate) struct Scripts<'a> {
    context: Context<'a>,
    commands: Vec<Command>,
    on_failure: Vec<Command>,
    /// Folder in which they run.
    folder: PathBuf,
    /// Work directory of the step.
    work: PathBuf,
    env: BTreeMap<String, String>,
}

/// Returns the report of a step that has nothing to do.
pub(crate) fn report_without_scripts(payload: &EphemeralJobData) -> Option<StepReport> {
    let runs_scripts = matches!(payload.step_type, StepType::Approval | StepType::CustomScripts);
    let has_scripts = payload.command_list.as_ref().is_some_and(|list| !list.is_empty())
        || payload.import_commands.is_some();
    (runs_scripts && !has_scripts).then_some(StepReport::COMPLETED)
}

/// Returns why the scripts of a step cannot run on this machine.
pub(crate) fn missing_interpreter(payload: &EphemeralJobData, path: &str) -> Option<String> {
    let lists = [&payload.command_list, &payload.on_failure_list];
    missing_for(lists.into_iter().flatten().flatten(), path)
}

fn missing_for<'c>(commands: impl IntoIterator<Item = &'c Command>, path: &str) -> Option<String> {
    let missing =
        commands.into_iter().find(|command| find_program(program(command.runtime), path).is_none())?;
    let priority = missing.priority;
    Some(match missing.runtime {
        CommandRuntime::Bash => format!(
            "the script with priority {priority} needs bash, and there is no program bash on PATH; use an \
             image that has it; nothing was started"
        ),
        CommandRuntime::Groovy => format!(
            "the script with priority {priority} is GROOVY, and there is no program groovy on PATH; write it \
             as BASH, or use an image that has groovy; nothing was started"
        ),
    })
}

const fn program(runtime: CommandRuntime) -> &'static str {
    match runtime {
        CommandRuntime::Bash => "bash",
        CommandRuntime::Groovy => "groovy",
    }
}

impl<'a> Scripts<'a> {
    /// Reads the scripts of a step. `env` is the environment of terraform, `program` its path, if the step
    /// runs it.
    pub(crate) async fn prepare(
        context: &Context<'a>,
        dir: &WorkDir,
        folder: &Path,
        env: &BTreeMap<String, String>,
        program: Option<&Path>,
    ) -> Result<Self, ScriptError> {
        let payload = context.payload();
        let mut commands = payload.command_list.clone().unwrap_or_default();
        if let Some(import) = &payload.import_commands {
            commands = import::commands(context, dir, import).await.map_err(ScriptError::Import)?;
        }
        let on_failure = payload.on_failure_list.clone().unwrap_or_default();
        let path = env.get("PATH").map(String::as_str).unwrap_or_default();
        if let Some(message) = missing_for(commands.iter().chain(&on_failure), path) {
            return Err(ScriptError::Import(ImportError::Interpreter(message)));
        }
        // Stable: of two scripts with one priority, the first of the list runs first.
        commands.sort_by_key(|command| command.priority);
        let (folder, work) = (folder.to_owned(), dir.path().to_owned());
        let mut scripts = Self { context: *context, commands, on_failure, folder, work, env: env.clone() };
        if !scripts.commands.is_empty() || !scripts.on_failure.is_empty() {
            scripts.on_failure.sort_by_key(|command| command.priority);
            let tools = tools::prepare(context, dir, &scripts.folder).await;
            scripts.env = environment::of_scripts(context, &scripts.folder, env, program, &tools);
            scripts.note_unused();
        }
        Ok(scripts)
    }

    /// Returns whether a script runs at this moment.
    pub(crate) fn has(&self, moment: Moment) -> bool {
        self.list(moment).iter().any(|command| moment.includes(command))
    }

    fn list(&self, moment: Moment) -> &[Command] {
        if moment == Moment::OnFailure { &self.on_failure } else { &self.commands }
    }

    fn note_unused(&self) {
        if matches!(self.context.payload().step_type, StepType::Approval | StepType::CustomScripts) {
            return;
        }
        for command in
            self.commands.iter().filter(|found| !(found.before || found.after || found.before_init))
        {
            self.context.log.note(&format!(
                "Warning: the script with priority {} does not run, because none of before, after and \
                 beforeInit is true",
                command.priority
            ));
        }
    }

    /// Sets the outputs of terraform for the scripts after it.
    pub(crate) fn set_output(&mut self, output: String) {
        environment::insert(&self.context, &mut self.env, "terraformOutput", output);
    }

    /// Runs the scripts of a moment in their order; the first that fails is the last. `plan` is the plan file
    /// that they may read.
    pub(crate) async fn run(&mut self, moment: Moment, plan: Option<&Path>) -> Result<(), ScriptError> {
        let commands: Vec<Command> =
            self.list(moment).iter().filter(|command| moment.includes(command)).cloned().collect();
        if commands.is_empty() {
            return Ok(());
        }
        let link = self.folder.join(PLAN_FILE);
        // A file of the source keeps its place.
        let linked = plan.is_some_and(|plan| std::os::unix::fs::symlink(plan, &link).is_ok());
        let mut result = Ok(());
        for command in &commands {
            result = self.run_one(moment, command).await;
            if result.is_err() || (self.context.stop.is_requested() && moment != Moment::OnFailure) {
                break;
            }
        }
        if linked {
            let _ = fs::remove_file(&link);
        }
        result
    }

    async fn run_one(&mut self, moment: Moment, command: &Command) -> Result<(), ScriptError> {
        let &Command { runtime, ref script, priority, verbose, .. } = command;
        let log = self.context.log;
        let (name, file) = match runtime {
            CommandRuntime::Bash => ("BASH", "userScript.sh"),
            CommandRuntime::Groovy => ("GROOVY", "userScript.groovy"),
        };
        if verbose {
            let heading =
                format!("Command Priority {priority}\nRunning {name}\nScript Information:  \n{script}");
            for line in [RULE, &heading, RULE, "Begin Execution: "] {
                log.note(line);
            }
        } else {
            self.context.heading(&format!("{name} script {}, priority {priority}", moment.text()));
        }
        let path = self.work.join(file);
        write_private(&path, script.as_bytes()).map_err(|source| ScriptError::Write { priority, source })?;
        let search = self.env.get("PATH").map(String::as_str).unwrap_or_default();
        // It was found when the scripts were prepared.
        let interpreter = find_program(program(runtime), search).unwrap_or_else(|| program(runtime).into());
        let args = vec![path.clone().into_os_string()];
        let call = Invocation { program: &interpreter, args, dir: &self.folder, env: &self.env };
        let exit = run(&call, log, self.context.stop).await;
        let _ = fs::remove_file(&path);
        let exit = exit?;
        if verbose {
            log.note("End Execution... ");
        }
        environment::read_passed(&self.context, &mut self.env, &self.folder.join(PASSED_VARIABLES));
        if exit == Exit::Code(0) {
            return Ok(());
        }
        log.note(&match exit {
            Exit::Code(code) => format!("Script Exit Code ==>{code}"),
            exit => format!("Script ended with {exit}"),
        });
        Err(ScriptError::Failed { moment: moment.text(), priority, exit })
    }
}
