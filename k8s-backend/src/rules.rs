//! Rules that a program adds to those of Kubernetes.
//!
//! Without any, every backend accepts every valid Job. A program that relies on certain labels or on an
//! annotation of its own switches the rules on in the options of its backend; a Job that breaks one is
//! refused before anything is created.

use k8s_openapi::api::{batch::v1::Job, core::v1::PodSpec};

use crate::{
    identity::{self, InvalidJob, content_hash},
    submission::{Submission, secrets_read_by},
};

/// Annotation that identifies a Job, unless [`JobRules::identity_annotation`] names another one.
///
/// A Job without it is identified by a hash over its whole content, which the Kubernetes backend stores in
/// this annotation.
pub const IDENTITY_ANNOTATION: &str = "k8s-backend/identity";

/// Rules of a program for its Jobs, beyond those of Kubernetes.
///
/// # Examples
/// ```
/// use k8s_backend::JobRules;
///
/// let rules = JobRules::new()
///     .identity_annotation("example.com/spec-hash")
///     .require_identity()
///     .require_labels(["example.com/tenant"]);
/// assert_eq!(rules.identity_annotation, "example.com/spec-hash");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobRules {
    /// Key of the annotation that identifies a Job: two Jobs of one name are the same Job if its values are
    /// equal.
    pub identity_annotation: String,
    /// Whether a Job without that annotation is refused.
    pub identity_required: bool,
    /// Keys of labels that both the Job and its pod template must have.
    pub required_labels: Vec<String>,
    /// Whether a pod with more than one container is refused.
    pub single_container: bool,
    /// Whether a [`Secret`](Submission::secret) that the pod does not read is refused.
    pub secret_must_be_read: bool,
}

impl Default for JobRules {
    fn default() -> Self {
        Self {
            identity_annotation: IDENTITY_ANNOTATION.to_owned(),
            identity_required: false,
            required_labels: Vec::new(),
            single_container: false,
            secret_must_be_read: false,
        }
    }
}

impl JobRules {
    /// Returns rules that accept every valid Job.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the key of the annotation that identifies a Job.
    #[must_use]
    pub fn identity_annotation(mut self, key: impl Into<String>) -> Self {
        self.identity_annotation = key.into();
        self
    }

    /// Refuses Jobs without the annotation that identifies them.
    #[must_use]
    pub fn require_identity(mut self) -> Self {
        self.identity_required = true;
        self
    }

    /// Refuses Jobs that lack one of these labels on themselves or on their pod template.
    #[must_use]
    pub fn require_labels<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.required_labels.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Refuses pods with more than one container.
    #[must_use]
    pub fn require_single_container(mut self) -> Self {
        self.single_container = true;
        self
    }

    /// Refuses a submitted Secret that the pod does not read.
    #[must_use]
    pub fn require_secret_use(mut self) -> Self {
        self.secret_must_be_read = true;
        self
    }

