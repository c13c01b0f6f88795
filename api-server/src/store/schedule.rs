//! Who waits for whom, counted from the records: the lock of a workspace, and the steps that run.

use std::collections::BTreeMap;

use job_spec::StepType;
use sqlx::AssertSqlSafe;

use super::{
    ResultExt as _, Store, StoreError,
    db::{Transaction, query_as, query_scalar},
    parse_time_opt,
    rows::{open_statuses, sql_list},
};
use crate::model::{
    AttemptPhase, Blocker, Candidate, Job, JobStatus, Limits, Load, StepStatus, WorkspaceHold,
};

impl Store {
    /// Reads what runs and what waits, as far as the next step of a job depends on it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn load(&self, job: &Job) -> Result<Load, StoreError> {
        let mut tx = self.pool.begin().await.context("read what runs")?;
        let waits_for_quota = waits_for_quota(&mut tx).await?;
        let last_start = match waits_for_quota {
            Some(_) => last_start(&mut tx).await?,
            None => None,
        };
        Ok(Load {
            running: running(&mut tx).await?,
            candidates: candidates(&mut tx, job.id).await?,
            waits_for_quota,
            last_start: parse_time_opt(last_start.as_deref())?,
            beside: beside(&mut tx, job.id, &job.workspace_id).await?,
        })
    }
}

/// Returns whether an attempt at a step of a job may be stored: fewer steps run than may, and none of another
/// job in the same workspace.
pub(super) async fn has_room(tx: &mut Transaction, job_id: i64, limits: Limits) -> Result<bool, StoreError> {
    let (organization, workspace): (String, String) =
        query_as("SELECT organization_id, workspace_id FROM jobs WHERE id = $1")
            .bind(job_id)
            .fetch_one(&mut **tx)
            .await
            .context("read a job")?;
    let running = running(tx).await?;
    let total: u32 = running.values().sum();
    let of_organization = running.get(&organization).copied().unwrap_or_default();
    let is_below = |limit: Option<u32>, count| limit.is_none_or(|limit| count < limit);
    if !is_below(limits.server, total) || !is_below(limits.organization, of_organization) {
        return Ok(false);
    }
    Ok(beside(tx, job_id, &workspace).await?.is_none())
}

fn step_types(wanted: impl Fn(StepType) -> bool) -> impl Iterator<Item = &'static str> {
    StepType::ALL.into_iter().filter(move |step_type| wanted(*step_type)).map(StepType::as_str)
}

/// Lists the statuses of jobs that have started and not ended, as SQL.
fn started_statuses() -> String {
    let started = JobStatus::ALL.iter().filter(|it| !it.is_final() && **it != JobStatus::Pending);
    sql_list(started.map(|status| status.as_str()))
}

/// Counts the steps that run, by organization: those with an attempt that has not ended.
async fn running(tx: &mut Transaction) -> Result<BTreeMap<String, u32>, StoreError> {
    let counts: Vec<(String, i64)> = query_as(
        "SELECT j.organization_id, count(*) FROM attempts a JOIN jobs j ON j.id = a.job_id
         WHERE a.phase <> $1 GROUP BY j.organization_id",
    )
    .bind(AttemptPhase::Ended.as_str())
    .fetch_all(&mut **tx)
    .await
    .context("count the steps that run")?;
    Ok(counts.into_iter().map(|(name, count)| (name, u32::try_from(count).unwrap_or(u32::MAX))).collect())
}

/// Reads the jobs that wait to start a step; the job that asks is always one of them. One that waits for a
/// step of another job in its workspace takes no place from others.
/// The conditions are those of [`read_hold`].
async fn candidates(tx: &mut Transaction, asking: i64) -> Result<Vec<Candidate>, StoreError> {
    let (open, started) = (open_statuses(), started_statuses());
    let plans = sql_list(step_types(StepType::is_plan));
    let rows: Vec<(i64, String, String)> = query_as(AssertSqlSafe(format!(
        "SELECT j.id, j.organization_id, s.type
         FROM jobs j
         JOIN workspaces w ON w.id = j.workspace_id
         JOIN steps s ON s.job_id = j.id AND s.number =
             (SELECT min(n.number) FROM steps n WHERE n.job_id = j.id AND n.status <> $1)
         WHERE j.status IN ($2, $3) AND NOT j.cancel_requested AND s.type <> $4 AND s.status IN ($2, $3)
           AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = j.id AND a.phase <> $5)
           AND (j.id = $6
                OR NOT EXISTS (SELECT 1 FROM attempts a JOIN jobs o ON o.id = a.job_id
                               WHERE o.workspace_id = j.workspace_id AND a.phase <> $5))
           AND (j.id = $6 OR j.status = $3
                OR (w.locked_by_job IS NULL
                    AND NOT EXISTS (SELECT 1 FROM jobs e WHERE e.workspace_id = j.workspace_id
                                    AND e.id < j.id AND e.status IN {open}))
                OR (NOT EXISTS (SELECT 1 FROM steps p WHERE p.job_id = j.id AND p.type NOT IN {plans})
                    AND EXISTS (SELECT 1 FROM jobs h WHERE h.id = w.locked_by_job
                                AND (h.status = $7 OR (h.status = $8 AND j.recheck_of = h.id)))
                    AND NOT EXISTS (SELECT 1 FROM jobs r WHERE r.workspace_id = j.workspace_id
                                    AND r.id NOT IN (j.id, w.locked_by_job) AND r.status IN {started})))
         ORDER BY j.id"
    )))
    .bind(StepStatus::Completed.as_str())
    .bind(JobStatus::Pending.as_str())
    .bind(JobStatus::Running.as_str())
    .bind(StepType::Approval.as_str())
    .bind(AttemptPhase::Ended.as_str())
    .bind(asking)
    .bind(JobStatus::WaitingApproval.as_str())
    .bind(JobStatus::Unknown.as_str())
    .fetch_all(&mut **tx)
    .await
    .context("read the jobs that wait to start a step")?;
    let changing: Vec<_> = step_types(StepType::changes_infrastructure).collect();
    Ok(rows
        .into_iter()
        .map(|(job, organization, step_type)| Candidate {
            job,
            organization,
            changes_infrastructure: changing.contains(&step_type.as_str()),
        })
        .collect())
}

