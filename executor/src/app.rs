//! One attempt from the environment to the exit code.
//!
//! Decode, claim, perform, deliver, report. Nothing is touched before the claim; after it, whatever happens is reported.

use std::{
    io,
    time::{Duration, Instant},
};

use config_core::EnvSnapshot;
use job_spec::{
    ExitCode,
    attempt_api::{ClaimRequest, ClaimResponse, StepResult},
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use uuid::Uuid;

use crate::{
    api::{Api, ErrorKind, persist},
    chain::chain,
    input::{Given, Input, check_id},
    log::{
        Log, Masker, mirror,
        upload::{Delivery, deliver},
    },
    patience::Patience,
    places::Places,
    runner::Record,
    source::address::secrets_in_address,
    step::Step,
    stop::Stop,
    verdict::Verdict,
};

/// Runs the attempt that the environment describes.
///
/// Must be called inside a tokio runtime with I/O and time enabled. It takes over TERM and INT: both stop the step.
pub async fn run(env: &EnvSnapshot) -> ExitCode {
    let patience = Patience::default();
    let stop = Stop::default();
    let signals = match stop.on_signals() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "signals cannot be received");
            return ExitCode::Internal;
        }
    };
    let code = decode_and_run(env, patience, &stop).await;
    signals.abort();
    tracing::info!(code = code.code(), "{}", code.meaning());
    code
}

async fn decode_and_run(env: &EnvSnapshot, patience: Patience, stop: &Stop) -> ExitCode {
    let given = match Given::load(env) {
        Ok(given) => given,
        Err(error) => {
            tracing::error!("{}", chain(&error));
            return ExitCode::InvalidInput;
        }
    };
    let api = match Api::new(&given.url, given.token.clone()) {
        Ok(api) => api,
        Err(error) => {
            tracing::error!("the HTTP client cannot be made: {}", chain(&error));
            return ExitCode::Internal;
        }
    };
    let mut record = Record::default();
    let started = Instant::now();
    let claim = match take(&api, &given.host, patience, stop).await {
        Ok(claim) => claim,
        Err(code) => return code,
    };
    record.phase("claim", started);
    let reporter = Reporter { api: &api, patience, stop };
    match given.claimed(claim.job_data.as_deref()) {
        Ok(input) => Attempt { env, input: &input, claim: &claim, reporter }.run(record).await,
        Err(error) => {
            let message = chain(&error);
            tracing::error!("{message}");
            reporter.report(Verdict::failed(message), record, 0).await
        }
    }
}

/// Claims the attempt. All tries are the same claim, so a lost answer does no harm.
async fn take(api: &Api, host: &str, patience: Patience, stop: &Stop) -> Result<ClaimResponse, ExitCode> {
    let request = ClaimRequest { executor_id: Uuid::new_v4().to_string(), host: host.to_owned() };
    let claimed = persist(patience.claim, || stop.is_raised(), || api.claim(&request)).await;
    claimed.map_err(|error| {
        tracing::error!("{}", chain(&error));
        match error.kind {
            ErrorKind::Unavailable => ExitCode::ApiUnreachable,
            ErrorKind::Conflict | ErrorKind::Over | ErrorKind::NotFound | ErrorKind::Refused => {
                ExitCode::ClaimRefused
            }
        }
    })
}

/// A claimed attempt.
struct Attempt<'a> {
    env: &'a EnvSnapshot,
    input: &'a Input,
    claim: &'a ClaimResponse,
    reporter: Reporter<'a>,
}

