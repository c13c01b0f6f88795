//! Phase 9: reports the result of the attempt, which decides the exit code.

use std::time::Instant;

use job_spec::{
    ExitCode,
    attempt_api::{MemoryUse, PhaseTiming, StepResult},
};

use crate::{
    api::{Api, error::ErrorKind, retry::retry},
    error_chain::chain,
    step_report::StepReport,
    stop::Stop,
    termination::Termination,
    timeouts::Timeouts,
};

/// What the result includes besides the report of the step.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) commit_id: Option<String>,
    pub(crate) timings: Vec<PhaseTiming>,
    pub(crate) memory: Option<MemoryUse>,
    termination: Termination,
}

/// What of the log the api-server has stored.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogDelivery {
    pub(crate) bytes: u64,
    pub(crate) complete: bool,
}

impl Record {
    pub(crate) fn new(termination: Termination) -> Self {
        Self { commit_id: None, timings: Vec::new(), memory: None, termination }
    }

    /// Notes for the case that this process is killed that a phase begins, and returns its start.
    pub(crate) fn begin(&self, name: &str) -> Instant {
        self.termination.in_phase(name);
        Instant::now()
    }

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
    /// Sends the result and returns the exit code. That is the last act of the executor; what it
    /// leaves for the case that nothing arrives is written before.
    pub(crate) async fn report(&self, report: StepReport, record: Record, log: LogDelivery) -> ExitCode {
        let termination = record.termination.clone();
        if self.stop.is_fenced() {
            termination.end(ExitCode::ClaimRefused, "the api-server has closed the attempt");
            return ExitCode::ClaimRefused;
        }
        let ended = format!(
            "the step ended ({:?}): {}",
            report.outcome,
            report.message.as_deref().unwrap_or("without a message")
        );
        termination.end(ExitCode::ReportNotDelivered, &format!("{ended}; its result was not delivered"));
        let code = report.exit_code();
        let StepReport { outcome, has_changes, message, evidence } = report;
        let Record { commit_id, timings, memory, .. } = record;
        let result = StepResult {
            outcome,
            has_changes,
            message,
            evidence,
            commit_id,
            timings,
            log_bytes: log.bytes,
            log_complete: Some(log.complete),
            memory,
        };
        let late = self.stop.after(|grace| grace.report);
        match retry(self.timeouts.report, late, || self.api.report(&result)).await {
            Ok(()) => {
                termination.clear();
                code
            }
            Err(error) => {
                let error_text = chain(&error);
                tracing::error!(?outcome, "{error_text}");
                let code = if error.kind == ErrorKind::Closed {
                    ExitCode::ClaimRefused
                } else {
                    ExitCode::ReportNotDelivered
                };
                termination.end(code, &format!("{ended}; {error_text}"));
                code
            }
        }
    }
}
