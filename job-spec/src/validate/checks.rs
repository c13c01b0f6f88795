//! The checks of a request, one by one; each leaves its problems behind and the next goes on.

use std::collections::BTreeMap;

use config_core::{
    Origin, Origins, Problem, SourceName, Sourced, Variable, WorkspaceOverrides, keys,
    value::{Annotations, EnvVars, Labels},
    workspace,
};

use super::longest_env_value;
use crate::{
    AttemptAccess, AttemptKey, EphemeralJobData,
    attempt_api::{ATTEMPT_TOKEN_ENV, ATTEMPT_URL_ENV, GRACE_PERIOD_ENV, TERMINATION_LOG_ENV},
    labels,
    names::{AnnotationKey, LabelKey, LabelValue, NameError},
};

/// The checks of one request, and the problems found so far.
pub(super) struct Checks<'a> {
    pub(super) origins: &'a Origins,
    pub(super) problems: Vec<Problem>,
}

impl Checks<'_> {
    /// Returns where a setting of the workspace was found.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.origins.of(key)
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Takes a parsed name, or its problem.
    pub(super) fn name<T>(&mut self, origin: &Origin, name: Result<T, NameError>) -> Option<T> {
        name.map_err(|NameError { found, rule }| {
            self.push(Problem::new(origin.clone(), rule.expected()).with_found(&found));
        })
        .ok()
    }

    /// Labels that the workspace adds to ours.
    pub(super) fn own_labels_of_workspace(
        &mut self,
        overrides: &WorkspaceOverrides,
    ) -> BTreeMap<LabelKey, Sourced<LabelValue>> {
        let origin = self.origin(workspace::LABELS.name());
        let mut map = BTreeMap::new();
        for (key, value) in overrides.get(&workspace::LABELS).into_iter().flat_map(Labels::iter) {
            if labels::is_reserved(key.as_str()) {
                let expected = "labels other than those by which attempts and their pods are found";
                self.push(Problem::new(origin.clone(), expected).with_found(key.as_str()));
            }
            let mut of_variables = overrides.job_labels();
            let differs = |(label, of_variable, _): &(&str, String, _)| {
                *label == key.as_str() && of_variable.as_str() != value.as_str()
            };
            if let Some((_, of_variable, name)) = of_variables.find(differs) {
                let expected = format!("{of_variable:?} as in {name}, or no such label");
                let found = format!("{}={}", key.as_str(), value.as_str());
                self.push(Problem::new(origin.clone(), expected).with_found(&found));
            }
            map.insert(key.clone(), Sourced::new(value.clone(), origin.clone()));
        }
        map
    }

    /// The executor looks for its inputs in upper case too, so these are refused in any case of the letters.
    pub(super) fn env_vars(&mut self, overrides: &WorkspaceOverrides) {
        let ours = [
            keys::EPHEMERAL_FLAG_BATCH,
            keys::EPHEMERAL_JOB_DATA,
            ATTEMPT_URL_ENV,
            ATTEMPT_TOKEN_ENV,
            GRACE_PERIOD_ENV,
            TERMINATION_LOG_ENV,
        ];
        let origin = self.origin(workspace::JOB_ENV_VARS.name());
        for (name, value) in overrides.get(&workspace::JOB_ENV_VARS).into_iter().flat_map(EnvVars::iter) {
            if ours.iter().any(|of_us| of_us.eq_ignore_ascii_case(name)) {
                let expected = format!("variables other than {}", ours.join(", "));
                self.push(Problem::new(origin.clone(), expected).with_found(name));
            }
            let longest = longest_env_value(name);
            if value.len() > longest {
                let expected = format!(
                    "at most {longest} bytes in {name}, which is all that Linux \
                     takes in one environment variable"
                );
                self.push(
                    Problem::new(origin.clone(), expected).with_found(&format!("{} bytes", value.len())),
                );
            }
        }
    }

    pub(super) fn annotations(
        &mut self,
        variable: &Variable<Annotations>,
        overrides: &WorkspaceOverrides,
    ) -> BTreeMap<AnnotationKey, String> {
        let origin = self.origin(variable.name());
        let mut map = BTreeMap::new();
        for (key, value) in overrides.get(variable).into_iter().flat_map(Annotations::iter) {
            if key.as_str().starts_with(labels::OWN_PREFIX) {
                let expected = format!("annotations other than those that begin with {}", labels::OWN_PREFIX);
                self.push(Problem::new(origin.clone(), expected).with_found(key.as_str()));
            }
            map.insert(key.clone(), value.to_owned());
        }
        map
    }

    pub(super) fn key(&mut self, key: &AttemptKey) {
        let ids =
            [(labels::ORGANIZATION_ID, key.organization.id()), (labels::WORKSPACE_ID, key.workspace_id())];
        for (label, id) in ids {
            if id.is_empty() {
                self.push(Problem::new(request(label), "an id").with_found(id));
            }
            self.name(&request(label), LabelValue::new(id));
        }
    }

    /// A payload of another workspace would change the wrong infrastructure under the right name.
    pub(super) fn payload_is_of(&mut self, key: &AttemptKey, payload: &EphemeralJobData) {
        for (field, in_key, in_payload) in [
            ("organizationId", key.organization.id(), &payload.organization_id),
            ("workspaceId", key.workspace_id(), &payload.workspace_id),
            ("jobId", &key.job_id.to_string(), &payload.job_id),
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

    pub(super) fn access(&mut self, access: &AttemptAccess) {
        let (url, token) = (access.url(), access.expose_token());
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

    pub(super) fn env_length(&mut self, name: &str, value: &str, hint: &str) {
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

pub(super) fn request(key: &str) -> Origin {
    Origin::new(SourceName::Request, key)
}
