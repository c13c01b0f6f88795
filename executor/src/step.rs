//! One step, from its work directory to its report: calls phases 3 to 8 in their order.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use job_spec::{StepType, attempt_api::StepOutcome};
use tokio::time::sleep;

use crate::{
    child::{
        environment, orphans,
        process::{Exit, Invocation, output},
    },
    error_chain::chain,
    phase::{
        bundle::{
            baseline::Baseline,
            collect,
            restore::{self, RestoreError},
        },
        context::Context,
        engine::{self, ToolError},
        fetch::{self, FetchError, working_directory::working_directory},
        init::{self, InitError},
        report::Record,
        rescue,
        run::{self, RunError, TerraformRun},
        scripts::{self, Moment, ScriptError, Scripts},
        store,
    },
    step_report::{CommandResult, StateResult, StepReport, step_report},
    work_paths::{WorkDir, WorkPathsError},
};

/// Time between two tries to lock the work directory.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// Why the command of the step has not ended by itself.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("cancelled before terraform started")]
    Cancelled,
    #[error("could not fetch the source")]
    Fetch(#[source] FetchError),
    #[error(transparent)]
    Restore(RestoreError),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error("cancelled while a script ran")]
    CancelledInScript,
}

/// A terraform command that has ended, and the script after it that failed.
type Ended = (TerraformRun, Option<ScriptError>);

/// Runs the step. The work directory is removed when this returns.
pub(crate) async fn run_step(context: &Context<'_>, record: &mut Record) -> StepReport {
    let payload = context.payload();
    if let Some(report) = scripts::report_without_scripts(payload) {
        return report;
    }
    if let Some(message) = scripts::missing_interpreter(payload, &search_path(context)) {
        return StepReport::failed(message);
    }
    let started = record.begin("fetch");
    let plan = match fetch::plan::reviewed(context).await {
        Ok(plan) => plan,
        Err(report) => return report,
    };
    let dir = match lock(context).await {
        Ok(dir) => Arc::new(dir),
        Err(report) => return report,
    };
    let (mut scripts, mut baseline) = (None, None);
    let runs_scripts = matches!(payload.step_type, StepType::CustomScripts | StepType::Approval);
    let ended = if runs_scripts {
        run_scripts(context, &dir, started, record, &mut scripts).await.map(|()| None)
    } else {
        run_terraform(context, &dir, plan.as_deref(), started, record, &mut scripts, &mut baseline)
            .await
            .map(Some)
    };
    // Nothing may change a plan or a state that is about to be read.
    orphans::end(context.log).await;
    let report = match ended {
        Ok(Some((run, failed_script))) => {
            store_results(context, &dir, &run, failed_script.as_ref(), record, baseline).await
        }
        Ok(None) => StepReport::COMPLETED,
        Err(error @ (StepError::Cancelled | StepError::CancelledInScript)) => {
            StepReport::cancelled(error.to_string())
        }
        Err(error) => StepReport::failed(chain(&error)),
    };
    if run_failure_scripts(context, &report, scripts).await {
        orphans::end(context.log).await;
    }
    // Providers are large; the runtime uploads the log while they are removed.
    let _ = tokio::task::spawn_blocking(move || drop(dir)).await;
    report
}

/// Returns the search path of the step's programs.
fn search_path(context: &Context<'_>) -> String {
    let env = environment::terraform(context.env, context.payload(), "");
    let path = env.ok().and_then(|mut env| env.remove("PATH"));
    path.unwrap_or_else(|| context.env.get("PATH").unwrap_or_default().to_owned())
}

/// Runs the scripts of a failed step, and returns whether there are any. They do not change how it ended.
async fn run_failure_scripts(
    context: &Context<'_>,
    report: &StepReport,
    scripts: Option<Scripts<'_>>,
) -> bool {
    let has_failed = matches!(report.outcome, StepOutcome::Failed | StepOutcome::Unknown);
    let is_due =
        |scripts: &Scripts<'_>| has_failed && !context.stop.is_requested() && scripts.has(Moment::OnFailure);
    let Some(mut scripts) = scripts.filter(is_due) else { return false };
    if let Err(error) = scripts.run(Moment::OnFailure, None).await {
        context.log.note(&format!("Warning: {}", chain(&error)));
    }
    true
}

/// Locks the work directory. Another executor may have it locked for a moment, to look whether its owner
/// lives.
async fn lock(context: &Context<'_>) -> Result<WorkDir, StepReport> {
    let end = Instant::now() + context.timeouts.work_dir;
    loop {
        let paths = context.paths.clone();
        match tokio::task::spawn_blocking(move || paths.lock_work()).await {
            Ok(Err(WorkPathsError::Busy { .. })) if Instant::now() < end => sleep(LOCK_INTERVAL).await,
            Ok(locked) => return locked.map_err(|error| StepReport::failed(chain(&error))),
            Err(error) => return Err(StepReport::failed(chain(&error))),
        }
    }
}

