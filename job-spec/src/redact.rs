//! Copies of Kubernetes Jobs without secrets.

use config_core::keys;
use k8s_openapi::api::{batch::v1::Job, core::v1::Container};

use crate::attempt_api::ATTEMPT_URL_ENV;

/// Environment variables whose values are never secret; those of a workspace may be.
const PLAIN_ENV: [&str; 2] = [keys::EPHEMERAL_FLAG_BATCH, ATTEMPT_URL_ENV];

/// Returns the same Job with every value that may be secret (the payload, the attempt's token, environment
/// variables of the workspace) replaced by its length, in all containers.
///
/// Works on any Job, including one that was read from a cluster.
#[must_use]
pub fn redacted(job: &Job) -> Job {
    let mut copy = job.clone();
    if let Some(pod) = copy.spec.as_mut().and_then(|spec| spec.template.spec.as_mut()) {
        for container in pod.containers.iter_mut().chain(pod.init_containers.iter_mut().flatten()) {
            redact(container);
        }
    }
    copy
}

fn redact(container: &mut Container) {
    for entry in container.env.iter_mut().flatten() {
        if let Some(value) = entry.value.as_mut().filter(|_| !PLAIN_ENV.contains(&entry.name.as_str())) {
            *value = format!("<redacted: {} bytes>", value.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        api::{
            batch::v1::JobSpec,
            core::v1::{EnvVar, PodSpec, PodTemplateSpec},
        },
        apimachinery::pkg::apis::meta::v1::ObjectMeta,
    };

    use super::*;

    fn container(env: &[(&str, &str)]) -> Container {
        Container {
            env: Some(
                env.iter()
                    .map(|(name, value)| EnvVar {
                        name: (*name).to_owned(),
                        value: Some((*value).to_owned()),
                        value_from: None,
                    })
                    .collect(),
            ),
            ..Container::default()
        }
    }

    #[test]
    fn replaces_secrets_in_every_container_by_their_length() {
        let job = Job {
            metadata: ObjectMeta { name: Some("job-1-2-3".to_owned()), ..ObjectMeta::default() },
            spec: Some(JobSpec {
                template: PodTemplateSpec {
                    spec: Some(PodSpec {
                        containers: vec![container(&[
                            ("EphemeralJobData", "c2VjcmV0"),
                            ("EphemeralFlagBatch", "kept"),
                            ("OTHER", "correct horse"),
                        ])],
                        init_containers: Some(vec![container(&[("EphemeralAttemptToken", "hunter2")])]),
                        ..PodSpec::default()
                    }),
                    ..PodTemplateSpec::default()
                },
                ..JobSpec::default()
            }),
            status: None,
        };
        let shown = redacted(&job);
        let text = serde_json::to_string(&shown).unwrap();
        assert!(!text.contains("c2VjcmV0") && !text.contains("hunter2") && !text.contains("horse"), "{text}");
        assert!(text.contains("<redacted: 8 bytes>") && text.contains("<redacted: 7 bytes>"), "{text}");
        assert!(text.contains("kept") && text.contains("job-1-2-3"), "{text}");
    }

    #[test]
    fn returns_job_without_pod_unchanged() {
        assert_eq!(redacted(&Job::default()), Job::default());
    }
}