impl Attempt<'_> {
    async fn run(&self, mut record: Record) -> ExitCode {
        let (places, log) = match self.open() {
            Ok(opened) => opened,
            Err(message) => {
                tracing::error!("{message}");
                return self.reporter.report(Verdict::failed(message), record, 0).await;
            }
        };
        let (reader, copy_reader) = match log.reader().and_then(|reader| Ok((reader, log.reader()?))) {
            Ok(readers) => readers,
            Err(error) => {
                return self
                    .reporter
                    .report(Verdict::failed(format!("the log cannot be read: {error}")), record, 0)
                    .await;
            }
        };
        let copy = tokio::spawn(mirror::copy(copy_reader, tokio::io::stdout()));
        let progress = watch::Sender::new(0);
        let stored = progress.subscribe();
        let (api, stop) = (self.reporter.api.clone(), self.reporter.stop.clone());
        let delivery = tokio::spawn(async move {
            let delivered = deliver(reader, &api, &progress).await?;
            if delivered == Delivery::Fenced {
                stop.fence();
            }
            Ok(())
        });

        let verdict = self.perform(&places, &log, &mut record).await;
        // Both tasks end when they have carried everything.
        drop(log);
        end("the log is not delivered", delivery, self.reporter.patience.deliver).await;
        end("the log is not copied to stdout", copy, self.reporter.patience.copy).await;
        let log_bytes = *stored.borrow();
        let code = self.reporter.report(verdict, record, log_bytes).await;
        leave(&places, code);
        code
    }

    /// Makes the places of the attempt and starts its log.
    fn open(&self) -> Result<(Places, Log), String> {
        let (payload, claim) = (&self.input.payload, self.claim);
        check_id("attemptId", &claim.attempt_id).map_err(|error| chain(&error))?;
        let places = Places::prepare(
            &self.input.given.temp,
            &payload.organization_id,
            &payload.workspace_id,
            &claim.attempt_id,
        )
        .map_err(|error| chain(&error))?;
        let log = Log::create(&places.log(), masker(self.input, claim))
            .map_err(|error| format!("the log cannot be written: {error}"))?;
        Ok((places, log))
    }

    async fn perform(&self, places: &Places, log: &Log, record: &mut Record) -> Verdict {
        let &Self { env, input, claim, reporter: Reporter { api, patience, stop } } = self;
        let step = Step { input, env, claim, api, places, log, stop, patience };
        let mut verdict = step.perform(record).await;
        verdict.message = verdict.message.map(|message| log.mask(&message));
        if let Some(message) = &verdict.message {
            log.note(message);
        }
        verdict
    }
}

/// What it takes to say how an attempt ended.
#[derive(Clone, Copy)]
struct Reporter<'a> {
    api: &'a Api,
    patience: Patience,
    stop: &'a Stop,
}

impl Reporter<'_> {
    /// Sends the result and turns its fate into the exit code.
    async fn report(&self, verdict: Verdict, record: Record, log_bytes: u64) -> ExitCode {
        if self.stop.is_fenced() {
            return ExitCode::ClaimRefused;
        }
        let code = verdict.exit_code();
        let Verdict { outcome, has_changes, message } = verdict;
        let Record { commit_id, timings } = record;
        let result = StepResult { outcome, has_changes, message, commit_id, timings, log_bytes };
        let reported = persist(self.patience.deliver, || false, || self.api.report(&result)).await;
        match reported {
            Ok(()) => code,
            Err(error) => {
                tracing::error!(?outcome, "{}", chain(&error));
                if error.kind == ErrorKind::Over {
                    ExitCode::ClaimRefused
                } else {
                    ExitCode::ReportNotDelivered
                }
            }
        }
    }
}

/// Waits for the end of a task that carries the log; a late one is stopped.
async fn end(problem: &str, mut task: JoinHandle<io::Result<()>>, patience: Duration) {
    match timeout(patience, &mut task).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "{problem}"),
        Ok(Err(error)) => tracing::error!(%error, "{problem}"),
        Err(_) => {
            tracing::warn!("{problem} in time");
            task.abort();
        }
    }
}

/// Removes the spool file, unless it is the only account of what happened.
fn leave(places: &Places, code: ExitCode) {
    let path = places.log();
    if code == ExitCode::ReportNotDelivered {
        tracing::error!(path = %path.display(), "the log is kept");
    } else if let Err(error) = std::fs::remove_file(&path) {
        tracing::warn!(path = %path.display(), %error, "the log file is not removed");
    }
}

/// Everything that must not be in the log.
fn masker(input: &Input, claim: &ClaimResponse) -> Masker {
    let payload = &input.payload;
    let sensitive = claim
        .sensitive
        .iter()
        .flat_map(|name| [payload.variables.get(name), payload.environment_variables.get(name)])
        .flatten()
        .cloned();
    let credentials = [payload.access_token.clone(), payload.module_ssh_key.clone()].into_iter().flatten();
    let token = input.given.token.expose();
    let own = [token.to_owned(), format!("{}:{token}", claim.attempt_id)];
    let secrets: Vec<String> =
        sensitive.chain(credentials).chain(own).chain(secrets_in_address(&payload.source)).collect();
    Masker::new(secrets.iter().map(String::as_str))
}