/// Runs the scripts of a step without a terraform command, in the root of the source.
async fn run_scripts<'a>(
    context: &Context<'a>,
    dir: &WorkDir,
    started: Instant,
    record: &mut Record,
    slot: &mut Option<Scripts<'a>>,
) -> Result<(), StepError> {
    check_stop(context)?;
    let fetched = fetch::configuration(context, dir).await.map_err(StepError::Fetch);
    record.phase("fetch", started);
    let fetched = fetched?;
    record.commit_id = fetched.commit_id;
    check_stop(context)?;
    note_variables(context);
    let env = environment::terraform(context.env, context.payload(), "").map_err(ToolError::Variables)?;
    let mut env = environment::without_state(env);
    context.add_network(&mut env, dir).map_err(ToolError::from)?;
    let started = record.begin("scripts");
    let scripts = slot.insert(Scripts::prepare(context, dir, &fetched.root, &env, None).await?);
    let result = run_moment(context, scripts, Moment::Instead, None).await;
    record.phase("scripts", started);
    result
}

/// Runs the scripts of a moment; a script that fails after a stop request was cancelled.
async fn run_moment(
    context: &Context<'_>,
    scripts: &mut Scripts<'_>,
    moment: Moment,
    plan: Option<&Path>,
) -> Result<(), StepError> {
    if !scripts.has(moment) {
        return Ok(());
    }
    let result = scripts.run(moment, plan).await;
    if context.stop.is_requested() { Err(StepError::CancelledInScript) } else { Ok(result?) }
}

/// Runs the command of the step. `plan` is the reviewed plan of an apply; `started` is the start of the fetch
/// phase.
async fn run_terraform<'a>(
    context: &Context<'a>,
    dir: &WorkDir,
    plan: Option<&[u8]>,
    started: Instant,
    record: &mut Record,
    slot: &mut Option<Scripts<'a>>,
    baseline: &mut Option<Result<Baseline, String>>,
) -> Result<Ended, StepError> {
    check_stop(context)?;
    let folder = fetch_source(context, dir, record, baseline).await;
    record.phase("fetch", started);
    let folder = folder?;

    let started = record.begin("binary");
    init::backend::check_environment(&context.payload().environment_variables).map_err(InitError::from)?;
    note_variables(context);
    let tool = engine::prepare(context, dir, &folder, plan).await;
    record.phase("binary", started);
    check_stop(context)?;
    let tool = tool?;

    let prepared = Scripts::prepare(context, dir, &folder, &tool.env, Some(&tool.program)).await?;
    let scripts = slot.insert(prepared);
    let started = record.begin("init");
    let initialized = initialize(context, dir, &folder, &tool, plan, scripts).await;
    record.phase("init", started);
    initialized?;

    let started = record.begin("terraform");
    let run = run::run_command(context, dir, &folder, &tool, plan.is_some()).await;
    record.phase("terraform", started);
    let run = run?;
    let failed_script = run_after(context, dir, &tool, &run, scripts).await;
    Ok((run, failed_script))
}

/// Runs the scripts after a command that has succeeded, or whose failure the step ignores.
async fn run_after(
    context: &Context<'_>,
    dir: &WorkDir,
    tool: &engine::Tool,
    run: &TerraformRun,
    scripts: &mut Scripts<'_>,
) -> Option<ScriptError> {
    let payload = context.payload();
    let is_plan = payload.step_type.is_plan();
    let has_succeeded = match run.exit {
        Exit::Code(0) => true,
        Exit::Code(2) => is_plan,
        Exit::Code(_) => is_plan && payload.ignore_error,
        _ => false,
    };
    if !has_succeeded || run.stop_requested || !scripts.has(Moment::After) {
        return None;
    }
    if !is_plan {
        let env = environment::without_arguments(&tool.env);
        let args = vec!["output".into(), "-json".into(), "-no-color".into()];
        let call = Invocation { program: &tool.program, args, dir: &run.folder, env: &env };
        if let Ok(Some(outputs)) = output(&call, context.log, context.stop).await {
            scripts.set_output(outputs);
        }
    }
    let plan_file = dir.plan_file();
    let plan = (is_plan && plan_file.is_file()).then_some(plan_file.as_path());
    scripts.run(Moment::After, plan).await.err()
}

/// Returns an error after a stop request.
fn check_stop(context: &Context<'_>) -> Result<(), StepError> {
    if context.stop.is_requested() { Err(StepError::Cancelled) } else { Ok(()) }
}

