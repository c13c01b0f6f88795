//! The messages between an executor and the api-server about one attempt.
//!
//! Plain data that both sides serialize; neither the HTTP client nor the server is here.
//! Every path is relative to the URL of the attempt, which the pod finds in [`ATTEMPT_URL_ENV`]; every
//! request carries the token of [`ATTEMPT_TOKEN_ENV`] as `Authorization: Bearer`.
//!
//! | request | body | response |
//! |---|---|---|
//! | `POST claim` | [`ClaimRequest`] | 200 [`ClaimResponse`]; 409 another process has claimed it; 410 the attempt has ended |
//! | `POST log?offset=N` | raw bytes | 200 [`LogPosition`]; 409 [`LogPosition`] of the next byte that is expected; 410 |
//! | `PUT plan` | raw plan file | 204; 410 |
//! | `GET plan` | | 200 raw plan file of the job; 404 if the job has none |
//! | `POST result` | [`StepResult`] | 204, also for the same result again; 409 another result is stored; 410 |

use std::fmt;

use config_core::keys;
use serde::{Deserialize, Serialize};

/// Environment variable with the URL of the attempt at the api-server, without a slash at the end.
pub const ATTEMPT_URL_ENV: &str = keys::EPHEMERAL_ATTEMPT_URL;

/// Environment variable with the attempt's token.
pub const ATTEMPT_TOKEN_ENV: &str = keys::EPHEMERAL_ATTEMPT_TOKEN;

/// The executor's first request: it claims the attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRequest {
    /// Random id (UUID) of this executor process: the same id again is the same claim, another id is refused.
    pub executor_id: String,
    /// Name of the machine or pod, for users.
    pub host: String,
}

/// What the executor needs beyond what it finds in its environment; `Debug` does not show the payload.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimResponse {
    /// URL of the workspace's state for Terraform's `http` backend (GET, POST, LOCK, UNLOCK); the user name
    /// is the attempt's id, the password its token.
    pub state_url: String,
    /// Id of the attempt (UUID).
    pub attempt_id: String,
    /// The job has a plan step before this one, so an apply must use its plan file.
    pub plan_expected: bool,
    /// Names of variables (of both categories) whose values must not appear in the log.
    pub sensitive: Vec<String>,
    /// The payload in the form of `EphemeralJobData`, if the environment does not hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_data: Option<String>,
}

impl fmt::Debug for ClaimResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state_url, attempt_id, plan_expected, sensitive, job_data } = self;
        f.debug_struct("ClaimResponse")
            .field("state_url", state_url)
            .field("attempt_id", attempt_id)
            .field("plan_expected", plan_expected)
            .field("sensitive", sensitive)
            .field("job_data", &job_data.as_ref().map(|data| format!("<{} bytes>", data.len())))
            .finish()
    }
}

/// A position in the attempt's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogPosition {
    /// Number of bytes that are stored, which is the offset of the next byte.
    pub offset: u64,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepOutcome {
    /// It succeeded.
    Completed,
    /// It failed.
    Failed,
    /// It was asked to stop, and stopped.
    Cancelled,
}

/// The executor's last request: the result of the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepResult {
    /// How the step ended.
    pub outcome: StepOutcome,
    /// After a plan, whether it contains changes. `None` for other steps.
    pub has_changes: Option<bool>,
    /// One sentence for users, if the outcome needs one; without secrets.
    pub message: Option<String>,
    /// The commit that was checked out, for a git source.
    pub commit_id: Option<String>,
    /// How long each phase took, in order.
    pub timings: Vec<PhaseTiming>,
    /// Number of log bytes that the executor has delivered.
    pub log_bytes: u64,
}

/// The duration of one phase of an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTiming {
    /// Name of the phase: `claim`, `fetch`, `init`, `terraform`, `upload`.
    pub phase: String,
    /// Its duration in milliseconds.
    pub milliseconds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_claim_response_hides_payload() {
        let claim = ClaimResponse {
            state_url: "https://a/state".to_owned(),
            attempt_id: "7".to_owned(),
            plan_expected: true,
            sensitive: vec!["TOKEN".to_owned()],
            job_data: Some("hunter2".to_owned()),
        };
        assert_eq!(
            format!("{claim:?}"),
            "ClaimResponse { state_url: \"https://a/state\", attempt_id: \"7\", plan_expected: true, \
             sensitive: [\"TOKEN\"], job_data: Some(\"<7 bytes>\") }"
        );
    }
}
