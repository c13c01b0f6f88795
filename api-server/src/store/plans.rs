//! Plan files: which one a step applies, and whether it still may.
//!
//! A plan is identified by its digest, and by the version of the state that its step read last. An apply is
//! refused when another plan was approved, or when the state is another one by now.

use job_spec::{StepType, attempt_api::PlannedChange};
use sqlx::AssertSqlSafe;

use super::{
    ResultExt as _, Store, StoreError,
    db::{Transaction, query, query_as, query_scalar},
    rows::sql_list,
};
use crate::{
    blobs::StoredBlob,
    model::{AttemptStatus, StepStatus},
};

/// The plan file of an attempt.
#[derive(Debug, Clone)]
pub struct StoredPlan {
    /// Name of its blob.
    pub blob: String,
    digest: Option<String>,
    state: Option<i64>,
    serial: Option<i64>,
    lineage: Option<String>,
    bundle_digest: Option<String>,
    /// Name of the blob of its bundle.
    pub bundle_blob: Option<String>,
}
from_row!(StoredPlan { blob, digest, state, serial, lineage, bundle_digest, bundle_blob });

impl StoredPlan {
    /// Returns what an executor needs to know about the plan; `None` for a plan of an earlier release, which
    /// has no digest.
    #[must_use]
    pub fn into_change(self) -> Option<PlannedChange> {
        let (state_serial, state_lineage, bundle) = (self.serial, self.lineage, self.bundle_digest);
        self.digest.map(|digest| PlannedChange { digest, state_serial, state_lineage, bundle })
    }
}

impl Store {
    /// Records that the attempt's plan file is stored, in place of an earlier one. Returns `false` if the
    /// attempt may not write any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn plan_stored(&self, attempt_id: &str, plan: &StoredBlob) -> Result<bool, StoreError> {
        let done = query(
            "UPDATE attempts SET has_plan = TRUE, plan_digest = $1, plan_blob = $2
             WHERE id = $3 AND live AND claimed_at IS NOT NULL AND result IS NULL",
        )
        .bind(&plan.digest)
        .bind(&plan.name)
        .bind(attempt_id)
        .execute(&self.pool)
        .await
        .context("record a plan file")?;
        Ok(done.rows_affected() == 1)
    }

    /// Returns whether a job has a plan step before the step with this number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn has_plan_step(&self, job_id: i64, before_step: u32) -> Result<bool, StoreError> {
        let plans = StepType::ALL.into_iter().filter(|step_type| step_type.is_plan()).map(StepType::as_str);
        query_scalar(AssertSqlSafe(format!(
            "SELECT EXISTS (SELECT 1 FROM steps WHERE job_id = $1 AND number < $2 AND type IN {})",
            sql_list(plans)
        )))
        .bind(job_id)
        .bind(before_step)
        .fetch_one(&self.pool)
        .await
        .context("look for the plan step of a job")
    }

    /// Returns the plan file that a step uses: that of the last completed plan step before it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn plan_before(&self, job_id: i64, before_step: u32) -> Result<Option<StoredPlan>, StoreError> {
        let mut tx = self.pool.begin().await.context("look for the plan of a job")?;
        plan_before(&mut tx, job_id, before_step).await
    }
}

async fn plan_before(
    tx: &mut Transaction,
    job_id: i64,
    before_step: u32,
) -> Result<Option<StoredPlan>, StoreError> {
    query_as(
        "SELECT coalesce(a.plan_blob, 'plans/' || a.id) AS blob, a.plan_digest AS digest,
                a.read_state AS state, a.read_serial AS serial, a.read_lineage AS lineage,
                a.bundle_digest, a.bundle_blob
         FROM attempts a JOIN steps s ON s.id = a.step_id
         WHERE s.job_id = $1 AND s.number < $2 AND s.status = $3 AND a.has_plan AND a.status = $4
         ORDER BY s.number DESC, a.number DESC LIMIT 1",
    )
    .bind(job_id)
    .bind(before_step)
    .bind(StepStatus::Completed.as_str())
    .bind(AttemptStatus::Completed.as_str())
    .fetch_optional(&mut **tx)
    .await
    .context("look for the plan of a job")
}

/// Returns why an attempt may not apply its plan: another one was approved, or the state has changed since.
pub(super) async fn refusal(tx: &mut Transaction, attempt_id: &str) -> Result<Option<String>, StoreError> {
    let (job_id, workspace_id, number, step_type): (i64, String, u32, String) = query_as(
        "SELECT a.job_id, j.workspace_id, s.number, s.type
         FROM attempts a JOIN jobs j ON j.id = a.job_id JOIN steps s ON s.id = a.step_id WHERE a.id = $1",
    )
    .bind(attempt_id)
    .fetch_one(&mut **tx)
    .await
    .context("read the step of an attempt")?;
    if step_type != StepType::TerraformApply.as_str() {
        return Ok(None);
    }
    let Some(plan) = plan_before(tx, job_id, number).await? else { return Ok(None) };
    if let Some(approved) = approved(tx, job_id, number).await?
        && let Some(refusal) = not_approved(&plan, &approved)
    {
        return Ok(Some(refusal));
    }
    let current: Option<(i64, i64, String)> =
        query_as("SELECT id, serial, lineage FROM states WHERE workspace_id = $1 ORDER BY id DESC LIMIT 1")
            .bind(workspace_id)
            .fetch_optional(&mut **tx)
            .await
            .context("look up a state")?;
    Ok(moved(&plan, current.unwrap_or_default()))
}