    /// Returns the value of the identity annotation of a Job.
    #[must_use]
    pub fn annotated_identity<'a>(&self, job: &'a Job) -> Option<&'a str> {
        let value = job.metadata.annotations.as_ref()?.get(&self.identity_annotation)?;
        (!value.is_empty()).then_some(value)
    }

    /// Returns the identity of a Job: the annotation, or a hash over its whole content.
    #[must_use]
    pub fn identity(&self, job: &Job) -> String {
        self.annotated_identity(job).map_or_else(|| content_hash(job), str::to_owned)
    }

    /// Checks a submission as far as that does not depend on the backend. For authors of backends: those of
    /// this crate call it in [`submit`](crate::JobBackend::submit).
    ///
    /// # Errors
    /// Every problem of the Job and its Secret.
    pub fn check(&self, submission: &Submission) -> Result<(), InvalidJob> {
        let problems = self.problems(submission);
        if problems.is_empty() { Ok(()) } else { Err(InvalidJob::new(problems)) }
    }

    /// Returns every problem of a submission.
    pub(crate) fn problems(&self, submission: &Submission) -> Vec<String> {
        let job = &submission.job;
        let mut problems: Vec<_> = identity::name_of(job).err().into_iter().collect();
        problems.extend(submission.secret_problems());
        let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        match pod.map_or(0, |pod| pod.containers.len()) {
            0 => problems.push("spec.template.spec.containers is empty".to_owned()),
            1 => {}
            count if self.single_container => problems
                .push(format!("spec.template.spec.containers has {count} containers, expected exactly one")),
            _ => {}
        }
        self.check_labels(job, &mut problems);
        if self.identity_required && self.annotated_identity(job).is_none() {
            problems.push(format!("metadata.annotations has no {:?}", self.identity_annotation));
        }
        problems.extend(self.secret_use_problem(submission, pod));
        problems
    }

    fn check_labels(&self, job: &Job, problems: &mut Vec<String>) {
        let template = job.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
        let places = [
            ("metadata", job.metadata.labels.as_ref()),
            ("spec.template.metadata", template.and_then(|metadata| metadata.labels.as_ref())),
        ];
        for (place, labels) in places {
            for key in &self.required_labels {
                if !labels.is_some_and(|labels| labels.contains_key(key)) {
                    problems.push(format!("{place}.labels has no {key:?}"));
                }
            }
        }
    }

    fn secret_use_problem(&self, submission: &Submission, pod: Option<&PodSpec>) -> Option<String> {
        let secret = submission.secret.as_ref()?.metadata.name.as_deref()?;
        let is_read = pod.is_some_and(|pod| secrets_read_by(pod).contains(secret));
        (self.secret_must_be_read && !is_read)
            .then(|| format!("the pod does not read the Secret {secret:?} that was submitted with it"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn submission(job: &serde_json::Value) -> Submission {
        serde_json::from_value::<Job>(job.clone()).unwrap().into()
    }

    #[test]
    fn accepts_valid_job_of_any_program_by_default() {
        let job = submission(&json!({"metadata": {"name": "nightly.report"}, "spec": {"template": {"spec": {
            "restartPolicy": "OnFailure", "initContainers": [{"name": "init"}],
            "containers": [{"name": "report"}, {"name": "log-shipper"}]}}}}));
        assert_eq!(JobRules::new().problems(&job), [""; 0]);
    }

    #[test]
    fn reports_every_broken_rule() {
        let rules = JobRules::new()
            .identity_annotation("example.com/hash")
            .require_identity()
            .require_labels(["tenant"])
            .require_single_container()
            .require_secret_use();
        let mut job = submission(&json!({"metadata": {"name": "Job"}, "spec": {"template": {
            "metadata": {"labels": {"tenant": "a"}}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}}}}));
        job.secret = Some(serde_json::from_value(json!({"metadata": {"name": "unread"}})).unwrap());
        let problems = rules.problems(&job).join("\n");
        for part in [
            "metadata.name \"Job\"",
            "has 2 containers, expected exactly one",
            "metadata.labels has no \"tenant\"",
            "metadata.annotations has no \"example.com/hash\"",
            "does not read the Secret \"unread\"",
        ] {
            assert!(problems.contains(part), "{part:?} in {problems}");
        }
        assert!(!problems.contains("template.metadata.labels"), "{problems}");
    }

    #[test]
    fn identifies_job_by_annotation_or_by_content() {
        let plain = submission(&json!({"metadata": {"name": "job-1"}})).job;
        let rules = JobRules::new();
        assert_eq!(rules.identity(&plain), rules.identity(&plain.clone()));
        assert_ne!(
            rules.identity(&plain),
            rules.identity(&submission(&json!({"metadata": {"name": "job-2"}})).job)
        );
        let mut annotated = plain;
        annotated.metadata.annotations =
            Some([(IDENTITY_ANNOTATION, "abc"), ("hash", "def")].map(|(k, v)| (k.into(), v.into())).into());
        assert_eq!(rules.identity(&annotated), "abc");
        assert_eq!(rules.identity_annotation("hash").identity(&annotated), "def");
    }
}
