//! The messages between an executor and the api-server about one attempt.
//!
//! Plain data that both sides serialize; neither the HTTP client nor the server is here.
//! Every path is relative to the URL of the attempt, which the pod finds in [`ATTEMPT_URL_ENV`].
//!
//! There are two credentials, both sent as `Authorization: Bearer`. The *claim token* of
//! [`ATTEMPT_TOKEN_ENV`] is in the Kubernetes Job or its Secret, and is good for `POST claim` alone. The
//! *session token* of [`ClaimResponse`] is good for everything else while the attempt is live; it stays in
//! the memory of the executor that claimed the attempt.
//!
//! | request | body | response |
//! |---|---|---|
//! | `POST claim` | [`ClaimRequest`] | 200 [`ClaimResponse`]; 409 another process has claimed it; 410 the attempt has ended |
//! | `POST heartbeat` | | 204; 410 |
//! | `POST log?offset=N` | raw bytes | 200 [`LogPosition`]; 409 [`LogPosition`] of the next byte that is expected; 410 |
//! | `PUT plan` | raw plan file | 200 [`PlanStored`]; 410 |
//! | `GET plan` | | 200 raw plan file of the job; 404 if the job has none; 410 |
//! | `PUT bundle` | JSON of a [`Bundle`] | 200 [`BundleStored`]: stored if nothing is missing; 422; 410 |
//! | `GET bundle` | | 200 the same bytes, of the plan of the job; 404 if it has none; 410 |
//! | `PUT part?digest=D` | raw part of a bundle; `&key=K` for a source | 204; 422 another digest; 410 |
//! | `GET part?digest=D` | | 200 raw part; 404 if the workspace has none; 410 |
//! | `GET source?key=K` | | 200 [`Part`]: the source of this key is stored; 404 it is not; 410 |
//! | `GET state` | | 200 raw state of the workspace; 204 if there is none; 410 |
//! | `POST state?ID=LOCK` | raw state | 200; 403 in a plan step; 409 another lineage or serial; 423 locked; 410 |
//! | `LOCK state`, `UNLOCK state` | Terraform's lock information | 200; 423 with who holds it and since when; 410 |
//! | `PUT rescued-state` | raw state that could not be stored as a version | 204; 403 in a plan step; 410 |
//! | `POST result` | [`StepResult`] | 204, also for the same result again; 409 another result is stored; 410 |
//!
//! Limits in bytes: a plan file, a state, a part of a bundle 256 MiB; a bundle itself, a piece of the log 1
//! MiB; a result 64 KiB, of which the message has 8 KiB, other texts 256, and at most 64 timings; a claim 4
//! KiB, the id of the executor 128, the host 253. A body that is larger is answered with 413; longer texts of
//! a result are cut off.
//!
//! 401 is the answer to a token that is unknown or belongs to another attempt, 403 to one that is not good
//! for the request. An attempt that has ended or has reported is answered with 410, whatever the request is;
//! only the same result again is acknowledged.

use std::fmt;

use config_core::keys;
use serde::{Deserialize, Serialize};

/// Environment variable with the URL of the attempt at the api-server, without a slash at the end.
pub const ATTEMPT_URL_ENV: &str = keys::EPHEMERAL_ATTEMPT_URL;

/// Environment variable with the attempt's claim token.
pub const ATTEMPT_TOKEN_ENV: &str = keys::EPHEMERAL_ATTEMPT_TOKEN;

/// Environment variable with the number of seconds between the signal to stop and KILL.
pub const GRACE_PERIOD_ENV: &str = keys::EPHEMERAL_GRACE_PERIOD;

/// Environment variable with the path of the file for the termination message, where it is not
/// `/dev/termination-log`.
pub const TERMINATION_LOG_ENV: &str = keys::EPHEMERAL_TERMINATION_LOG;

/// The executor's first request: it claims the attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRequest {
    /// Secret random id (UUID) of this executor process, which only its memory holds: the same id again is
    /// the same claim and gets the same session token, another id is refused.
    pub executor_id: String,
    /// Name of the machine or pod, for users.
    pub host: String,
}

/// What the executor needs beyond what it finds in its environment; `Debug` shows neither the session token
/// nor the payload.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimResponse {
    /// Id of the attempt (UUID).
    pub attempt_id: String,
    /// Credential for every later request; dead when the attempt has reported or has ended.
    pub session_token: String,
    /// The executor sends a heartbeat when it has sent nothing else for this many seconds.
    pub heartbeat_seconds: u32,
    /// The job has a plan step before this one, so an apply must use its plan file.
    pub plan_expected: bool,
    /// The plan file that an apply must use. It refuses a file with another digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlannedChange>,
    /// Names of variables (of both categories) whose values must not appear in the log.
    pub sensitive: Vec<String>,
    /// The payload in the form of `EphemeralJobData`, if the environment does not hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_data: Option<String>,
}

impl fmt::Debug for ClaimResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            attempt_id,
            session_token: _,
            heartbeat_seconds,
            plan_expected,
            plan,
            sensitive,
            job_data,
        } = self;
        f.debug_struct("ClaimResponse")
            .field("attempt_id", attempt_id)
            .field("heartbeat_seconds", heartbeat_seconds)
            .field("plan_expected", plan_expected)
            .field("plan", plan)
            .field("sensitive", sensitive)
            .field("job_data", &job_data.as_ref().map(|data| format!("<{} bytes>", data.len())))
            .finish_non_exhaustive()
    }
}

