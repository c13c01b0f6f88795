//! Collects the evidence about a job with an unknown outcome from the store, the log and the state.

use jiff::Timestamp;
use job_spec::attempt_api::{Evidence, StepOutcome};
use serde::Serialize;
use serde_json::Value;

use super::{Change, LogReader, Missing, SavedState, import_blocks, missing};
use crate::{
    messages,
    model::{Attempt, Job, JobStatus, Step, StepStatus},
    services::Services,
    store::{Resolution, StateVersions, StoreError},
};

/// A longer log is read from this many bytes before its end.
const MAX_LOG: u64 = 64 * 1024 * 1024;

/// What is known about a job with an unknown outcome.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    job_id: i64,
    status: JobStatus,
    step: u32,
    attempt: String,
    kubernetes_job: String,
    host: Option<String>,
    claimed_at: Option<Timestamp>,
    last_contact_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    /// Why its Kubernetes Job ended, and what to do about that.
    cause: Option<String>,
    advice: Option<&'static str>,
    /// What the executor reported, if it did.
    reported: Option<StepOutcome>,
    message: Option<String>,
    executor: Option<Evidence>,
    /// Whether the server keeps a state that the executor could not store as a version.
    rescued_state: bool,
    state: StateVersions,
    /// Terraform's information about the lock that the attempt still holds.
    lock: Option<Value>,
    last_log_lines: Vec<String>,
    /// How many resources the log says were changed, and those that the last saved state does not show.
    changes: usize,
    missing: Vec<Missing>,
    /// Why the log and the state could not be compared.
    not_compared: Option<String>,
    /// Blocks for every missing resource, ready to paste.
    import_blocks: String,
    /// What users have decided so far, and what they can decide.
    resolutions: Vec<Resolution>,
    choices: Vec<Choice>,
}

/// One thing that a user can do.
#[derive(Debug, Serialize)]
struct Choice {
    request: String,
    effect: &'static str,
}

/// Collects the evidence about a job; `None` if no step of it has an unknown outcome.
///
/// # Errors
/// The store failed. A log or state that cannot be read is part of the evidence.
pub async fn report(services: &Services, job: &Job) -> Result<Option<Report>, StoreError> {
    let unknown = |step: &&Step| step.status == StepStatus::Unknown;
    let Some(step) = job.steps.iter().find(unknown) else { return Ok(None) };
    let Some(attempt) = step.attempts.last() else { return Ok(None) };
    let store = &services.store;
    let (last_log_lines, changes) = read_log(services, attempt).await;
    let (missing, not_compared) = compare(services, job, &changes).await?;
    let lock = store.lock_of_attempt(&attempt.id).await?;
    let claimed_at = attempt.claimed_at.unwrap_or(attempt.created_at);
    let result = attempt.result.as_ref();
    Ok(Some(Report {
        job_id: job.id,
        status: job.status,
        step: step.number,
        attempt: attempt.id.clone(),
        kubernetes_job: attempt.kubernetes_job.clone(),
        host: store.claimed_host(&attempt.id).await?,
        claimed_at: attempt.claimed_at,
        last_contact_at: attempt.last_contact_at,
        ended_at: attempt.ended_at,
        cause: attempt.cause.as_ref().map(ToString::to_string),
        advice: attempt.cause.as_ref().and_then(messages::advice::for_cause),
        reported: result.map(|result| result.outcome),
        message: attempt.message.clone(),
        executor: result.and_then(|result| result.evidence.clone()),
        rescued_state: attempt.has_rescued_state,
        state: store.state_around(&job.workspace_id, &attempt.id, claimed_at).await?,
        lock: lock.map(|info| serde_json::from_str(&info).unwrap_or(Value::String(info))),
        last_log_lines,
        changes: changes.len(),
        import_blocks: import_blocks(&missing),
        missing,
        not_compared,
        resolutions: store.resolutions(job.id).await?,
        choices: if job.status == JobStatus::Unknown { choices(job.id) } else { Vec::new() },
    }))
}

fn choices(job: i64) -> Vec<Choice> {
    let choice = |action: &str, effect| Choice { request: format!("POST /v1/jobs/{job}/{action}"), effect };
    vec![
        choice("recheck", "Runs a plan beside this job; the workspace stays locked."),
        choice(
            "accept",
            "The infrastructure is as it should be: the job counts as completed, the workspace \
                          is unlocked.",
        ),
        choice("abandon", "The job counts as failed, the workspace is unlocked."),
    ]
}

async fn read_log(services: &Services, attempt: &Attempt) -> (Vec<String>, Vec<Change>) {
    let mut reader = LogReader::default();
    let name = &attempt.kubernetes_job;
    let mut offset = match services.logs.length(name).await {
        Ok(length) => length.saturating_sub(MAX_LOG),
        Err(_) => 0,
    };
    loop {
        match services.logs.read(name, offset).await {
            Ok(piece) if piece.is_empty() => break,
            Ok(piece) => {
                offset += piece.len() as u64;
                reader.push(&piece);
            }
            Err(error) => {
                reader.push(format!("\nthe log cannot be read further: {error}\n").as_bytes());
                break;
            }
        }
    }
    reader.finish()
}

/// Compares the changes with the last saved state.
async fn compare(
    services: &Services,
    job: &Job,
    changes: &[Change],
) -> Result<(Vec<Missing>, Option<String>), StoreError> {
    let Some(latest) = services.store.latest_state(&job.workspace_id).await? else {
        return Ok((missing(changes, None), None));
    };
    let parsed = match services.blobs.get(&latest.blob).await {
        Ok(bytes) => SavedState::parse(&bytes).map_err(|error| error.to_string()),
        Err(error) => Err(format!("the last saved state cannot be read: {error}")),
    };
    Ok(match parsed {
        Ok(state) => (missing(changes, Some(&state)), None),
        Err(reason) => (Vec::new(), Some(reason)),
    })
}
