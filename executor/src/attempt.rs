//! One attempt, from the environment to the exit code.
//!
//! Nothing is changed before the claim; after it, every outcome is reported.

use std::{io, time::Duration};

use config_core::EnvSnapshot;
use job_spec::{ExitCode, attempt_api::ClaimResponse};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    api::Api,
    authorities::{self, Authorities},
    error_chain::chain,
    log::{
        Log, LogReader, stdout,
        upload::{UploadEnd, upload},
    },
    memory::MemoryWatch,
    phase::{
        claim::claim,
        context::Context,
        decode::{AttemptInput, EnvInput, check_id, grace_period},
        report::{LogDelivery, Record, Reporter},
    },
    state_proxy::{Pushes, StateProxy},
    step::run_step,
    step_report::StepReport,
    stop::Stop,
    termination::Termination,
    timeouts::Timeouts,
    work_paths::{WorkPaths, leftovers},
};

use self::secrets::{masker, names_of_short_values};

mod heartbeat;
mod secrets;

/// Runs the attempt that the environment describes.
///
/// Must be called inside a tokio runtime with I/O and time enabled. It handles TERM and INT: both stop the
/// step, and a second one ends terraform at once.
pub async fn run(env: &EnvSnapshot) -> ExitCode {
    let termination = Termination::new(env);
    // What is malformed is reported with the rest of the input.
    let stop = Stop::with_grace_period(grace_period(env).unwrap_or_default());
    let signals = match stop.on_signals() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "could not install the signal handlers");
            termination.end(ExitCode::Internal, &format!("could not install the signal handlers: {error}"));
            return ExitCode::Internal;
        }
    };
    let code = decode_and_run(env, Timeouts::default(), &stop, termination).await;
    signals.abort();
    tracing::info!(code = code.code(), "{}", code.meaning());
    code
}

async fn decode_and_run(
    env: &EnvSnapshot,
    timeouts: Timeouts,
    stop: &Stop,
    termination: Termination,
) -> ExitCode {
    let end = |code, message: String| {
        tracing::error!("{message}");
        termination.end(code, &message);
        code
    };
    let input = match EnvInput::load(env) {
        Ok(input) => input,
        Err(error) => return end(ExitCode::InvalidInput, chain(&error)),
    };
    // Plain HTTP needs no certificates; a faulty setting fails where it is needed.
    let setting = env.get(authorities::SETTING).filter(|_| input.url.starts_with("https:"));
    let authorities = match Authorities::new(setting) {
        Ok(authorities) => authorities,
        Err(error) => return end(ExitCode::InvalidInput, chain(&error)),
    };
    let api = match Api::new(&input.url, input.token.clone(), authorities.as_ref()) {
        Ok(api) => api,
        Err(error) => {
            let message = format!("could not build the HTTP client: {}", chain(&error));
            return end(ExitCode::Internal, message);
        }
    };
    let mut record = Record::new(termination.clone());
    let started = record.begin("claim");
    let claim = match claim(&api, &input.host, timeouts, stop).await {
        Ok(claim) => claim,
        Err((code, message)) => return end(code, message),
    };
    record.phase("claim", started);
    let api = api.in_session(claim.session_token.clone().into());
    let reporter = Reporter { api: &api, timeouts, stop };
    match input.with_claim(claim.job_data.as_deref()) {
        Ok(input) => Attempt { env, input: &input, claim: &claim, reporter }.run(record).await,
        Err(error) => {
            let message = chain(&error);
            tracing::error!("{message}");
            reporter.report(StepReport::failed(message), record, LogDelivery::default()).await
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
                let report = StepReport::failed(message);
                return self.reporter.report(report, record, LogDelivery::default()).await;
            }
        };
        let Reporter { timeouts, stop, .. } = self.reporter;
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

        let memory = MemoryWatch::start(stop);
        let report = self.run_step(&paths, &state, &log, &mut record).await;
        record.memory = memory.measured();
        drop((memory, state));
        // Both tasks end when they have processed the whole log.
        drop(log);
        let complete = finish("upload the log", upload, timeouts.log, stop).await;
        finish("copy the log to standard output", copy, timeouts.stdout, stop).await;
        let delivery = LogDelivery { bytes: *stored.borrow(), complete };
        let code = self.reporter.report(report, record, delivery).await;
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

/// Waits for the end of a task that reads the log, and returns whether it has read the whole log. Aborts it
/// after the timeout, or when its share of the grace period is over.
async fn finish(action: &str, mut task: JoinHandle<io::Result<()>>, limit: Duration, stop: &Stop) -> bool {
    let ended = tokio::select! {
        ended = timeout(limit, &mut task) => ended.ok(),
        () = stop.after(|grace| grace.log) => None,
    };
    match ended {
        Some(Ok(Ok(()))) => return true,
        Some(Ok(Err(error))) => tracing::warn!(%error, "could not {action}"),
        Some(Err(error)) => tracing::error!(%error, "could not {action}"),
        None => {
            tracing::warn!("could not {action} in the time for it");
            task.abort();
        }
    }
    false
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