/// What an approval is about.
struct Approved {
    digest: String,
    bundle: Option<String>,
}
from_row!(Approved { digest, bundle });

/// Compares a plan and its bundle with what was approved.
fn not_approved(plan: &StoredPlan, approved: &Approved) -> Option<String> {
    let differs = |what: &str, found: Option<&String>, approved: &str| {
        let found = found.map_or("unknown", String::as_str);
        format!(
            "the {what} of this job has digest {found}, but digest {approved} was approved; nothing was \
             applied, run the job again"
        )
    };
    if plan.digest.as_ref() != Some(&approved.digest) {
        return Some(differs("plan", plan.digest.as_ref(), &approved.digest));
    }
    (plan.bundle_digest != approved.bundle).then(|| {
        let approved = approved.bundle.as_deref().unwrap_or("unknown");
        differs("bundle of the plan", plan.bundle_digest.as_ref(), approved)
    })
}

/// Returns what the last approval before a step approved.
async fn approved(
    tx: &mut Transaction,
    job_id: i64,
    before_step: u32,
) -> Result<Option<Approved>, StoreError> {
    query_as(
        "SELECT approved_digest AS digest, approved_bundle AS bundle FROM steps
         WHERE job_id = $1 AND number < $2 AND approved_digest IS NOT NULL ORDER BY number DESC LIMIT 1",
    )
    .bind(job_id)
    .bind(before_step)
    .fetch_optional(&mut **tx)
    .await
    .context("read the approval of a plan")
}

/// Compares the version of the state that a plan was made from with the current one, `(id, serial, lineage)`.
/// A workspace without a state counts as serial 0 without lineage; a plan that read no state keeps its state
/// elsewhere.
fn moved(plan: &StoredPlan, (current, serial, lineage): (i64, i64, String)) -> Option<String> {
    let StoredPlan { state: Some(state), serial: Some(planned), lineage: Some(planned_lineage), .. } = plan
    else {
        return None;
    };
    if *state == current {
        return None;
    }
    let detail = if *planned_lineage != lineage {
        format!(", and lineage {lineage:?} instead of {planned_lineage:?}")
    } else if *planned == serial {
        ", with other content".to_owned()
    } else {
        String::new()
    };
    Some(format!(
        "the state has changed since the plan: it has serial {serial}, the plan was made from serial \
         {planned}{detail}; nothing was applied, run the job again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_is_refused_when_its_bundle_is_not_the_approved_one() {
        let plan = |bundle: Option<&str>| StoredPlan {
            blob: "plans/a".to_owned(),
            digest: Some("d".to_owned()),
            state: None,
            serial: None,
            lineage: None,
            bundle_digest: bundle.map(str::to_owned),
            bundle_blob: None,
        };
        let approved = |digest: &str, bundle: Option<&str>| Approved {
            digest: digest.to_owned(),
            bundle: bundle.map(str::to_owned),
        };
        assert_eq!(not_approved(&plan(Some("b")), &approved("d", Some("b"))), None);
        assert_eq!(not_approved(&plan(None), &approved("d", None)), None);
        for (found, expected, text) in [
            (
                Some("c"),
                approved("d", Some("b")),
                "the bundle of the plan of this job has digest c, but digest b",
            ),
            (None, approved("d", Some("b")), "has digest unknown, but digest b was approved"),
            (Some("c"), approved("d", None), "has digest c, but digest unknown was approved"),
            (Some("b"), approved("e", Some("b")), "the plan of this job has digest d, but digest e"),
        ] {
            let refusal = not_approved(&plan(found), &expected).unwrap();
            assert!(refusal.contains(text), "{refusal}");
        }
    }

    #[test]
    fn plan_is_refused_when_the_state_is_another_version() {
        let plan = |state, serial, lineage: Option<&str>| StoredPlan {
            blob: "plans/a".to_owned(),
            digest: Some("d".to_owned()),
            state,
            serial,
            lineage: lineage.map(str::to_owned),
            bundle_digest: None,
            bundle_blob: None,
        };
        let state = |id, serial, lineage: &str| (id, serial, lineage.to_owned());
        assert_eq!(moved(&plan(Some(9), Some(3), Some("l")), state(9, 3, "l")), None);
        assert_eq!(moved(&plan(Some(0), Some(0), Some("")), (0, 0, String::new())), None, "no state at all");
        assert_eq!(moved(&plan(None, None, None), state(9, 3, "l")), None, "the plan read no state of ours");
        assert_eq!(
            moved(&plan(Some(9), Some(3), Some("l")), state(10, 4, "l")).unwrap(),
            "the state has changed since the plan: it has serial 4, the plan was made from serial 3; nothing \
             was applied, run the job again"
        );
        let other = moved(&plan(Some(0), Some(0), Some("")), state(10, 4, "l")).unwrap();
        assert!(
            other.contains(r#"serial 4, the plan was made from serial 0, and lineage "l" instead of """#)
        );
        let same = moved(&plan(Some(9), Some(3), Some("l")), state(10, 3, "l")).unwrap();
        assert!(same.contains("made from serial 3, with other content"), "{same}");
    }
}
