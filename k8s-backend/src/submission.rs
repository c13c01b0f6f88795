//! What is handed to a backend: a Job, and the Secret that belongs to it alone.
//!
//! Pure data and its rules. How a Secret is made, kept and removed is each backend's business.

use std::fmt;

use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};

use crate::identity;

/// A Job and, where its container needs one, a Secret that lives and goes with it.
///
/// # Examples
/// ```
/// use k8s_backend::Submission;
/// use k8s_openapi::api::batch::v1::Job;
///
/// let submission = Submission::from(Job::default());
/// assert!(submission.secret.is_none());
/// ```
#[derive(Clone, PartialEq)]
pub struct Submission {
    /// The Job.
    pub job: Job,
    /// The Secret that it owns. `metadata.name` is required and by convention that of the Job; `metadata.namespace` is
    /// left out or that of the Job. The Job refers to it by name like to any other Secret.
    pub secret: Option<Secret>,
}

impl From<Job> for Submission {
    fn from(job: Job) -> Self {
        Self { job, secret: None }
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment of a Job may hold secrets, too.
        let secret = self.secret.as_ref().map(|secret| &secret.metadata.name);
        f.debug_struct("Submission")
            .field("job", &self.job.metadata.name)
            .field("secret", &secret)
            .finish_non_exhaustive()
    }
}

impl Submission {
    /// Returns the name of the Job as it was given; empty if it has none.
    pub(crate) fn given_name(&self) -> &str {
        self.job.metadata.name.as_deref().unwrap_or_default()
    }

    /// Finds everything that is wrong with the Secret, as far as every backend agrees.
    pub(crate) fn secret_problems(&self) -> Vec<String> {
        let Some(secret) = &self.secret else { return Vec::new() };
        let mut problems = Vec::new();
        match secret.metadata.name.as_deref().filter(|name| !name.is_empty()) {
            None => problems.push("metadata.name of the Secret is not set".to_owned()),
            Some(name) if !is_secret_name(name) => problems.push(format!(
                "metadata.name {name:?} of the Secret is no DNS subdomain, expected DNS labels with dots between them"
            )),
            Some(_) => {}
        }
        let there = secret.metadata.namespace.as_deref();
        let job = self.job.metadata.namespace.as_deref();
        if there.is_some() && there != job {
            let (there, job) = (there.unwrap_or_default(), job.unwrap_or_default());
            problems.push(format!(
                "metadata.namespace of the Secret is {there:?}, expected that of its Job ({job:?}) or none"
            ));
        }
        problems
    }
}

/// Tells whether a text can be the name of a Secret: a DNS subdomain.
pub(crate) fn is_secret_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(identity::is_dns_label)
}

/// Returns the names of the Secrets that a pod reads: environment and volumes.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn secrets_read_by(pod: &k8s_openapi::api::core::v1::PodSpec) -> std::collections::BTreeSet<&str> {
    let from_volumes = pod.volumes.iter().flatten().filter_map(|volume| {
        let secret = volume.secret.as_ref()?;
        secret.secret_name.as_deref()
    });
    let from_environment = pod.containers.iter().flat_map(|container| {
        let all = container
            .env_from
            .iter()
            .flatten()
            .filter_map(|from| Some(from.secret_ref.as_ref()?.name.as_str()));
        let one = container.env.iter().flatten().filter_map(|variable| {
            let wanted = variable.value_from.as_ref()?.secret_key_ref.as_ref()?;
            Some(wanted.name.as_str())
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
    fn a_secret_needs_a_name_and_the_namespace_of_its_job() {
        let (plain, placed) = (json!({"name": "job-1"}), json!({"name": "job-1", "namespace": "terrakube"}));
        for (job, secret, expected) in [
            (&plain, json!({"name": "job-1"}), ""),
            (&placed, json!({"name": "job-1"}), ""),
            (&placed, json!({"name": "a.b", "namespace": "terrakube"}), ""),
            (&plain, json!({}), "metadata.name of the Secret is not set"),
            (
                &plain,
                json!({"name": "../x"}),
                "metadata.name \"../x\" of the Secret is no DNS subdomain, expected DNS labels with dots between them",
            ),
            (
                &placed,
                json!({"name": "job-1", "namespace": "default"}),
                "metadata.namespace of the Secret is \"default\", expected that of its Job (\"terrakube\") or none",
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
    fn the_debug_output_holds_no_data() {
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
