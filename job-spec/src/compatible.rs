//! The Job that Terrakube 2.27 creates from the same settings: for comparison, and for stock executor images.
//!
//! The Job is rendered with its defects, and each of them is reported beside it. Our rules are not applied:
//! text is read as Terrakube 2.27 reads it. The api-server never runs such a Job.

use std::{borrow::Cow, fmt};

use config_core::{Problem, Variables};
use k8s_openapi::api::batch::v1::Job;
use serde::Serialize;

use crate::{
    labels,
    request::{Request, remove},
};

mod defects;
mod grammar;
pub(crate) mod origins;
mod pod;
mod reader;
mod seen_settings;

use reader::Reader;

/// The Job of Terrakube 2.27, and what is wrong with it.
#[derive(Clone, PartialEq)]
pub struct Compatible {
    /// The Job; it is not redacted, but `Debug` shows its name only.
    pub job: Job,
    /// What is known to be wrong with this Job, and what of the settings it does not hold.
    pub defects: Vec<Defect>,
}

/// A defect of a Job of Terrakube 2.27, or a setting that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Defect {
    /// The setting, or the path of the field.
    pub about: String,
    /// What is wrong, and what comes of it.
    pub text: String,
}

impl fmt::Debug for Compatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, defects } = self;
        f.debug_struct("Compatible").field("job", &job.metadata.name).field("defects", defects).finish()
    }
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

/// Renders what Terrakube 2.27 makes of the same settings, payload and variables; see
/// [`Planner::compatible`](crate::Planner::compatible).
pub(crate) fn compatible(request: &Request<'_>) -> Compatible {
    let ignored = seen_settings::ignored(request.settings);
    let settings = seen_settings::seen(request.settings);
    let request = &Request { settings: &settings, ..request.clone() };
    let refused = request.refused_by_policy();
    let variables = without(&request.variables, &refused);
    let mut reader = Reader::new(&variables);
    let mut job = pod::job_of(&mut reader, request);
    let metadata = &mut job.metadata;
    metadata.name = Some(job_name(request));
    metadata.namespace = Some(request.settings.namespace.value.to_string());
    // There, every label replaces the ones before it.
    metadata.labels = Some([(labels::WORKSPACE_ID.to_owned(), request.key.workspace_id.clone())].into());
    metadata.annotations = reader.annotations();
    let of_values = reader.into_defects();
    let mut defects = defects::of_construction(&job, request);
    defects.extend(ignored);
    defects.extend(of_values);
    defects.extend(defects::not_rendered(&variables, request));
    defects.extend(refused.iter().map(|problem| {
        let text = format!(
            "applied by Terrakube 2.27, which has no policy; left out here: expected {}",
            problem.expected
        );
        Defect::new(problem.origin.key.as_str(), text)
    }));
    Compatible { job, defects }
}

/// The variables but for those that problems name.
fn without<'v>(variables: &'v Variables, problems: &[Problem]) -> Cow<'v, Variables> {
    let mut left = Cow::Borrowed(variables);
    for problem in problems {
        remove(left.to_mut(), &problem.origin.key);
    }
    left
}

/// The name of the Job and of its container, the same for all steps of a job.
fn job_name(request: &Request<'_>) -> String {
    format!("job-{}", request.key.job_id)
}

#[cfg(test)]
mod tests {
    use config_core::{EphemeralSettings, Organization, Policy};

    use super::*;
    use crate::{AttemptKey, EphemeralJobData, Planner, StepType};

    #[test]
    fn payload_above_limit_of_linux_is_a_defect() {
        let key = AttemptKey::new(Organization::new("acme", "acme"), "dev", 42, 100, 1);
        let texts_of = |bytes: usize| {
            let mut payload = EphemeralJobData::new(StepType::TerraformPlan, &key, "s");
            // Three bytes of JSON are four of base64.
            payload.source = "x".repeat((bytes - payload.encode().len()) / 4 * 3);
            let (settings, policy) = (EphemeralSettings::default(), Policy::default());
            let planner = Planner::new(&settings, &policy);
            let of_payload = |defect: Defect| (defect.about == "EphemeralJobData").then_some(defect.text);
            let defects = planner.compatible(&Variables::default(), &payload, &key, None).defects;
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