/// A plan file, and the version of the state that it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChange {
    /// SHA-256 of the plan file in hexadecimal digits.
    pub digest: String,
    /// Serial of the state that the plan step read last; `None` if there was no state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_serial: Option<i64>,
    /// Lineage of that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_lineage: Option<String>,
    /// SHA-256 of the bundle that the plan step has left; `None` for a plan of an earlier release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
}

/// What a plan step leaves behind beside the plan file: the source that it used, and the files that it wrote.
/// An apply starts from it. Its digest, that of its JSON text, is part of what is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// [`Bundle::VERSION`].
    pub version: u32,
    /// The source before terraform started.
    pub source: BundledSource,
    /// Archive (tar.gz) of the files that the step has written or changed: the lock file, modules, what
    /// scripts and data sources have made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Part>,
    /// Files of the source that the step has deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<String>,
    /// Files that the step has written and that are not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

impl Bundle {
    /// The version of this form.
    pub const VERSION: u32 = 1;

    /// Iterates over the parts that must be stored.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.source.part.iter().chain(&self.files)
    }
}

/// The source that a plan step used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledSource {
    /// Names its content: `git:<commit>`, or `tree:<digest of names and contents>`.
    pub key: String,
    /// The commit, for a git source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its archive (tar.gz); `None` if it is too large to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// An archive that is stored under the digest of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// SHA-256 in hexadecimal digits.
    pub digest: String,
    /// Size in bytes.
    pub size: u64,
}

/// A file that a plan step has written and that is not in its bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// The file, relative to the source.
    pub path: String,
    /// Why it is not kept.
    pub reason: String,
}

/// The answer to a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleStored {
    /// SHA-256 of the bundle in hexadecimal digits.
    pub digest: String,
    /// Digests of its parts that must be stored first. If there are any, the bundle is not stored.
    pub missing: Vec<String>,
}

/// The plan file is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanStored {
    /// SHA-256 of the stored bytes in hexadecimal digits.
    pub digest: String,
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
    /// Whether it changed infrastructure, and what, is not known: terraform did not end by itself, or its
    /// state is not stored. [`StepResult::evidence`] holds what is known.
    Unknown,
}

/// What is known when terraform did not end by itself, or when its state was not stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Evidence {
    /// Exit code of terraform, if it exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal that ended terraform, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether terraform stored its state as a version; `None` where the executor cannot know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_saved: Option<bool>,
    /// Where the state is that could not be stored as a version.
    pub rescued_state: RescuedState,
}

/// Where a state is that could not be stored as a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RescuedState {
    /// There is none.
    #[default]
    None,
    /// The api-server has it (`PUT rescued-state`).
    Stored,
    /// In a file of the machine that the executor runs on.
    KeptIn(String),
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
    /// What is known beyond the outcome, if terraform did not end by itself or its state was not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The commit that was checked out, for a git source.
    pub commit_id: Option<String>,
    /// How long each phase took, in order.
    pub timings: Vec<PhaseTiming>,
    /// Number of log bytes that the executor has delivered.
    pub log_bytes: u64,
    /// Whether that is the whole log; `None` if the executor does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_complete: Option<bool>,
    /// The memory of the container, where a control group shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryUse>,
}

/// How much memory the container used, without what the kernel keeps of files and can take back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryUse {
    /// The most that was in use, in bytes.
    pub peak_bytes: u64,
    /// The limit in bytes, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_bytes: Option<u64>,
}

/// The duration of one phase of an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTiming {
    /// Name of the phase: `claim`, `fetch`, `binary`, `init`, `terraform`, `upload`.
    pub phase: String,
    /// Its duration in milliseconds.
    pub milliseconds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_claim_response_hides_session_token_and_payload() {
        let claim = ClaimResponse {
            attempt_id: "7".to_owned(),
            session_token: "hunter1".to_owned(),
            heartbeat_seconds: 15,
            plan_expected: true,
            plan: None,
            sensitive: vec!["TOKEN".to_owned()],
            job_data: Some("hunter2".to_owned()),
        };
        assert_eq!(
            format!("{claim:?}"),
            "ClaimResponse { attempt_id: \"7\", heartbeat_seconds: 15, plan_expected: true, plan: None, \
             sensitive: [\"TOKEN\"], job_data: Some(\"<7 bytes>\"), .. }"
        );
    }

    #[test]
    fn evidence_has_a_stable_form() {
        let kept = Evidence {
            signal: Some(9),
            state_saved: Some(false),
            rescued_state: RescuedState::KeptIn("/tmp/errored.tfstate".to_owned()),
            ..Evidence::default()
        };
        let text = r#"{"signal":9,"stateSaved":false,"rescuedState":{"keptIn":"/tmp/errored.tfstate"}}"#;
        assert_eq!(serde_json::to_string(&kept).unwrap(), text);
        assert_eq!(serde_json::from_str::<Evidence>(text).unwrap(), kept);
        let stored: Evidence = serde_json::from_str(r#"{"exit":1,"rescuedState":"stored"}"#).unwrap();
        assert_eq!((stored.exit, stored.rescued_state), (Some(1), RescuedState::Stored));
        assert_eq!(serde_json::from_str::<Evidence>("{}").unwrap(), Evidence::default());
    }
}
