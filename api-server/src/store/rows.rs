//! Reads a job, its steps and its attempts from their tables.

use std::collections::HashMap;

use super::{
    ResultExt as _, StoreError,
    cause_record::{CauseRecord, WaitingRecord},
    db::{Transaction, query_as},
    parse_time, parse_time_opt, progress,
    stored_messages::{message_of_attempts, message_of_steps, reported_message},
};
use crate::model::{
    Answer, Attempt, AttemptPhase, AttemptStatus, Job, JobStatus, Progress, Step, StepSettings, StepStatus,
    WaitingSince,
};
use job_spec::{StepType, attempt_api::StepResult};
use k8s_backend::{Cause, Waiting};

/// Returns the texts of enums as a list for SQL: `('a', 'b')`.
pub(super) fn sql_list(texts: impl IntoIterator<Item = &'static str>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|text| format!("'{text}'")).collect();
    format!("({})", quoted.join(", "))
}

/// Returns the statuses of jobs that have not ended, as a list for SQL.
pub(super) fn open_statuses() -> String {
    sql_list(JobStatus::ALL.iter().filter(|status| !status.is_final()).map(|status| status.as_str()))
}

struct JobRow {
    id: i64,
    organization_id: String,
    workspace_id: String,
    template_id: String,
    status: String,
    message: Option<String>,
    cancel_requested: bool,
    recheck_of: Option<i64>,
    created_at: String,
    ended_at: Option<String>,
}
from_row!(JobRow {
    id,
    organization_id,
    workspace_id,
    template_id,
    status,
    message,
    cancel_requested,
    recheck_of,
    created_at,
    ended_at
});

struct StepRow {
    id: String,
    number: u32,
    name: String,
    step_type: String,
    status: String,
    message: Option<String>,
    has_changes: Option<bool>,
    answered_by: Option<String>,
    answered_at: Option<String>,
    approved_digest: Option<String>,
    settings: Option<String>,
    approved_bundle: Option<String>,
    started_at: Option<String>,
    ended_at: Option<String>,
}
from_row!(StepRow {
    id,
    number,
    name,
    step_type,
    status,
    message,
    has_changes,
    answered_by,
    answered_at,
    approved_digest,
    settings,
    approved_bundle,
    started_at,
    ended_at
});

struct AttemptRow {
    id: String,
    step_id: String,
    number: u32,
    kubernetes_job: String,
    phase: String,
    live: bool,
    submit_failures: u32,
    retry_at: Option<String>,
    refusal: Option<String>,
    cancel_sent: bool,
    claimed_at: Option<String>,
    last_contact_at: Option<String>,
    plan_digest: Option<String>,
    bundle_digest: Option<String>,
    has_rescued_state: bool,
    result: Option<String>,
    cause_kind: Option<String>,
    cause_detail: Option<String>,
    waiting: Option<String>,
    waiting_since: Option<String>,
    status: String,
    message: Option<String>,
    created_at: String,
    ended_at: Option<String>,
}
from_row!(AttemptRow {
    id,
    step_id,
    number,
    kubernetes_job,
    phase,
    live,
    submit_failures,
    retry_at,
    refusal,
    cancel_sent,
    claimed_at,
    last_contact_at,
    plan_digest,
    bundle_digest,
    has_rescued_state,
    result,
    cause_kind,
    cause_detail,
    waiting,
    waiting_since,
    status,
    message,
    created_at,
    ended_at
});

impl AttemptRow {
    async fn of_job(tx: &mut Transaction, job_id: i64) -> Result<Vec<Self>, StoreError> {
        query_as(
            "SELECT id, step_id, number, kubernetes_job, phase, live, submit_failures, retry_at, refusal,
                    cancel_sent, claimed_at, last_contact_at, plan_digest, bundle_digest,
                    rescued_state IS NOT NULL AS has_rescued_state, result, cause_kind, cause_detail, waiting,
                    waiting_since, status, message, created_at, ended_at
             FROM attempts WHERE job_id = $1 ORDER BY number",
        )
        .bind(job_id)
        .fetch_all(&mut **tx)
        .await
        .context("read the attempts of a job")
    }
}

