//! Collects the evidence about a job with an unknown outcome from the store, the log and the state.

use jiff::Timestamp;
use job_spec::attempt_api::{Evidence, StepOutcome};
use serde::Serialize;
use serde_json::Value;

use super::{LogContent, LogReader, Missing, Observed, Planned, SavedState, import_blocks, missing};
use crate::{
    messages::{self, missing as advice},
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
    /// What to do, in this order.
    next_steps: Vec<String>,
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
    let log = read_log(services, attempt).await;
    let compared = compare(services, job, step, attempt, &log.content, log.is_complete).await?;
    let lock = store.lock_of_attempt(&attempt.id).await?;
    let lock = lock.map(|info| serde_json::from_str(&info).unwrap_or(Value::String(info)));
    let open = job.status == JobStatus::Unknown;
    let next_steps = if open { compared.next_steps(job, attempt, lock.as_ref()) } else { Vec::new() };
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
        lock,
        last_log_lines: log.content.last_lines,
        changes: log.content.changes.len(),
        import_blocks: import_blocks(&compared.missing),
        missing: compared.missing,
        not_compared: compared.obstacle,
        next_steps,
        resolutions: store.resolutions(job.id).await?,
        choices: if open { choices(job.id) } else { Vec::new() },
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

/// The log of an attempt.
struct AttemptLog {
    content: LogContent,
    /// It has everything that the executor has printed.
    is_complete: bool,
}

async fn read_log(services: &Services, attempt: &Attempt) -> AttemptLog {
    let mut reader = LogReader::default();
    let name = &attempt.kubernetes_job;
    let length = services.logs.length(name).await.unwrap_or_default();
    let mut offset = length.saturating_sub(MAX_LOG);
    let mut is_complete =
        offset == 0 && attempt.result.as_ref().is_some_and(|result| length >= result.log_bytes);
    loop {
        match services.logs.read(name, offset).await {
            Ok(piece) if piece.is_empty() => break,
            Ok(piece) => {
                offset += piece.len() as u64;
                reader.push(&piece);
            }
            Err(error) => {
                reader.push(format!("\nthe log cannot be read further: {error}\n").as_bytes());
                is_complete = false;
                break;
            }
        }
    }
    AttemptLog { content: reader.finish(), is_complete }
}

/// Reads what was planned before a step, and what the step itself has planned.
async fn read_plan(services: &Services, job: &Job, step: &Step, own: &LogContent) -> Vec<Planned> {
    let mut before = job.steps.iter().filter(|other| other.number < step.number && other.step_type.is_plan());
    let mut planned = match before.next_back().and_then(|plan| plan.attempts.last()) {
        Some(attempt) => read_log(services, attempt).await.content.planned,
        None => Vec::new(),
    };
    planned.extend_from_slice(&own.planned);
    planned
}

/// The result of the comparison of log, plan and rescued state with the last saved state.
struct Compared {
    missing: Vec<Missing>,
    /// Why the last saved state could not be read.
    obstacle: Option<String>,
    /// Whether a rescued state could be stored as the next version; `None` where there is none, or where it
    /// has been stored.
    rescued_follows: Option<bool>,
}

async fn compare(
    services: &Services,
    job: &Job,
    step: &Step,
    attempt: &Attempt,
    log: &LogContent,
    log_is_complete: bool,
) -> Result<Compared, StoreError> {
    let store = &services.store;
    let saved = match store.latest_state(&job.workspace_id).await? {
        Some(version) => read_state(services, &version.blob).await.map(Some),
        None => Ok(None),
    };
    let rescued = if attempt.has_rescued_state {
        read_state(services, &store.rescued_state(&attempt.id).await?).await.ok()
    } else {
        None
    };
    // Without the saved state, everything that the log shows is listed.
    let (saved, obstacle) = match saved {
        Ok(saved) => (saved, None),
        Err(reason) => (None, Some(format!("{reason}; `missing` has every change of the log"))),
    };
    let planned = read_plan(services, job, step, log).await;
    let rescued_follows = if obstacle.is_some() {
        attempt.has_rescued_state.then_some(false)
    } else {
        let is_stored = |rescued: &SavedState| saved.as_ref().is_some_and(|saved| saved.includes(rescued));
        rescued.as_ref().filter(|rescued| !is_stored(rescued)).map(|rescued| rescued.follows(saved.as_ref()))
    };
    let observed =
        Observed { changes: &log.changes, planned: &planned, log_is_complete, rescued: rescued.as_ref() };
    Ok(Compared { missing: missing(&observed, saved.as_ref()), obstacle, rescued_follows })
}

async fn read_state(services: &Services, blob: &str) -> Result<SavedState, String> {
    match services.blobs.get(blob).await {
        Ok(bytes) => SavedState::parse(&bytes).map_err(|error| error.to_string()),
        Err(error) => Err(format!("the last saved state cannot be read: {error}")),
    }
}

impl Compared {
    fn next_steps(&self, job: &Job, attempt: &Attempt, lock: Option<&Value>) -> Vec<String> {
        let lock = lock.and_then(|lock| lock["ID"].as_str()).map(|id| format!("?ID={id}"));
        let mut steps = Vec::new();
        if let Some(follows) = self.rescued_follows {
            steps.push(if follows { advice::STORE_RESCUED } else { advice::RESCUED_DOES_NOT_FOLLOW });
        }
        if self.missing.iter().any(|missing| missing.import_block.is_some()) {
            steps.push(advice::ADD_IMPORT_BLOCKS);
        }
        steps.extend([advice::RECHECK, advice::CLOSE]);
        let fill = |step: &str| {
            step.replace("{job}", &job.id.to_string())
                .replace("{attempt}", &attempt.id)
                .replace("{workspace}", &job.workspace_id)
                .replace("{lock}", lock.as_deref().unwrap_or_default())
        };
        steps.into_iter().map(fill).collect()
    }
}
