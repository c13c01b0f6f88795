//! Checks a request as a whole; afterwards nothing can fail.
//!
//! Settings and overrides come checked from `config-core`, but their fields are open, so what reaches the Job is parsed
//! into types once more. What only this place can see: whether the payload belongs to the attempt and fits into an
//! environment variable.

use config_core::{EphemeralSettings, Problems, WorkspaceOverrides, keys};

use crate::{
    JobPlan, JobRequest,
    names::{Image, Namespace, SecretName, ServiceAccountName},
};

mod checks;
mod volumes;

use checks::{Checks, workspace};

/// The longest string that Linux hands to a program (`MAX_ARG_STRLEN`, 32 pages of 4 KiB): name, `=`, value and the
/// byte that ends it.
pub const LONGEST_ENV_STRING: usize = 131_072;

/// Returns how many bytes the value of an environment variable may have; with more, the container cannot start
/// (`argument list too long`), which no API server notices.
///
/// ```
/// assert_eq!(job_spec::longest_env_value("EphemeralJobData"), 131_054);
/// ```
#[must_use]
pub const fn longest_env_value(name: &str) -> usize {
    LONGEST_ENV_STRING.saturating_sub(name.len() + "=\0".len())
}

/// Checks a request and plans the Job.
///
/// # Errors
/// Every problem, sorted by key: ids that are not fit for a label, a payload of another attempt or too large for an
/// environment variable, settings and overrides that break a rule of Kubernetes, an annotation of ours set by the
/// workspace, limits out of range. Neither payload nor token are shown.
pub fn validate(request: &JobRequest<'_>) -> Result<JobPlan, Problems> {
    let JobRequest { key, settings, overrides, payload, access, limits } = request;
    let mut checks = Checks::default();
    checks.key(key);
    checks.payload_is_of(key, payload);
    checks.limits(*limits);
    let job_data = payload.encode();
    checks.env_length(keys::EPHEMERAL_JOB_DATA, &job_data, "shorten scripts and variables of the workspace");
    if let Some(access) = access {
        checks.access(access);
    }

    let EphemeralSettings { namespace, image, secret, node_selector } = settings;
    let namespace = checks.name(&namespace.origin, Namespace::new(&namespace.value));
    let image = checks.name(&image.origin, Image::new(&image.value));
    let secret = checks.name(&secret.origin, SecretName::new(&secret.value));

    let WorkspaceOverrides {
        node_selector: tags,
        service_account,
        annotations,
        tolerations,
        config_map,
        plugin_cache,
        resources,
        pod_security,
        container_security,
    } = overrides;
    let node_selector = match tags {
        Some(tags) => {
            let origin = workspace(keys::CONFIG_NODE_SELECTOR_TAGS);
            checks.labels(tags.iter().map(|(key, value)| (&origin, key, value)))
        }
        None => checks.labels(
            node_selector.iter().map(|(key, value)| (&value.origin, key.as_str(), value.value.as_str())),
        ),
    };
    let service_account = service_account.as_ref().and_then(|name| {
        checks.name(&workspace(keys::CONFIG_SERVICE_ACCOUNT), ServiceAccountName::new(name))
    });
    let annotations = annotations.as_ref().map(|list| checks.annotations(list)).unwrap_or_default();
    let volumes = checks.volumes(config_map.as_ref(), plugin_cache.as_ref(), *container_security);

    // A name that is absent here has left a problem behind.
    match (namespace, image, secret, Problems::from_vec(checks.problems)) {
        (Some(namespace), Some(image), Some(secret), None) => Ok(JobPlan {
            key: key.clone(),
            namespace,
            image,
            secret,
            node_selector,
            service_account,
            annotations,
            tolerations: tolerations.clone(),
            volumes,
            resources: resources.clone(),
            pod_security: *pod_security,
            container_security: *container_security,
            job_data,
            access: access.clone(),
            limits: *limits,
        }),
        (_, _, _, problems) => Err(problems.expect("a name is absent only with a problem")),
    }
}

#[cfg(test)]
mod tests;