/// Reads a job with its steps and attempts.
pub(super) async fn read_job(tx: &mut Transaction, id: i64) -> Result<Job, StoreError> {
    let row = query_as::<JobRow>(
        "SELECT id, organization_id, workspace_id, template_id, status, message, cancel_requested, recheck_of,
                created_at, ended_at
         FROM jobs WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(&mut **tx)
    .await
    .context("read a job")?
    .ok_or_else(|| StoreError::NotFound { kind: "job", id: id.to_string() })?;
    let steps =
        query_as::<StepRow>("SELECT *, type AS step_type FROM steps WHERE job_id = $1 ORDER BY number")
            .bind(id)
            .fetch_all(&mut **tx)
            .await
            .context("read the steps of a job")?;
    let mut attempts = read_attempts(tx, id).await?;
    let JobRow {
        id,
        organization_id,
        workspace_id,
        template_id,
        status,
        message,
        cancel_requested,
        recheck_of,
        created_at,
        ended_at,
    } = row;
    let status = JobStatus::parse(&status).map_err(StoreError::Corrupt)?;
    let mut steps: Vec<Step> = steps
        .into_iter()
        .map(|step| {
            let attempts = attempts.remove(&step.id).unwrap_or_default();
            step.into_step(attempts)
        })
        .collect::<Result<_, _>>()?;
    // Why a job waits is stored once; the step that waits shows it, too.
    for step in steps.iter_mut().filter(|step| step.status == StepStatus::Running) {
        step.message = step.message.take().or_else(|| message.clone().filter(|_| !status.is_final()));
    }
    Ok(Job {
        id,
        organization_id,
        workspace_id,
        template_id,
        status,
        message: message.or_else(|| message_of_steps(status, &steps).map(str::to_owned)),
        cancel_requested,
        recheck_of,
        created_at: parse_time(&created_at)?,
        ended_at: parse_time_opt(ended_at.as_deref())?,
        steps,
    })
}

/// Reads the attempts of a job, by the ids of their steps.
async fn read_attempts(
    tx: &mut Transaction,
    job_id: i64,
) -> Result<HashMap<String, Vec<Attempt>>, StoreError> {
    let mut attempts: HashMap<String, Vec<_>> = HashMap::new();
    let mut progress = progress::of_job(tx, job_id).await?;
    for row in AttemptRow::of_job(tx, job_id).await? {
        let attempts = attempts.entry(row.step_id.clone()).or_default();
        let mut attempt = Attempt::try_from(row)?;
        attempt.progress = progress.remove(&attempt.id).unwrap_or_default();
        attempts.push(attempt);
    }
    Ok(attempts)
}

impl StepRow {
    fn into_step(self, attempts: Vec<Attempt>) -> Result<Step, StoreError> {
        let Self {
            id,
            number,
            name,
            step_type,
            status,
            message,
            has_changes,
            answered_by,
            answered_at,
            approved_digest,
            settings,
            approved_bundle,
            started_at,
            ended_at,
        } = self;
        let settings = settings.as_deref().map(StepSettings::from_json).transpose();
        let answer = answered_by.zip(parse_time_opt(answered_at.as_deref())?);
        let status = StepStatus::parse(&status).map_err(StoreError::Corrupt)?;
        let message = message.or_else(|| message_of_attempts(status, &attempts).map(str::to_owned));
        Ok(Step {
            id,
            number,
            name,
            step_type: parse_step_type(&step_type)?,
            status,
            message,
            has_changes,
            settings: settings.map_err(StoreError::Corrupt)?.unwrap_or_default(),
            answer: answer.map(|(by, at)| Answer {
                by,
                at,
                plan_digest: approved_digest,
                bundle_digest: approved_bundle,
            }),
            started_at: parse_time_opt(started_at.as_deref())?,
            ended_at: parse_time_opt(ended_at.as_deref())?,
            attempts,
        })
    }
}

pub(super) fn parse_step_type(text: &str) -> Result<StepType, StoreError> {
    let known = StepType::ALL.into_iter().find(|known| known.as_str() == text);
    known.ok_or_else(|| StoreError::Corrupt(format!("step type {text:?}")))
}

fn cause_of(kind: &str, detail: Option<&str>) -> Result<Cause, StoreError> {
    let record = CauseRecord::from_columns(kind, detail);
    record.map(Cause::from).map_err(|_| StoreError::Corrupt(format!("cause {kind:?} with {detail:?}")))
}

/// Parses what an attempt waits for. A value of a newer version is ignored: the backend reports it again.
pub(super) fn waiting_of(
    waiting: Option<&str>,
    since: Option<&str>,
) -> Result<Option<WaitingSince>, StoreError> {
    let waiting = waiting.and_then(WaitingRecord::from_column).map(Waiting::from);
    let since = parse_time_opt(since)?;
    Ok(waiting.zip(since).map(|(waiting, since)| WaitingSince { waiting, since }))
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        let AttemptRow {
            id,
            step_id: _,
            number,
            kubernetes_job,
            phase,
            live,
            submit_failures,
            retry_at,
            refusal,
            cancel_sent,
            claimed_at,
            last_contact_at,
            plan_digest,
            bundle_digest,
            has_rescued_state,
            result,
            cause_kind,
            cause_detail,
            waiting,
            waiting_since,
            status,
            message,
            created_at,
            ended_at,
        } = row;
        let result: Result<Option<StepResult>, _> =
            result.map(|text| serde_json::from_str(&text)).transpose();
        let result = result.map_err(|_| StoreError::Corrupt(format!("report of attempt {id}")))?;
        let phase = AttemptPhase::parse(&phase).map_err(StoreError::Corrupt)?;
        let message = match phase {
            AttemptPhase::Ended => {
                message.or_else(|| reported_message(result.as_ref(), refusal.as_deref()).map(str::to_owned))
            }
            AttemptPhase::Prepared | AttemptPhase::Submitted => message,
        };
        Ok(Self {
            number,
            kubernetes_job,
            phase,
            live,
            submit_failures,
            retry_at: parse_time_opt(retry_at.as_deref())?,
            refusal,
            cancel_sent,
            claimed_at: parse_time_opt(claimed_at.as_deref())?,
            last_contact_at: parse_time_opt(last_contact_at.as_deref())?,
            plan_digest,
            bundle_digest,
            has_rescued_state,
            result,
            cause: cause_kind.map(|kind| cause_of(&kind, cause_detail.as_deref())).transpose()?,
            waiting: waiting_of(waiting.as_deref(), waiting_since.as_deref())?,
            progress: Progress::default(),
            status: AttemptStatus::parse(&status).map_err(StoreError::Corrupt)?,
            message,
            created_at: parse_time(&created_at)?,
            ended_at: parse_time_opt(ended_at.as_deref())?,
            id,
        })
    }
}
