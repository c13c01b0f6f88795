//! Checks a request as a whole; afterwards nothing can fail.
//!
//! Settings and overrides come checked from `config-core`, but their fields are open, so what reaches the Job is parsed
//! into types once more. What only this place can see: whether the payload belongs to the attempt and fits into an
//! environment variable.

use std::collections::BTreeMap;

use config_core::{
    EphemeralSettings, Origin, Problem, Problems, SourceName, WorkspaceOverrides, keys, value::KeyValues,
};

use crate::{
    AttemptAccess, AttemptKey, EphemeralJobData, JobPlan, JobRequest, Limits,
    attempt_api::{ATTEMPT_TOKEN_ENV, ATTEMPT_URL_ENV},
    labels,
    names::{
        AnnotationKey, ConfigMapName, Image, LabelKey, LabelValue, MountPath, NameError, Namespace,
        SecretName, ServiceAccountName,
    },
    plan::ConfigMapVolume,
};

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

    let WorkspaceOverrides { node_selector: tags, service_account, annotations, tolerations, config_map } =
        overrides;
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
    let config_map = config_map.as_ref().and_then(|config_map| {
        let name = checks.name(&workspace(keys::CONFIG_MAP_NAME), ConfigMapName::new(&config_map.name));
        let path = MountPath::new(&config_map.mount_path);
        let mount_path = checks.name(&workspace(keys::CONFIG_MAP_MOUNT_PATH), path);
        Some(ConfigMapVolume { name: name?, mount_path: mount_path? })
    });

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
            config_map,
            job_data,
            access: access.clone(),
            limits: *limits,
        }),
        (_, _, _, problems) => Err(problems.expect("a name is absent only with a problem")),
    }
}

/// The checks, which collect problems.
#[derive(Default)]
struct Checks {
    problems: Vec<Problem>,
}

impl Checks {
    fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Takes a parsed name, or its problem.
    fn name<T>(&mut self, origin: &Origin, name: Result<T, NameError>) -> Option<T> {
        name.map_err(|NameError { found, rule }| {
            self.push(Problem::new(origin.clone(), rule.expected()).with_found(&found));
        })
        .ok()
    }

    fn labels<'a>(
        &mut self,
        entries: impl Iterator<Item = (&'a Origin, &'a str, &'a str)>,
    ) -> BTreeMap<LabelKey, LabelValue> {
        entries
            .filter_map(|(origin, key, value)| {
                let key = self.name(origin, LabelKey::new(key));
                let value = self.name(origin, LabelValue::new(value));
                Some((key?, value?))
            })
            .collect()
    }

    fn annotations(&mut self, list: &KeyValues) -> BTreeMap<AnnotationKey, String> {
        let origin = workspace(keys::CONFIG_ANNOTATIONS);
        let mut map = BTreeMap::new();
        for (key, value) in list.iter() {
            if key.starts_with(labels::OWN_PREFIX) {
                self.push(
                    Problem::new(
                        origin.clone(),
                        format!("annotations other than those that begin with {}", labels::OWN_PREFIX),
                    )
                    .with_found(key),
                );
            }
            if let Some(key) = self.name(&origin, AnnotationKey::new(key)) {
                map.insert(key, value.to_owned());
            }
        }
        map
    }

    fn key(&mut self, key: &AttemptKey) {
        let AttemptKey { organization_id, workspace_id, job_id: _, step_number: _, attempt: _ } = key;
        for (label, id) in [(labels::ORGANIZATION_ID, organization_id), (labels::WORKSPACE_ID, workspace_id)]
        {
            if id.is_empty() {
                self.push(Problem::new(request(label), "an id").with_found(id));
            }
            self.name(&request(label), LabelValue::new(id));
        }
    }

    /// A payload of another workspace would change the wrong infrastructure under the right name.
    fn payload_is_of(&mut self, key: &AttemptKey, payload: &EphemeralJobData) {
        let AttemptKey { organization_id, workspace_id, job_id, step_number: _, attempt: _ } = key;
        for (field, in_key, in_payload) in [
            ("organizationId", organization_id, &payload.organization_id),
            ("workspaceId", workspace_id, &payload.workspace_id),
            ("jobId", &job_id.to_string(), &payload.job_id),
        ] {
            if in_key != in_payload {
                self.push(
                    Problem::new(
                        request(&format!("{}.{field}", keys::EPHEMERAL_JOB_DATA)),
                        format!("{in_key:?} as in the attempt"),
                    )
                    .with_found(in_payload),
                );
            }
        }
    }

    fn limits(&mut self, limits: Limits) {
        let Limits { active_deadline_seconds, termination_grace_period_seconds, ttl_seconds_after_finished } =
            limits;
        for (field, value, least) in [
            ("activeDeadlineSeconds", active_deadline_seconds, 1),
            // With 0 the executor would be killed without a chance to save the state.
            ("terminationGracePeriodSeconds", termination_grace_period_seconds, 1),
            ("ttlSecondsAfterFinished", ttl_seconds_after_finished, 0),
        ] {
            let most = i32::MAX.unsigned_abs();
            if !(least..=most).contains(&value) {
                self.push(
                    Problem::new(request(field), format!("{least} to {most} seconds"))
                        .with_found(&value.to_string()),
                );
            }
        }
    }

    fn access(&mut self, access: &AttemptAccess) {
        let AttemptAccess { url, token } = access;
        let has_scheme = ["http://", "https://"]
            .iter()
            .any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        if !has_scheme || url.ends_with('/') || !is_plain(url) {
            self.push(
                Problem::new(
                    request(ATTEMPT_URL_ENV),
                    "an address that begins with http:// or https:// and has no slash at the end",
                )
                .with_found(url),
            );
        }
        if token.is_empty() || !is_plain(token) {
            self.push(Problem::new(request(ATTEMPT_TOKEN_ENV), "a token of printable ASCII characters"));
        }
        self.env_length(ATTEMPT_URL_ENV, url, "use a shorter address");
        self.env_length(ATTEMPT_TOKEN_ENV, token, "use a shorter token");
    }

    fn env_length(&mut self, name: &str, value: &str, hint: &str) {
        let longest = longest_env_value(name);
        if value.len() > longest {
            self.push(
                Problem::new(
                    request(name),
                    format!(
                        "at most {longest} bytes, which is all that Linux takes in one environment variable"
                    ),
                )
                .with_found(&format!("{} bytes", value.len()))
                .with_hint(hint),
            );
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn workspace(key: &str) -> Origin {
    Origin::new(SourceName::Workspace, key)
}

fn request(key: &str) -> Origin {
    Origin::new(SourceName::Request, key)
}

#[cfg(test)]
mod tests;
