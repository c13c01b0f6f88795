//! What the system that the settings come from makes of the same settings: for comparison, and for stock executor images.
//!
//! The reference is Terrakube 2.27. Its Job is written down with its faults, and each fault that this Job has is told
//! beside it. Nothing here is checked by our rules: text goes the way that it goes there. The api-server never runs such a
//! Job.

use std::fmt;

use config_core::Variables;
use k8s_openapi::api::batch::v1::Job;
use serde::Serialize;

use crate::{JobRequest, labels};

mod defects;
mod grammar;
pub(crate) mod origins;
mod pod;
mod reader;

use reader::Reader;

/// The Job of the old system, and what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Compatible {
    /// The Job; it is not redacted.
    pub job: Job,
    /// What is known to be wrong with this Job, and what of the settings it does not hold.
    pub defects: Vec<Defect>,
}

/// Something wrong with a Job of the old system, or a setting that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Defect {
    /// The setting, or the path of the field.
    pub about: String,
    /// What is wrong, and what comes of it.
    pub text: String,
}

impl Defect {
    fn new(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { about: about.into(), text: text.into() }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, text } = self;
        write!(f, "{about}: {text}")
    }
}

/// Renders what the old system makes of the same settings, the same payload and these variables.
///
/// Of the request, overrides and rules are not looked at: the old system reads variables in its own way and has no policy.
/// Where it would make no Job at all, because it stops at a value, the Job shown lacks what the value was for, and the
/// defect says so. Whether a claim exists, only the cluster knows; it is taken to exist.
///
/// ```
/// use config_core::{EphemeralSettings, Rules, Variables, WorkspaceOverrides};
/// use job_spec::{AttemptKey, EphemeralJobData, JobRequest, compatible};
/// # let payload = EphemeralJobData::decode(
/// #     "eyJ0eXBlIjoidGVycmFmb3JtUGxhbiIsIm9yZ2FuaXphdGlvbklkIjoiYWNtZSIsIndvcmtzcGFjZUlkIjoiZGV2Iiwiam9iSWQiOiI0MiIsInN0ZXBJZCI6InMifQ==",
/// # )?;
/// # let key = AttemptKey {
/// #     organization_id: "acme".to_owned(), workspace_id: "dev".to_owned(), job_id: 42, step_number: 100, attempt: 1,
/// # };
/// # let (settings, overrides, rules) = <(EphemeralSettings, WorkspaceOverrides, Rules)>::default();
/// # let request =
/// #     JobRequest { key, settings: &settings, overrides: &overrides, rules: &rules, payload: &payload, access: None };
/// let variables: Variables = [("EPHEMERAL_CONFIG_ANNOTATIONS", "token=YQ==")].into_iter().collect();
/// let old = compatible(&variables, &request);
///
/// assert_eq!(old.job.metadata.name.as_deref(), Some("job-42"));
/// assert_eq!(old.job.metadata.annotations.expect("one")["token"], "YQ");
/// assert_eq!(old.job.spec.expect("a spec").backoff_limit, None);
/// assert!(old.defects.iter().any(|defect| defect.about == "spec.backoffLimit"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn compatible(variables: &Variables, request: &JobRequest<'_>) -> Compatible {
    let mut reader = Reader::new(variables);
    let mut job = pod::job_of(&mut reader, request);
    let metadata = &mut job.metadata;
    metadata.name = Some(job_name(request));
    metadata.namespace = Some(request.settings.namespace.value.to_string());
    // There, every label replaces the ones before it.
    metadata.labels = Some([(labels::WORKSPACE_ID.to_owned(), request.key.workspace_id.clone())].into());
    metadata.annotations = reader.annotations();
    let of_values = reader.into_defects();
    let mut defects = defects::of_construction(&job, request);
    defects.extend(of_values);
    defects.extend(defects::not_rendered(variables, request));
    Compatible { job, defects }
}

/// The name of the Job and of its container, the same for all steps of a job.
fn job_name(request: &JobRequest<'_>) -> String {
    format!("job-{}", request.key.job_id)
}

#[cfg(test)]
mod tests {
    use config_core::{EphemeralSettings, Rules, WorkspaceOverrides};

    use super::*;
    use crate::{AttemptKey, EphemeralJobData};

    #[test]
    fn a_payload_that_linux_does_not_take_is_a_defect_from_the_first_byte_too_many() {
        let texts_of = |bytes: usize| {
            let json = serde_json::json!({
                "type": "terraformPlan", "organizationId": "acme", "workspaceId": "dev", "jobId": "42", "stepId": "s",
            });
            let mut payload: EphemeralJobData = serde_json::from_value(json).unwrap();
            // Three bytes of JSON are four of base64.
            payload.source = "x".repeat((bytes - payload.encode().len()) / 4 * 3);
            let request = JobRequest {
                key: AttemptKey {
                    organization_id: "acme".to_owned(),
                    workspace_id: "dev".to_owned(),
                    job_id: 42,
                    step_number: 100,
                    attempt: 1,
                },
                settings: &EphemeralSettings::default(),
                overrides: &WorkspaceOverrides::default(),
                rules: &Rules::default(),
                payload: &payload,
                access: None,
            };
            let of_payload = |defect: Defect| (defect.about == "EphemeralJobData").then_some(defect.text);
            let defects = compatible(&Variables::default(), &request).defects;
            defects.into_iter().filter_map(of_payload).collect::<Vec<_>>()
        };
        // Base64 comes in groups of four: of the 131,054 bytes it can fill 131,052.
        assert_eq!(texts_of(131_052).len(), 1);
        let too_large = texts_of(131_056);
        assert_eq!(
            too_large[1],
            "131056 bytes are more than the 131054 that Linux takes: the container cannot start"
        );
    }
}
