//! One attempt at one step: which one it is, and how its executor reaches the api-server.

use config_core::Organization;
use secrecy::{ExposeSecret as _, SecretString};

use crate::names::JobName;

/// Identifies an attempt at a step; it names the Kubernetes Job.
///
/// ```
/// use job_spec::{AttemptKey, Organization};
///
/// let organization = Organization::new("0b8a3c10-0000-4000-8000-000000000001", "acme");
/// let key = AttemptKey::new(organization, "7c1d2e5a-0000-4000-8000-000000000002", 42, 100, 1);
/// assert_eq!(key.job_name().as_str(), "job-42-100-1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttemptKey {
    pub(crate) organization: Organization,
    pub(crate) workspace_id: String,
    pub(crate) job_id: u64,
    pub(crate) step_number: u32,
    pub(crate) attempt: u32,
}

impl AttemptKey {
    /// Creates the key of an attempt: the organization, the id of the workspace, the id of the job, the
    /// number of the step in its job, and the number of the attempt at the step. The ids of organization and
    /// workspace must be valid label values.
    pub fn new(
        organization: Organization,
        workspace_id: impl Into<String>,
        job_id: u64,
        step_number: u32,
        attempt: u32,
    ) -> Self {
        Self { organization, workspace_id: workspace_id.into(), job_id, step_number, attempt }
    }

    /// Returns the organization, whose id and name select the rules of the policy.
    #[must_use]
    pub const fn organization(&self) -> &Organization {
        &self.organization
    }

    /// Returns the id of the workspace.
    #[must_use]
    pub fn workspace_id(&self) -> &str {
        &self.workspace_id
    }

    /// Returns the id of the job.
    #[must_use]
    pub const fn job_id(&self) -> u64 {
        self.job_id
    }

    /// Returns the number of the step in its job.
    #[must_use]
    pub const fn step_number(&self) -> u32 {
        self.step_number
    }

    /// Returns the number of the attempt at the step.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns the name of the attempt's Kubernetes Job.
    #[must_use]
    pub fn job_name(&self) -> JobName {
        JobName::of_attempt(self.job_id, self.step_number, self.attempt)
    }
}

/// How an executor reaches the api-server; `Debug` does not show the token.
///
/// The planner refuses a URL that does not begin with `http://` or `https://` or that ends with a slash, and
/// a token that is not printable ASCII.
#[derive(Debug, Clone)]
pub struct AttemptAccess {
    pub(crate) url: String,
    token: SecretString,
}

impl AttemptAccess {
    /// Creates the access of an attempt from its URL at the api-server and its token.
    pub fn new(url: impl Into<String>, token: impl Into<SecretString>) -> Self {
        Self { url: url.into(), token: token.into() }
    }

    /// Returns the URL of the attempt.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn expose_token(&self) -> &str {
        self.token.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_url_and_hides_token() {
        let shown = format!("{:?}", AttemptAccess::new("https://a", "hunter2"));
        assert!(shown.contains("https://a") && !shown.contains("hunter2"), "{shown}");
    }
}