/// Returns the oldest job whose Kubernetes Job, or the pod of it, is refused because of a quota.
async fn waits_for_quota(tx: &mut Transaction) -> Result<Option<i64>, StoreError> {
    query_scalar(
        "SELECT job_id FROM attempts
         WHERE phase <> $1 AND (waiting LIKE '%\"by\":\"quota\"%'
                                OR (refused_since IS NOT NULL AND last_error LIKE '%exceeded quota%'))
         ORDER BY job_id LIMIT 1",
    )
    .bind(AttemptPhase::Ended.as_str())
    .fetch_optional(&mut **tx)
    .await
    .context("look for an exhausted quota")
}

async fn last_start(tx: &mut Transaction) -> Result<Option<String>, StoreError> {
    query_scalar("SELECT max(created_at) FROM attempts WHERE phase <> $1")
        .bind(AttemptPhase::Ended.as_str())
        .fetch_one(&mut **tx)
        .await
        .context("read the last start")
}

/// Returns another job that runs a step in this workspace. Two plans exclude each other, too: each of them
/// locks the state, and terraform does not wait for a lock.
async fn beside(tx: &mut Transaction, job_id: i64, workspace_id: &str) -> Result<Option<i64>, StoreError> {
    query_scalar(
        "SELECT j.id FROM attempts a JOIN jobs j ON j.id = a.job_id
         WHERE j.workspace_id = $1 AND j.id <> $2 AND a.phase <> $3 ORDER BY j.id LIMIT 1",
    )
    .bind(workspace_id)
    .bind(job_id)
    .bind(AttemptPhase::Ended.as_str())
    .fetch_optional(&mut **tx)
    .await
    .context("look for another step in the workspace")
}

/// Reads who holds a workspace. It is free for a job when no job holds it and no earlier job waits for it. A
/// job that only plans may start beside one that waits for an approval, or that it rechecks, unless another
/// plan runs there, which holds the lock of the state.
pub(super) async fn read_hold(
    tx: &mut Transaction,
    job_id: i64,
    workspace_id: &str,
) -> Result<WorkspaceHold, StoreError> {
    let holder: Option<(i64, String)> = query_as(
        "SELECT j.id, j.status FROM workspaces w JOIN jobs j ON j.id = w.locked_by_job WHERE w.id = $1",
    )
    .bind(workspace_id)
    .fetch_optional(&mut **tx)
    .await
    .context("read the lock of a workspace")?;
    let Some(holder) = holder else {
        let earlier = first_job(tx, job_id, workspace_id, true).await?;
        return Ok(earlier.map_or(WorkspaceHold::Free, WorkspaceHold::Other));
    };
    let holder = blocker(holder)?;
    if holder.job == job_id {
        return Ok(WorkspaceHold::This);
    }
    if !may_run_beside(tx, job_id, holder).await? {
        return Ok(WorkspaceHold::Other(holder));
    }
    let running = first_job(tx, holder.job, workspace_id, false).await?;
    Ok(running.filter(|other| other.job != job_id).map_or(WorkspaceHold::Beside, WorkspaceHold::Other))
}

/// Returns whether a job has nothing but plan steps and its workspace is held by a job at rest.
async fn may_run_beside(tx: &mut Transaction, job_id: i64, holder: Blocker) -> Result<bool, StoreError> {
    let (recheck_of, only_plans): (Option<i64>, bool) = query_as(AssertSqlSafe(format!(
        "SELECT recheck_of, NOT EXISTS (SELECT 1 FROM steps WHERE job_id = $1 AND type NOT IN {})
         FROM jobs WHERE id = $1",
        sql_list(step_types(StepType::is_plan))
    )))
    .bind(job_id)
    .fetch_one(&mut **tx)
    .await
    .context("read the steps of a job")?;
    Ok(only_plans
        && match holder.status {
            JobStatus::WaitingApproval => true,
            JobStatus::Unknown => recheck_of == Some(holder.job),
            _ => false,
        })
}

/// Returns the first open job of a workspace: before a job, or any that has started other than that job.
async fn first_job(
    tx: &mut Transaction,
    job_id: i64,
    workspace_id: &str,
    before: bool,
) -> Result<Option<Blocker>, StoreError> {
    let condition = if before {
        format!("id < $2 AND status IN {}", open_statuses())
    } else {
        format!("id <> $2 AND status IN {}", started_statuses())
    };
    let found: Option<(i64, String)> = query_as(AssertSqlSafe(format!(
        "SELECT id, status FROM jobs WHERE workspace_id = $1 AND {condition} ORDER BY id LIMIT 1"
    )))
    .bind(workspace_id)
    .bind(job_id)
    .fetch_optional(&mut **tx)
    .await
    .context("look for other jobs of a workspace")?;
    found.map(blocker).transpose()
}

fn blocker((job, status): (i64, String)) -> Result<Blocker, StoreError> {
    Ok(Blocker { job, status: JobStatus::parse(&status).map_err(StoreError::Corrupt)? })
}
