//! One attempt, from the environment to the exit code.
//!
//! Nothing is changed before the claim; after it, every outcome is reported.

use std::{
    io,
    time::{Duration, Instant},
};

use config_core::EnvSnapshot;
use job_spec::{ExitCode, attempt_api::ClaimResponse};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    api::Api,
    error_chain::chain,
    log::{
        Log, LogReader, stdout,
        upload::{UploadEnd, upload},
    },
    phase::{
        claim::claim,
        context::Context,
        decode::{AttemptInput, EnvInput, check_id},
        report::{Record, Reporter},
    },
    state_proxy::{Pushes, StateProxy},
    step::run_step,
    step_report::StepReport,
    stop::Stop,
    timeouts::Timeouts,
    work_paths::{WorkPaths, leftovers},
};

use self::secrets::{masker, names_of_short_values};

mod heartbeat;
mod secrets;

/// Runs the attempt that the environment describes.
///
/// Must be called inside a tokio runtime with I/O and time enabled. It handles TERM and INT: both stop the
/// step.
pub async fn run(env: &EnvSnapshot) -> ExitCode {
    let stop = Stop::default();
    let signals = match stop.on_signals() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "could not install the signal handlers");
            return ExitCode::Internal;
        }
    };
    let code = decode_and_run(env, Timeouts::default(), &stop).await;
    signals.abort();
    tracing::info!(code = code.code(), "{}", code.meaning());
    code
}

async fn decode_and_run(env: &EnvSnapshot, timeouts: Timeouts, stop: &Stop) -> ExitCode {
    let input = match EnvInput::load(env) {
        Ok(input) => input,
        Err(error) => {
            tracing::error!("{}", chain(&error));
            return ExitCode::InvalidInput;
        }
    };
    let api = match Api::new(&input.url, input.token.clone()) {
        Ok(api) => api,
        Err(error) => {
            tracing::error!("could not build the HTTP client: {}", chain(&error));
            return ExitCode::Internal;
        }
    };
    let mut record = Record::default();
    let started = Instant::now();
    let claim = match claim(&api, &input.host, timeouts, stop).await {
        Ok(claim) => claim,
        Err(code) => return code,
    };
    record.phase("claim", started);
    let api = api.in_session(claim.session_token.clone().into());
    let reporter = Reporter { api: &api, timeouts, stop };
    match input.with_claim(claim.job_data.as_deref()) {
        Ok(input) => Attempt { env, input: &input, claim: &claim, reporter }.run(record).await,
        Err(error) => {
            let message = chain(&error);
            tracing::error!("{message}");
            reporter.report(StepReport::failed(message), record, 0).await
        }
    }
}

/// A claimed attempt.
struct Attempt<'a> {
    env: &'a EnvSnapshot,
    input: &'a AttemptInput,
    claim: &'a ClaimResponse,
    reporter: Reporter<'a>,
}

/// The files of an attempt, and the address of its state.
struct Files {
    state: StateProxy,
    paths: WorkPaths,
    log: Log,
    for_upload: LogReader,
    for_stdout: LogReader,
}

