//! One step, from its work directory to its report: calls phases 3 to 8 in their order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    child::{environment, orphans, process::Exit},
    error_chain::chain,
    phase::{
        context::Context,
        engine::{self, ToolError},
        fetch::{self, FetchError, working_directory::working_directory},
        init::{self, InitError},
        report::Record,
        rescue,
        run::{self, RunError, TerraformRun},
        scripts, store,
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
    Tool(#[from] ToolError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Runs the step. The work directory is removed when this returns.
pub(crate) async fn run_step(context: &Context<'_>, record: &mut Record) -> StepReport {
    if let Some(report) = scripts::report_without_terraform(context.payload()) {
        return report;
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
    let run = run_terraform(context, &dir, plan.as_deref(), started, record).await;
    // Nothing may change a plan or a state that is about to be read.
    orphans::end(context.log).await;
    let report = match run {
        Ok(run) => store_results(context, &dir, &run, record).await,
        Err(error @ StepError::Cancelled) => StepReport::cancelled(error.to_string()),
        Err(error) => StepReport::failed(chain(&error)),
    };
    // Providers are large; the runtime uploads the log while they are removed.
    let _ = tokio::task::spawn_blocking(move || drop(dir)).await;
    report
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

/// Runs the command of the step. `plan` is the reviewed plan of an apply; `started` is the start of the fetch
/// phase.
async fn run_terraform(
    context: &Context<'_>,
    dir: &WorkDir,
    plan: Option<&[u8]>,
    started: Instant,
    record: &mut Record,
) -> Result<TerraformRun, StepError> {
    check_stop(context)?;
    let folder = fetch_source(context, dir, record).await;
    record.phase("fetch", started);
    let folder = folder?;

    let started = record.begin("binary");
    init::backend::check_environment(&context.payload().environment_variables).map_err(InitError::from)?;
    for note in environment::notes(context.payload()) {
        context.log.note(&note);
    }
    let tool = engine::prepare(context, dir, &folder, plan).await;
    record.phase("binary", started);
    check_stop(context)?;
    let tool = tool?;

    let started = record.begin("init");
    let initialized = init::init(context, dir, &folder, &tool, plan).await;
    record.phase("init", started);
    check_stop(context)?;
    initialized?;

    let started = record.begin("terraform");
    let run = run::run_command(context, dir, &folder, &tool, plan.is_some()).await;
    record.phase("terraform", started);
    Ok(run?)
}

/// Returns an error after a stop request.
fn check_stop(context: &Context<'_>) -> Result<(), StepError> {
    if context.stop.is_requested() { Err(StepError::Cancelled) } else { Ok(()) }
}

async fn fetch_source(
    context: &Context<'_>,
    dir: &WorkDir,
    record: &mut Record,
) -> Result<std::path::PathBuf, StepError> {
    let fetched = fetch::configuration(context, dir).await.map_err(StepError::Fetch)?;
    record.commit_id = fetched.commit_id;
    check_stop(context)?;
    working_directory(&fetched.root, &context.payload().folder).map_err(StepError::Fetch)
}

/// Stores what terraform has left, and returns the report of the step.
async fn store_results(
    context: &Context<'_>,
    dir: &WorkDir,
    run: &TerraformRun,
    record: &mut Record,
) -> StepReport {
    let started = record.begin("upload");
    let is_plan = context.payload().step_type.is_plan();
    let last_push = context.state.close().await;
    let state =
        if is_plan { StateResult::NotSent } else { rescue::rescue(context, &run.folder, last_push).await };
    if matches!(run.exit, Exit::Code(0 | 2)) && !run.has_effect {
        let what = if is_plan { "written a plan file" } else { "read the state of the workspace" };
        return StepReport::failed(format!(
            "{} ended with {} but has not {what}, so it has done nothing; see its output in the log, and check \
             the variables TF_CLI_ARGS and TF_CLI_ARGS_* of the workspace",
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
    // The file of a failed plan must not be applied, even if the step ignores the failure.
    let has_plan = is_plan && matches!(run.exit, Exit::Code(0 | 2)) && report.has_changes.is_some();
    let report = if has_plan { store::upload_plan(context, &dir.plan_file(), report).await } else { report };
    if has_plan || !matches!(state, StateResult::NotSent | StateResult::Stored) {
        record.phase("upload", started);
    }
    report
}
