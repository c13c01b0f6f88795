//! The exit codes by which an executor reports the end of an attempt to its cluster.
//!
//! They are part of the Kubernetes Job: its `podFailurePolicy` names them, so that the cluster writes the
//! code into the Job's own condition, where it is seen without reading pods.

use std::fmt::{self, Write as _};

/// How an executor process ended, as a process exit code.
///
/// The code is a hint for users and for the cluster. What happened to the infrastructure is in the report
/// that the executor sends to the api-server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// The step succeeded and the api-server has the report.
    Completed = 0,
    /// The step failed (terraform failed, the source could not be fetched…)
    /// and the api-server has the report.
    StepFailed = 10,
    /// `EphemeralFlagBatch`, `EphemeralJobData` or another input was missing or malformed; nothing ran.
    InvalidInput = 11,
    /// The api-server refused the claim: the attempt is taken or over; nothing ran.
    ClaimRefused = 12,
    /// The api-server could not be reached to claim the attempt; nothing ran.
    ApiUnreachable = 13,
    /// The executor was asked to stop; terraform got its signal and the api-server has the report.
    Cancelled = 14,
    /// The step ran but its result could not be delivered.
    ReportNotDelivered = 15,
    /// An internal error of the executor.
    Internal = 16,
}

impl ExitCode {
    /// Every code, in ascending order.
    pub const ALL: [Self; 8] = [
        Self::Completed,
        Self::StepFailed,
        Self::InvalidInput,
        Self::ClaimRefused,
        Self::ApiUnreachable,
        Self::Cancelled,
        Self::ReportNotDelivered,
        Self::Internal,
    ];

    /// Returns the number that the process exits with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Finds the exit code of a number; `None` if it is not one of ours.
    ///
    /// ```
    /// use job_spec::ExitCode;
    /// assert_eq!(ExitCode::from_code(12), Some(ExitCode::ClaimRefused));
    /// assert_eq!(ExitCode::from_code(137), None);
    /// ```
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|known| i32::from(known.code()) == code)
    }

    /// Returns a short description of the code, which the reference page uses.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Completed => "the step succeeded and was reported",
            Self::StepFailed => "the step failed and was reported",
            Self::InvalidInput => "the input of the executor was missing or malformed; nothing ran",
            Self::ClaimRefused => "the attempt was already taken or is over; nothing ran",
            Self::ApiUnreachable => "the api-server could not be reached; nothing ran",
            Self::Cancelled => "the executor was asked to stop and reported that",
            Self::ReportNotDelivered => "the step ran, but its result could not be delivered",
            Self::Internal => "an internal error of the executor",
        }
    }

    /// Returns the reference page of every code, in Markdown.
    ///
    /// A test of the api-server compares it with `docs/reference/exit-codes.md`;
    /// `cargo xtask docs` writes the file.
    #[must_use]
    pub fn reference_page() -> String {
        let mut page = String::from(
            "# Exit codes of the executor\n\n\
             <!-- Generated from job-spec/src/exit_code.rs; cargo xtask docs writes it. -->\n\n\
             The Kubernetes Job names these codes in its `podFailurePolicy`, \
             so the cluster writes the code into the Job's\n\
             `Failed` condition. The executor's report says what happened to the infrastructure.\n\n\
             | code | name | meaning |\n|---|---|---|\n",
        );
        for code in Self::ALL {
            let _ = writeln!(page, "| {} | `{code:?}` | {} |", code.code(), code.meaning());
        }
        page.push_str(
            "\nFor the case that the report does not arrive, the executor leaves a termination message in \
             `/dev/termination-log` (or the file that\n`EphemeralTerminationLog` names): a JSON object with \
             `message`, and `exitCode` or, for a killed executor, `phase`. A server whose role\nmay read \
             pods shows it with the cause. It is empty once the report has arrived. It decides nothing, \
             because code in the step can\nwrite it, too.\n\nAny other code does not come from the executor: \
             137 and 143 are signals (KILL, TERM), 128 is \
             a container that could not be started.\n",
        );
        page
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.meaning())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_exit_codes_from_numbers() {
        for code in ExitCode::ALL {
            assert_eq!(ExitCode::from_code(code.code().into()), Some(code));
        }
        assert_eq!(ExitCode::Completed.to_string(), format!("0 ({})", ExitCode::Completed.meaning()));
        for number in [-1, 1, 9, 17, 128, 137, 143, 256 + 10] {
            assert_eq!(ExitCode::from_code(number), None, "{number}");
        }
    }
}