async fn fetch_source(
    context: &Context<'_>,
    dir: &WorkDir,
    record: &mut Record,
    baseline: &mut Option<Result<Baseline, String>>,
) -> Result<std::path::PathBuf, StepError> {
    let fetched = restore::configuration(context, dir).await.map_err(|error| match error {
        RestoreError::Fetch(error) => StepError::Fetch(error),
        error => StepError::Restore(error),
    });
    // A request that waits for the api-server gives up after a stop request.
    check_stop(context)?;
    let fetched = fetched?;
    record.commit_id.clone_from(&fetched.commit_id);
    let folder = working_directory(&fetched.root, &context.payload().folder).map_err(StepError::Fetch)?;
    if context.payload().step_type.is_plan() {
        *baseline = Some(Baseline::take(context, dir, &fetched).await);
        check_stop(context)?;
    }
    Ok(folder)
}

/// Runs `init` with the scripts before and after it.
async fn initialize(
    context: &Context<'_>,
    dir: &WorkDir,
    folder: &Path,
    tool: &engine::Tool,
    plan: Option<&[u8]>,
    scripts: &mut Scripts<'_>,
) -> Result<(), StepError> {
    run_moment(context, scripts, Moment::BeforeInit, None).await?;
    let initialized = init::init(context, dir, folder, tool, plan).await;
    check_stop(context)?;
    initialized?;
    if scripts.has(Moment::Before) {
        let plan_file = dir.plan_file();
        run_moment(context, scripts, Moment::Before, plan.is_some().then_some(plan_file.as_path())).await?;
        init::backend::verify(folder, tool.engine).map_err(InitError::from)?;
    }
    Ok(())
}

/// Writes to the log which variables the step runs without.
fn note_variables(context: &Context<'_>) {
    for note in environment::notes(context.payload()) {
        context.log.note(&note);
    }
}

/// Returns the report of a step whose command has succeeded, and a script after it has not.
fn report_of_script(context: &Context<'_>, run: &TerraformRun, error: &ScriptError) -> StepReport {
    let message = format!("{} ended with {}, but then: {}", run.command, run.exit, chain(error));
    if context.stop.is_requested() { StepReport::cancelled(message) } else { StepReport::failed(message) }
}

/// Stores what terraform has left, and returns the report of the step.
async fn store_results(
    context: &Context<'_>,
    dir: &WorkDir,
    run: &TerraformRun,
    failed_script: Option<&ScriptError>,
    record: &mut Record,
    baseline: Option<Result<Baseline, String>>,
) -> StepReport {
    let started = record.begin("upload");
    let is_plan = context.payload().step_type.is_plan();
    let last_push = context.state.close().await;
    let state =
        if is_plan { StateResult::NotSent } else { rescue::rescue(context, &run.folder, last_push).await };
    if matches!(run.exit, Exit::Code(0 | 2)) && !run.has_effect {
        let what = if is_plan { "written a plan file" } else { "read the state of the workspace" };
        return StepReport::failed(format!(
            "{} ended with {} but has not {what}, so it has done nothing; see its output in the log, and \
             check the variables TF_CLI_ARGS and TF_CLI_ARGS_* of the workspace",
            run.command, run.exit
        ));
    }
    let report = step_report(CommandResult {
        step: context.payload().step_type,
        command: &run.command,
        exit: run.exit,
        stop_requested: run.stop_requested,
        forced: context.stop.is_forced(),
        shortage: context.stop.shortage(),
        ignore_error: context.payload().ignore_error,
        state: &state,
    });
    let report = match failed_script {
        Some(error) if report.outcome == StepOutcome::Completed => report_of_script(context, run, error),
        _ => report,
    };
    // The file of a failed plan must not be applied, even if the step ignores the failure.
    let has_plan = is_plan && matches!(run.exit, Exit::Code(0 | 2)) && report.has_changes.is_some();
    let report = if has_plan { store_plan(context, dir, run, baseline, report).await } else { report };
    if has_plan || !matches!(state, StateResult::NotSent | StateResult::Stored) {
        record.phase("upload", started);
    }
    report
}

/// Stores the plan file and what an apply needs beside it.
async fn store_plan(
    context: &Context<'_>,
    dir: &WorkDir,
    run: &TerraformRun,
    baseline: Option<Result<Baseline, String>>,
    report: StepReport,
) -> StepReport {
    let report = match baseline {
        None => report,
        Some(Err(reason)) => return StepReport::failed(reason),
        Some(Ok(baseline)) => match collect::store(context, dir, &run.folder, baseline).await {
            Ok(None) => report,
            Ok(Some(sentence)) => report.and(&sentence),
            Err(reason) => return StepReport::failed(reason),
        },
    };
    store::upload_plan(context, &dir.plan_file(), report).await
}
