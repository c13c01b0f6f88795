//! Explains a Job: every field with the setting that decided it.
//!
//! Works without a cluster, a server or a database. What is explained is the Job of a plan, redacted; the
//! table from fields to settings is in `explain/deciders.rs`.

use config_core::{Origin, Problem, SourceName, Warning, WorkspaceOverrides};
use k8s_openapi::api::batch::v1::Job;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;

use crate::{
    Defect, JobPlan,
    compatible::{self, Compatible, origins},
    fields::{self, Segment},
    redacted,
    request::{Request, remove},
    validate::validate,
};

mod deciders;

pub(crate) use deciders::owner;

/// Used where the table has a gap; tests prove that it has none.
const UNKNOWN: &str = "origin unknown";

/// A Job and the origins of its fields.
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
    /// Where it is, such as `spec.template.spec.containers[executor].image`;
    /// items of lists go by their names.
    pub path: String,
    /// Its value.
    pub value: Value,
    /// What decided it.
    pub origin: Origin,
    /// The reason, if no setting decides the field.
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

/// Which Job is shown; as JSON `"safe"` or `"compatible"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// The one that [`Planner::plan`](crate::Planner::plan) makes and that runs.
    #[default]
    Safe,
    /// The one that Terrakube 2.27 makes of the same settings; see
    /// [`Planner::compatible`](crate::Planner::compatible).
    Compatible,
}

/// The result of a workspace's variables.
///
/// As JSON: `{"job", "fields", "warnings", "refused"}`, and `"defects"` with [`Profile::Compatible`].
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Every problem; with a single one nothing would be created.
    pub refused: Vec<Problem>,
    /// Values that are accepted, but hardly have the intended effect.
    pub warnings: Vec<Warning>,
    /// The Job, made without the variables that are refused; `None` where the problems are not those of
    /// variables. The Job of Terrakube 2.27 is made with malformed variables too,
    /// but without those that the policy refuses.
    pub explanation: Option<Explanation>,
    /// What is wrong with the Job of Terrakube 2.27; `None` for ours.
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
pub(crate) fn explain(plan: &JobPlan) -> Explanation {
    explanation(&plan.job(), |path| {
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

/// Explains what the variables of a request make, whether they are valid or not;
/// those that are refused are left out.
pub(crate) fn preview(profile: Profile, request: &Request<'_>) -> Preview {
    let (plan, refused) = plan_without_refused(request);
    let mut warnings = WorkspaceOverrides::warnings(&request.variables);
    warnings.extend(plan.iter().flat_map(JobPlan::warnings).cloned());
    let plan = plan.as_ref();
    let (explanation, defects) = match profile {
        Profile::Safe => (plan.map(explain), None),
        Profile::Compatible => {
            let Compatible { job, defects } = compatible::compatible(request);
            let decide = |path: &[Segment]| {
                let path: Vec<&str> = path.iter().map(Segment::text).collect();
                origins::decide(request, &path)
            };
            (plan.map(|_| explanation(&job, decide)), Some(defects))
        }
    };
    Preview { refused, warnings, explanation, defects }
}

/// Plans the Job, without the variables that are refused; `None` if problems remain.
fn plan_without_refused(request: &Request<'_>) -> (Option<JobPlan>, Vec<Problem>) {
    let mut variables = request.variables.clone();
    let mut refused = Vec::new();
    loop {
        match validate(request, &variables) {
            Ok(plan) => return (Some(plan), refused),
            Err(problems) => {
                let mut removed = false;
                for problem in &problems {
                    removed |= remove(variables.to_mut(), &problem.origin.key);
                }
                refused.extend(problems);
                if !removed {
                    return (None, refused);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
