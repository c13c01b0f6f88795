//! The driver of a Job: submits it until it exists, and watches it to its end, as a program does that keeps a
//! record.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt as _;
use k8s_backend::{
    BackendError, Cause, ErrorKind, JobBackend, JobBackendExt as _, JobPhase, RetryPolicy,
    testing::conformance::sample_job,
};
use tokio::time::Instant;

/// The records that survive a restart of the program.
pub(crate) type Records = Arc<Mutex<BTreeMap<String, Record>>>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// When the submit returned.
    pub(crate) submitted: Option<Instant>,
    /// Whether it is to be cancelled, and whether the cancel returned.
    pub(crate) to_cancel: bool,
    pub(crate) cancelled: bool,
    /// Another client has a Job of this name.
    pub(crate) is_taken: bool,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) fault: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ended(Cause),
    NotFound,
}

/// How a program drives its Jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// It submits, watches and retries itself.
    OwnLoop,
    /// It calls `run_to_end` where it has nothing to remember.
    RunToEnd,
}

/// Drives one Job from the state of its record.
pub(crate) async fn drive(backend: Arc<dyn JobBackend>, records: Records, name: String, style: Style) {
    let note =
        |change: &dyn Fn(&mut Record)| change(records.lock().unwrap().entry(name.clone()).or_default());
    let record = records.lock().unwrap()[&name].clone();
    if style == Style::RunToEnd && record.submitted.is_none() && !record.to_cancel {
        // The first phase follows the return of the submit.
        let submitted = |_: &JobPhase| {
            note(&|record| record.submitted = record.submitted.or_else(|| Some(Instant::now())));
        };
        let submission = sample_job(&name).into();
        match backend.run_to_end_with(&submission, RetryPolicy::new(), submitted).await {
            Ok(cause) => return note(&|record| record.outcome = Some(Outcome::Ended(cause.clone()))),
            Err(error) if error.kind == ErrorKind::NotFound => {
                note(&|record| record.submitted = record.submitted.or_else(|| Some(Instant::now())));
                return note(&|record| record.outcome = Some(Outcome::NotFound));
            }
            Err(error) => {
                if let Err(fault) = wait_if_unavailable(&error).await {
                    return note(&|record| record.fault = Some(fault.clone()));
                }
            }
        }
    }
    let record = records.lock().unwrap()[&name].clone();
    if record.submitted.is_none() {
        while let Err(error) = backend.submit(&sample_job(&name).into()).await {
            if let Err(fault) = wait_if_unavailable(&error).await {
                return note(&|record| record.fault = Some(fault.clone()));
            }
        }
        note(&|record| record.submitted = Some(Instant::now()));
    }
    if record.to_cancel && !record.cancelled {
        while let Err(error) = backend.cancel(&name).await {
            if let Err(fault) = wait_if_unavailable(&error).await {
                return note(&|record| record.fault = Some(fault.clone()));
            }
        }
        note(&|record| record.cancelled = true);
    }
    match watch(&*backend, &name).await {
        Ok(outcome) => note(&|record| record.outcome = Some(outcome.clone())),
        Err(fault) => note(&|record| record.fault = Some(fault.clone())),
    }
}

async fn watch(backend: &dyn JobBackend, name: &str) -> Result<Outcome, String> {
    loop {
        let mut phases = backend.watch(name);
        let mut last: Option<JobPhase> = None;
        loop {
            match phases.next().await {
                Some(Ok(JobPhase::Ended(cause))) => {
                    return match phases.next().await {
                        None => Ok(Outcome::Ended(cause)),
                        Some(more) => Err(format!("{more:?} followed the end")),
                    };
                }
                Some(Ok(phase)) => {
                    let goes_back = last == Some(JobPhase::Running) && phase != JobPhase::Running;
                    if goes_back || last.as_ref() == Some(&phase) {
                        return Err(format!("{phase:?} followed {last:?}"));
                    }
                    last = Some(phase);
                }
                Some(Err(error)) if error.kind == ErrorKind::NotFound => return Ok(Outcome::NotFound),
                Some(Err(error)) => {
                    wait_if_unavailable(&error).await?;
                    break;
                }
                None => return Err("a watch ended without an end".to_owned()),
            }
        }
    }
}

/// Waits after an error of kind `Unavailable`.
async fn wait_if_unavailable(error: &BackendError) -> Result<(), String> {
    if error.kind != ErrorKind::Unavailable {
        return Err(format!("{:?}: {error}: {}", error.kind, error.source));
    }
    tokio::time::sleep(Duration::from_secs(1)).await; // bounded poll
    Ok(())
}