impl Attempt<'_> {
    async fn run(&self, mut record: Record) -> ExitCode {
        let Files { state, paths, log, for_upload, for_stdout } = match self.open().await {
            Ok(files) => files,
            Err(message) => {
                tracing::error!("{message}");
                return self.reporter.report(StepReport::failed(message), record, 0).await;
            }
        };
        let Reporter { timeouts, .. } = self.reporter;
        let copy = tokio::spawn(stdout::copy(for_stdout, tokio::io::stdout()));
        let progress = watch::Sender::new(0);
        let stored = progress.subscribe();
        let upload = tokio::spawn(upload_log(
            for_upload,
            self.reporter.api.clone(),
            progress,
            self.reporter.stop.clone(),
        ));

        let temp = self.input.env.temp.clone();
        // It takes a thread, but no time of the step; what it does not finish is left to the next executor.
        tokio::task::spawn_blocking(move || leftovers::remove(&temp));
        let heartbeat = tokio::spawn(heartbeat::send(
            self.reporter.api.clone(),
            Duration::from_secs(self.claim.heartbeat_seconds.into()),
            self.reporter.stop.clone(),
        ));

        let report = self.run_step(&paths, &state, &log, &mut record).await;
        drop(state);
        // Both tasks end when they have processed the whole log.
        drop(log);
        finish("upload the log", upload, timeouts.log).await;
        finish("copy the log to standard output", copy, timeouts.stdout).await;
        let log_bytes = *stored.borrow();
        let code = self.reporter.report(report, record, log_bytes).await;
        heartbeat.abort();
        remove_spool(&paths, code);
        code
    }

    /// Prepares the work directory, opens the address of the state and creates the log.
    async fn open(&self) -> Result<Files, String> {
        let (payload, claim) = (&self.input.payload, self.claim);
        check_id("attemptId", &claim.attempt_id).map_err(|error| chain(&error))?;
        let paths = WorkPaths::prepare(
            &self.input.env.temp,
            &payload.organization_id,
            &payload.workspace_id,
            &claim.attempt_id,
        )
        .map_err(|error| chain(&error))?;
        let Reporter { api, stop, timeouts } = self.reporter;
        let pushes = (!payload.step_type.is_plan()).then(|| Pushes::new(paths.kept_state()));
        let state = StateProxy::start(api.clone(), stop.clone(), timeouts, pushes)
            .await
            .map_err(|error| format!("could not listen on the loopback interface: {error}"))?;
        let masker = masker(self.input, claim, state.secret())
            .map_err(|error| format!("could not prepare the masking of secrets: {}", chain(&error)))?;
        let log = Log::create(&paths.log(), masker)
            .map_err(|error| format!("could not create the log {:?}: {error}", paths.log()))?;
        let reader =
            || log.reader().map_err(|error| format!("could not read the log {:?}: {error}", paths.log()));
        let (for_upload, for_stdout) = (reader()?, reader()?);
        Ok(Files { state, paths, log, for_upload, for_stdout })
    }

    async fn run_step(
        &self,
        paths: &WorkPaths,
        state: &StateProxy,
        log: &Log,
        record: &mut Record,
    ) -> StepReport {
        let &Self { env, input, claim, reporter: Reporter { api, timeouts, stop } } = self;
        let short = names_of_short_values(&input.payload, claim);
        if !short.is_empty() {
            log.note(&format!(
                "(not masked in this log, because their values are shorter than 3 bytes: {})",
                short.join(", ")
            ));
        }
        let context = Context { input, env, claim, api, state, paths, log, stop, timeouts };
        let mut report = run_step(&context, record).await;
        report.message = report.message.map(|message| log.mask(&message));
        if let Some(message) = &report.message {
            log.note(message);
        }
        report
    }
}

/// Uploads the log; stops the step if the api-server has closed the attempt.
async fn upload_log(log: LogReader, api: Api, progress: watch::Sender<u64>, stop: Stop) -> io::Result<()> {
    if upload(log, &api, &progress).await? == UploadEnd::Fenced {
        stop.fence();
    }
    Ok(())
}

/// Waits for the end of a task that reads the log; aborts it after the timeout.
async fn finish(action: &str, mut task: JoinHandle<io::Result<()>>, limit: Duration) {
    match timeout(limit, &mut task).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "could not {action}"),
        Ok(Err(error)) => tracing::error!(%error, "could not {action}"),
        Err(_) => {
            tracing::warn!("could not {action} within {} seconds", limit.as_secs());
            task.abort();
        }
    }
}

/// Removes the spool file, unless it is the only record of what happened.
fn remove_spool(paths: &WorkPaths, code: ExitCode) {
    let path = paths.log();
    if code == ExitCode::ReportNotDelivered {
        let kept = paths.kept_log();
        match std::fs::rename(&path, &kept) {
            Ok(()) => tracing::error!(path = %kept.display(), "the log is kept"),
            Err(error) => tracing::error!(path = %path.display(), %error, "could not keep the log"),
        }
    } else if let Err(error) = std::fs::remove_file(&path) {
        tracing::warn!(path = %path.display(), %error, "could not remove the log file");
    }
}
