//! Labels and annotations of the Kubernetes Jobs of attempts, and label selectors for them.
//!
//! The Job and its pod have the same labels, so that each is found by organization, workspace, job,
//! step or attempt.

use std::collections::BTreeMap;

use crate::AttemptKey;

/// Label: id of the organization.
pub const ORGANIZATION_ID: &str = "organizationId";
/// Label: id of the workspace.
pub const WORKSPACE_ID: &str = "workspaceId";
/// Label: id of the job.
pub const JOB_ID: &str = "jobId";
/// Label: number of the step in its job.
pub const STEP_NUMBER: &str = "stepNumber";
/// Label: number of the attempt at the step.
pub const ATTEMPT: &str = "attempt";

/// Label: the program that created the object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`].
pub const MANAGED_BY_VALUE: &str = "ephemeral-agents";

/// Prefix of the keys of our own labels and annotations, which workspaces cannot set.
pub const OWN_PREFIX: &str = "ephemeral-agents.dev/";
/// Annotation: SHA-256 of the Job's `spec` (and of the Secret that belongs to it) as JSON, in lower-case
/// hexadecimal. Two Jobs with the same name are the same attempt if the hashes are equal.
pub const SPEC_HASH: &str = "ephemeral-agents.dev/spec-hash";

/// Prefix of the labels that the Job controller sets on pods, and the older labels without a prefix. The API
/// server refuses a Job that sets them.
const OF_JOB_CONTROLLER: [&str; 3] = ["batch.kubernetes.io/", "controller-uid", "job-name"];

/// Returns whether a workspace cannot set a label, because attempts and their pods are found by it.
///
/// ```
/// assert!(job_spec::labels::is_reserved("workspaceId"));
/// assert!(!job_spec::labels::is_reserved("team"));
/// ```
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    [ORGANIZATION_ID, WORKSPACE_ID, JOB_ID, STEP_NUMBER, ATTEMPT, MANAGED_BY].contains(&key)
        || key.starts_with(OWN_PREFIX)
        || OF_JOB_CONTROLLER.iter().any(|of_controller| {
            if of_controller.ends_with('/') { key.starts_with(of_controller) } else { key == *of_controller }
        })
}

/// Returns the label selector of the Kubernetes Jobs of all attempts.
///
/// ```
/// assert_eq!(job_spec::labels::selector(), "app.kubernetes.io/managed-by=ephemeral-agents");
/// ```
#[must_use]
pub fn selector() -> String {
    format!("{MANAGED_BY}={MANAGED_BY_VALUE}")
}

/// Returns the label selector of the Kubernetes Jobs of one job.
///
/// ```
/// assert_eq!(
///     job_spec::labels::selector_of_job(42),
///     "app.kubernetes.io/managed-by=ephemeral-agents,jobId=42"
/// );
/// ```
#[must_use]
pub fn selector_of_job(job_id: u64) -> String {
    format!("{},{JOB_ID}={job_id}", selector())
}

/// The attempt that the labels of an object name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AttemptLabels {
    /// Id of the organization.
    pub organization_id: String,
    /// Id of the workspace.
    pub workspace_id: String,
    /// Id of the job.
    pub job_id: u64,
    /// Number of the step in its job.
    pub step_number: u32,
    /// Number of the attempt at the step.
    pub attempt: u32,
}

impl From<&AttemptKey> for AttemptLabels {
    fn from(key: &AttemptKey) -> Self {
        Self {
            organization_id: key.organization.id().to_owned(),
            workspace_id: key.workspace_id.clone(),
            job_id: key.job_id,
            step_number: key.step_number,
            attempt: key.attempt,
        }
    }
}

/// Parses the labels of an object of an attempt; `None` if a label is missing or is
/// not a number where one is expected.
///
/// ```
/// use job_spec::{AttemptKey, Organization, labels};
/// let key = AttemptKey::new(Organization::new("org-1", "acme"), "dev", 42, 100, 2);
/// assert_eq!(labels::parse(&labels::of(&key)), Some((&key).into()));
/// ```
#[must_use]
pub fn parse(labels: &BTreeMap<String, String>) -> Option<AttemptLabels> {
    if labels.get(MANAGED_BY)? != MANAGED_BY_VALUE {
        return None;
    }
    Some(AttemptLabels {
        organization_id: labels.get(ORGANIZATION_ID)?.clone(),
        workspace_id: labels.get(WORKSPACE_ID)?.clone(),
        job_id: labels.get(JOB_ID)?.parse().ok()?,
        step_number: labels.get(STEP_NUMBER)?.parse().ok()?,
        attempt: labels.get(ATTEMPT)?.parse().ok()?,
    })
}

/// Returns the labels of the objects of an attempt.
#[must_use]
pub fn of(key: &AttemptKey) -> BTreeMap<String, String> {
    let AttemptKey { organization, workspace_id, job_id, step_number, attempt } = key;
    [
        (ORGANIZATION_ID, organization.id().to_owned()),
        (WORKSPACE_ID, workspace_id.clone()),
        (JOB_ID, job_id.to_string()),
        (STEP_NUMBER, step_number.to_string()),
        (ATTEMPT, attempt.to_string()),
        (MANAGED_BY, MANAGED_BY_VALUE.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}
