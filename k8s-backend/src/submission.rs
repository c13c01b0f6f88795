//! The argument of [`submit`](crate::JobBackend::submit): a Job, and the Secret that belongs to it alone.
//!
//! Pure data and its rules. How a Secret is created, kept and deleted is up to each backend.

use std::{collections::BTreeSet, fmt};

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{PodSpec, Secret},
};

use crate::identity;

/// A Job and, where its container needs one, a Secret that is created and deleted with it.
///
/// # Examples
/// ```
/// use k8s_backend::Submission;
/// use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
///
/// let alone = Submission::from(Job::default());
/// assert!(alone.secret.is_none());
/// let with_secret = Submission::new(Job::default()).with_secret(Secret::default());
/// assert_eq!(with_secret, (Job::default(), Some(Secret::default())).into());
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Submission {
    /// The Job.
    pub job: Job,
    /// The Secret that the Job owns. `metadata.name` is required and by convention that of the Job;
    /// `metadata.namespace` is either not set or that of the Job. The Job refers to it by name, as to any
    /// other Secret.
    pub secret: Option<Secret>,
}

impl From<Job> for Submission {
    fn from(job: Job) -> Self {
        Self::new(job)
    }
}

impl From<(Job, Option<Secret>)> for Submission {
    fn from((job, secret): (Job, Option<Secret>)) -> Self {
        Self { job, secret }
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment of a Job may contain secrets, too.
        let secret = self.secret.as_ref().map(|secret| &secret.metadata.name);
        f.debug_struct("Submission")
            .field("job", &self.job.metadata.name)
            .field("secret", &secret)
            .finish_non_exhaustive()
    }
}

impl Submission {
    /// Creates a submission of a Job alone.
    #[must_use]
    pub const fn new(job: Job) -> Self {
        Self { job, secret: None }
    }

    /// Adds the Secret that belongs to the Job.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Returns `metadata.name` of the Job, or an empty text.
    #[must_use]
    pub fn name(&self) -> &str {
        self.job.metadata.name.as_deref().unwrap_or_default()
    }

    /// Returns everything that is wrong with the Secret, as far as every backend agrees.
    pub(crate) fn secret_problems(&self) -> Vec<String> {
        let Some(secret) = &self.secret else { return Vec::new() };
        let mut problems = Vec::new();
        match secret.metadata.name.as_deref().filter(|name| !name.is_empty()) {
            None => problems.push("metadata.name of the Secret is not set".to_owned()),
            Some(name) if !identity::is_dns_subdomain(name) => problems.push(format!(
                "metadata.name {name:?} of the Secret is not a DNS subdomain, \
                 expected DNS labels separated by dots"
            )),
            Some(_) => {}
        }
        let found = secret.metadata.namespace.as_deref();
        let of_job = self.job.metadata.namespace.as_deref();
        if found.is_some() && found != of_job {
            let (found, of_job) = (found.unwrap_or_default(), of_job.unwrap_or_default());
            problems.push(format!(
                "metadata.namespace of the Secret is {found:?}, expected that of its Job ({of_job:?}) or none"
            ));
        }
        problems
    }
}

/// Returns the names of the Secrets that a pod reads: environment and volumes of all its containers.
pub(crate) fn secrets_read_by(pod: &PodSpec) -> BTreeSet<&str> {
    let from_volumes = pod.volumes.iter().flatten().flat_map(|volume| {
        let whole = volume.secret.as_ref().and_then(|secret| secret.secret_name.as_deref());
        let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        whole.into_iter().chain(projected.filter_map(|source| Some(source.secret.as_ref()?.name.as_str())))
    });
    let containers = pod.init_containers.iter().flatten().chain(&pod.containers);
    let from_environment = containers.flat_map(|container| {
        let all = container
            .env_from
            .iter()
            .flatten()
            .filter_map(|from| Some(from.secret_ref.as_ref()?.name.as_str()));
        let one = container.env.iter().flatten().filter_map(|variable| {
            let reference = variable.value_from.as_ref()?.secret_key_ref.as_ref()?;
            Some(reference.name.as_str())
        });
        all.chain(one)
    });
    from_volumes.chain(from_environment).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn submission(job: &serde_json::Value, secret: &serde_json::Value) -> Submission {
        Submission {
            job: serde_json::from_value(json!({"metadata": job})).unwrap(),
            secret: Some(serde_json::from_value(secret.clone()).unwrap()),
        }
    }

    #[test]
    fn secret_needs_a_name_and_the_namespace_of_its_job() {
        let (plain, placed) = (json!({"name": "job-1"}), json!({"name": "job-1", "namespace": "terrakube"}));
        for (job, secret, expected) in [
            (&plain, json!({"name": "job-1"}), ""),
            (&placed, json!({"name": "job-1"}), ""),
            (&placed, json!({"name": "a.b", "namespace": "terrakube"}), ""),
            (&plain, json!({}), "metadata.name of the Secret is not set"),
            (
                &plain,
                json!({"name": "../x"}),
                "metadata.name \"../x\" of the Secret is not a DNS subdomain, \
                 expected DNS labels separated by dots",
            ),
            (
                &placed,
                json!({"name": "job-1", "namespace": "default"}),
                "metadata.namespace of the Secret is \"default\", \
                 expected that of its Job (\"terrakube\") or none",
            ),
            (
                &plain,
                json!({"name": "job-1", "namespace": "default"}),
                "metadata.namespace of the Secret is \"default\", expected that of its Job (\"\") or none",
            ),
        ] {
            let found = submission(job, &json!({"metadata": secret})).secret_problems();
            assert_eq!(found.join("; "), expected);
        }
    }

    #[test]
    fn finds_secrets_of_all_containers_and_volumes() {
        let pod = json!({
            "initContainers": [{"name": "init", "envFrom": [{"secretRef": {"name": "a"}}]}],
            "containers": [{"name": "main", "env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "b", "key": "t"}}}]}],
            "volumes": [{"name": "v", "secret": {"secretName": "c"}},
                {"name": "p", "projected": {"sources": [{"secret": {"name": "d"}}]}}, {"name": "e", "emptyDir": {}}],
        });
        let pod: PodSpec = serde_json::from_value(pod).unwrap();
        assert_eq!(secrets_read_by(&pod), ["a", "b", "c", "d"].into());
    }

    #[test]
    fn debug_output_contains_no_data() {
        let secret = json!({"metadata": {"name": "job-1"}, "stringData": {"token": "s3cr3t"},
            "data": {"other": "czNjcjN0"}});
        let mut submission = submission(&json!({"name": "job-1"}), &secret);
        submission.job.spec = serde_json::from_value(json!({"template": {"spec": {"containers": [
            {"name": "executor", "env": [{"name": "T", "value": "s3cr3t"}]}]}}}))
        .unwrap();
        let text = format!("{submission:?}");
        assert!(text.contains("job-1") && !text.contains("s3cr3t") && !text.contains("token"), "{text}");
        assert!(!text.contains("115"), "no bytes either: {text}");
    }
}
