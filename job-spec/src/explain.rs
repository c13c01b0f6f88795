//! Why a Job looks as it does: every field with the place that decided it.
//!
//! Works without a cluster, a server or a database. What is explained is what [`render`] makes, redacted; who decides which
//! field is a table in `explain/deciders.rs`.

use config_core::{Origin, Problem, SourceName, Variables, Warning, WorkspaceOverrides};
use k8s_openapi::api::batch::v1::Job;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;

use crate::{
    Defect, JobPlan, JobRequest, compatible,
    compatible::{Compatible, origins},
    fields::{self, Segment},
    redacted, render, validate_after,
};

mod deciders;

pub(crate) use deciders::owner;

/// Stands where the table has a hole; tests prove that it never does.
const UNKNOWN: &str = "nobody is known to have decided it";

/// A Job and who decided what in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The Job; values that may hold secrets are replaced by their lengths.
    pub job: Job,
    /// Every field of the Job, in the order of the document.
    pub fields: Vec<Field>,
}

/// One field of a Job that holds a value of its own.
///
/// As JSON: `{"path", "value", "source", "key", "reason"}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Where it is, such as `spec.template.spec.containers[executor].image`; items of lists go by their names.
    pub path: String,
    /// Its value.
    pub value: Value,
    /// What decided it.
    pub origin: Origin,
    /// Why it is so, where nobody was asked.
    pub reason: Option<&'static str>,
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { path, value, origin: Origin { source, key }, reason } = self;
        let mut object = serializer.serialize_struct("Field", 5)?;
        object.serialize_field("path", path)?;
        object.serialize_field("value", value)?;
        object.serialize_field("source", source)?;
        object.serialize_field("key", key)?;
        object.serialize_field("reason", reason)?;
        object.end()
    }
}

/// Whose Job is shown; as JSON `"safe"` or `"compatible"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// The one that [`render`] makes and that runs.
    #[default]
    Safe,
    /// The one that the old system makes of the same settings; see [`compatible`].
    Compatible,
}

/// What becomes of a workspace's variables.
///
/// As JSON: `{"job", "fields", "warnings", "refused"}`, and `"defects"` with [`Profile::Compatible`].
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Everything that is wrong; with a single problem nothing would be created.
    pub refused: Vec<Problem>,
    /// What is accepted, but hardly does what was meant.
    pub warnings: Vec<Warning>,
    /// The Job, made without the variables that are refused; `None` where the problems are not those of variables. The Job
    /// of the old system is made of all variables, because it refuses none.
    pub explanation: Option<Explanation>,
    /// What is wrong with the Job of the old system; `None` for ours.
    pub defects: Option<Vec<Defect>>,
}

impl Serialize for Preview {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { refused, warnings, explanation, defects } = self;
        let fields = explanation.as_ref().map(|explanation| explanation.fields.as_slice());
        let mut object = serializer.serialize_struct("Preview", 4 + usize::from(defects.is_some()))?;
        object.serialize_field("job", &explanation.as_ref().map(|explanation| &explanation.job))?;
        object.serialize_field("fields", fields.unwrap_or_default())?;
        object.serialize_field("warnings", warnings)?;
        object.serialize_field("refused", refused)?;
        if let Some(defects) = defects {
            object.serialize_field("defects", defects)?;
        }
        object.end()
    }
}

