//! Phase 9: reports the result of the attempt, which decides the exit code.

use std::{future::pending, time::Instant};

use job_spec::{
    ExitCode,
    attempt_api::{PhaseTiming, StepResult},
};

use crate::{
    api::{Api, error::ErrorKind, retry::retry},
    error_chain::chain,
    step_report::StepReport,
    stop::Stop,
    timeouts::Timeouts,
};

/// What the result includes besides the report of the step.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) commit_id: Option<String>,
    pub(crate) timings: Vec<PhaseTiming>,
}

impl Record {
    /// Records the duration of a phase that ends now.
    pub(crate) fn phase(&mut self, name: &str, started: Instant) {
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.timings.push(PhaseTiming { phase: name.to_owned(), milliseconds });
    }
}

/// Sends the result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reporter<'a> {
    pub(crate) api: &'a Api,
    pub(crate) timeouts: Timeouts,
    pub(crate) stop: &'a Stop,
}

impl Reporter<'_> {
    /// Sends the result and returns the exit code.
    pub(crate) async fn report(&self, report: StepReport, record: Record, log_bytes: u64) -> ExitCode {
        if self.stop.is_fenced() {
            return ExitCode::ClaimRefused;
        }
        let code = report.exit_code();
        let StepReport { outcome, has_changes, message, evidence } = report;
        let Record { commit_id, timings } = record;
        let result = StepResult { outcome, has_changes, message, evidence, commit_id, timings, log_bytes };
        let reported = retry(self.timeouts.report, pending(), || self.api.report(&result)).await;
        match reported {
            Ok(()) => code,
            Err(error) => {
                tracing::error!(?outcome, "{}", chain(&error));
                if error.kind == ErrorKind::Closed {
                    ExitCode::ClaimRefused
                } else {
                    ExitCode::ReportNotDelivered
                }
            }
        }
    }
}
