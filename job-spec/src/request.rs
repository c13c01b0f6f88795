//! What a caller asks for: one attempt at one step.
//!
//! Raw input; [`validate`](crate::validate()) decides whether a Job can be made of it.

use std::fmt;

use config_core::{EphemeralSettings, Rules, WorkspaceOverrides};

use crate::{EphemeralJobData, names::JobName};

/// Which attempt at which step; it names the Kubernetes Job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    /// Id of the organization; must be fit for a label.
    pub organization_id: String,
    /// Id of the workspace; must be fit for a label.
    pub workspace_id: String,
    /// Id of the job.
    pub job_id: u64,
    /// Number of the step in its job.
    pub step_number: u32,
    /// Number of the attempt at the step.
    pub attempt: u32,
}

impl AttemptKey {
    /// Returns the name of the attempt's Kubernetes Job.
    #[must_use]
    pub fn job_name(&self) -> JobName {
        JobName::of_attempt(self.job_id, self.step_number, self.attempt)
    }
}

/// How an executor reaches the api-server; `Debug` does not show the token.
#[derive(Clone, PartialEq, Eq)]
pub struct AttemptAccess {
    /// Address of the attempt, `http://` or `https://`, without a slash at the end.
    pub url: String,
    /// The attempt's token.
    pub token: String,
}

impl fmt::Debug for AttemptAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, token: _ } = self;
        f.debug_struct("AttemptAccess").field("url", url).field("token", &format_args!("…")).finish()
    }
}

/// Everything that a Kubernetes Job is made from.
#[derive(Debug, Clone)]
pub struct JobRequest<'a> {
    /// Which attempt.
    pub key: AttemptKey,
    /// Settings of the platform.
    pub settings: &'a EphemeralSettings,
    /// What the workspace changes.
    pub overrides: &'a WorkspaceOverrides,
    /// What the operator permits the workspace. Here it is held against the Job; the variables from which the overrides were
    /// read are judged before, by [`Rules::check`].
    pub rules: &'a Rules,
    /// The input of the executor.
    pub payload: &'a EphemeralJobData,
    /// How the executor reaches the api-server; `None` for a stock executor, which knows from its Secret.
    pub access: Option<AttemptAccess>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_where_to_go_and_no_token() {
        let access = AttemptAccess { url: "https://a".to_owned(), token: "hunter2".to_owned() };
        assert_eq!(format!("{access:?}"), r#"AttemptAccess { url: "https://a", token: … }"#);
    }
}
