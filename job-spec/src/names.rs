//! Names of Kubernetes objects as types: a value that exists satisfies its rule.
//!
//! All but the name of a Job are those of [`config_core::names`]. Whether an object of that name exists, only
//! a cluster knows.

use std::fmt;

use config_core::kubernetes::Rule;
pub use config_core::names::{
    AnnotationKey, ClaimName, ConfigMapName, Image, LabelKey, LabelValue, MountPath, NameError, Namespace,
    PriorityClassName, RuntimeClassName, SecretName, ServiceAccountName,
};

/// Name of a Job. Kubernetes accepts 253 characters, but the name becomes a label value of the pods and the
/// start of their names, so a Job whose name has more than 63 characters creates no pod:
/// <https://kubernetes.io/docs/concepts/workloads/controllers/job/#writing-a-job-spec>.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(String);

impl JobName {
    /// The rule that every value satisfies.
    pub const RULE: Rule = Rule::DnsLabel;

    /// Checks a text.
    ///
    /// # Errors
    /// [`NameError`] with the text and the rule that it breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if Self::RULE.holds(&text) {
            Ok(Self(text))
        } else {
            Err(NameError { found: text, rule: Self::RULE })
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<JobName> for String {
    fn from(name: JobName) -> Self {
        name.0
    }
}

/// Returns the folders of a path, ignoring repeated slashes.
pub(crate) fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

impl JobName {
    /// Returns whether a name has the form of the name of an attempt's Job, which its Secret has too.
    ///
    /// ```
    /// use job_spec::names::JobName;
    /// assert!(JobName::is_of_attempt("job-42-100-1"));
    /// assert!(!JobName::is_of_attempt("job-42-100"));
    /// ```
    #[must_use]
    pub fn is_of_attempt(name: &str) -> bool {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        name.strip_prefix("job-")
            .is_some_and(|rest| rest.split('-').count() == 3 && rest.split('-').all(is_number))
    }

    /// Creates the name of an attempt's Job: `job-<job id>-<step number>-<attempt>`.
    ///
    /// There is one name per attempt, so no Job is ever deleted to make room for another.
    #[must_use]
    pub fn of_attempt(job_id: u64, step_number: u32, attempt: u32) -> Self {
        // 4 + 20 + 1 + 10 + 1 + 10 characters at the most, so the rule always holds.
        Self(format!("job-{job_id}-{step_number}-{attempt}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_job_name_is_valid() {
        for name in [JobName::of_attempt(0, 0, 0), JobName::of_attempt(u64::MAX, u32::MAX, u32::MAX)] {
            assert_eq!(JobName::new(name.as_str()), Ok(name));
        }
    }

    #[test]
    fn recognizes_names_of_attempts() {
        for name in ["job-1-100-3", "job-0-0-0"] {
            assert!(JobName::is_of_attempt(name), "{name}");
        }
        for name in
            ["job-1-100", "job-1-100-3-4", "job-1--3", "job-1-x-3", "job-1-100-", "jobs-1-100-3", "1-100-3"]
        {
            assert!(!JobName::is_of_attempt(name), "{name}");
        }
    }

    #[test]
    fn invalid_name_is_reported_with_its_rule() {
        assert_eq!(
            Namespace::new("Terra_Kube").unwrap_err().to_string(),
            "found \"Terra_Kube\", expected a DNS label: 1 to 63 lower-case letters, digits and `-`, with a \
             letter or digit at both ends"
        );
    }
}