/// Explains the Job of a plan.
///
/// ```
/// use config_core::{EphemeralSettings, Variables, WorkspaceOverrides};
/// # use job_spec::{AttemptKey, EphemeralJobData, JobRequest, explain, validate};
/// # let payload = EphemeralJobData::decode(
/// #     "eyJ0eXBlIjoidGVycmFmb3JtUGxhbiIsIm9yZ2FuaXphdGlvbklkIjoiYWNtZSIsIndvcmtzcGFjZUlkIjoiZGV2Iiwiam9iSWQiOiI0MiIsInN0ZXBJZCI6InMifQ==",
/// # )?;
/// # let key = AttemptKey {
/// #     organization_id: "acme".to_owned(), workspace_id: "dev".to_owned(), job_id: 42, step_number: 100, attempt: 1,
/// # };
/// # let settings = EphemeralSettings::default();
/// let variables: Variables = [("EPHEMERAL_CPU_LIMIT", "2")].into_iter().collect();
/// let overrides = WorkspaceOverrides::parse(&variables, None)?;
/// # let rules = config_core::Rules::default();
/// # let request =
/// #     JobRequest { key, settings: &settings, overrides: &overrides, rules: &rules, payload: &payload, access: None };
/// let explanation = explain(&validate(&request)?);
/// let limit = explanation.fields.iter().find(|field| field.path.ends_with("limits.cpu")).expect("a limit");
/// assert_eq!(limit.value, "2");
/// assert_eq!(limit.origin.to_string(), "workspace variable EPHEMERAL_CPU_LIMIT");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn explain(plan: &JobPlan) -> Explanation {
    explanation(&render(plan), |path| {
        deciders::decide(plan, path).map(|decision| (decision.origin, decision.reason))
    })
}

fn explanation(
    job: &Job,
    decide: impl Fn(&[Segment]) -> Option<(Origin, Option<&'static str>)>,
) -> Explanation {
    let job = redacted(job);
    let document = serde_json::to_value(&job).expect("a Job is plain data with text keys");
    let mut found = Vec::new();
    fields::visit(&document, &mut |path, value| {
        let text = fields::display(path);
        let (origin, reason) =
            decide(path).unwrap_or_else(|| (Origin::new(SourceName::Default, text.as_str()), Some(UNKNOWN)));
        found.push(Field { path: text, value: value.clone(), origin, reason });
    });
    Explanation { job, fields: found }
}

/// Explains what a workspace's variables make, whether they are right or not: the request's own overrides are replaced by
/// those of the variables, which its rules judge, and variables that are refused are left out.
#[must_use]
pub fn preview(profile: Profile, variables: &Variables, request: &JobRequest<'_>) -> Preview {
    let (plan, refused) = plan_without_refused(variables.clone(), request);
    let mut warnings = WorkspaceOverrides::warnings(variables);
    warnings.extend(plan.iter().flat_map(JobPlan::warnings).cloned());
    let plan = plan.as_ref();
    let (explanation, defects) = match profile {
        Profile::Safe => (plan.map(explain), None),
        Profile::Compatible => {
            let Compatible { job, defects } = compatible(variables, request);
            let decide = |path: &[Segment]| {
                let path: Vec<&str> = path.iter().map(Segment::text).collect();
                origins::decide(variables, request, &path)
            };
            (plan.map(|_| explanation(&job, decide)), Some(defects))
        }
    };
    Preview { refused, warnings, explanation, defects }
}

/// Plans the Job, with fewer and fewer variables until the rest is right; `None` where that does not help.
fn plan_without_refused(
    mut variables: Variables,
    request: &JobRequest<'_>,
) -> (Option<JobPlan>, Vec<Problem>) {
    let kind = request.payload.step_type.kind();
    let mut refused = Vec::new();
    loop {
        let (overrides, mut problems) = WorkspaceOverrides::read(&variables, kind);
        problems.extend(request.rules.check(&variables));
        match validate_after(problems, &JobRequest { overrides: &overrides, ..request.clone() }) {
            Ok(plan) => return (Some(plan), refused),
            Err(problems) => {
                let mut removed = false;
                for problem in &problems {
                    removed |= remove(&mut variables, &problem.origin.key);
                }
                refused.extend(problems);
                if !removed {
                    return (None, refused);
                }
            }
        }
    }
}

/// Removes the variable that a key names; some sources write more before the name.
fn remove(variables: &mut Variables, key: &str) -> bool {
    let name = key.rsplit(['/', '.']).next().unwrap_or(key);
    variables.remove(name)
}

#[cfg(test)]
mod tests;
