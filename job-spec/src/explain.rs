//! Why a Job looks as it does: every field with the place that decided it.
//!
//! Works without a cluster, a server or a database. What is explained is what [`render`] makes, redacted; who decides which
//! field is a table in `explain/deciders.rs`.

use config_core::{Origin, Problem, SourceName, Variables, WorkspaceOverrides};
use k8s_openapi::api::batch::v1::Job;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;

use crate::{
    JobPlan, JobRequest,
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

/// What becomes of a workspace's variables.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// Everything that is wrong; with a single problem nothing would be created.
    pub refused: Vec<Problem>,
    /// The Job, made without the variables that are refused; `None` where the problems are not those of variables.
    pub explanation: Option<Explanation>,
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
    let job = redacted(&render(plan));
    let document = serde_json::to_value(&job).expect("a Job is plain data with text keys");
    let mut fields = Vec::new();
    fields::visit(&document, &mut |path, value| fields.push(field(plan, path, value)));
    Explanation { job, fields }
}

fn field(plan: &JobPlan, path: &[Segment], value: &Value) -> Field {
    let text = fields::display(path);
    let (origin, reason) = match deciders::decide(plan, path) {
        Some(decision) => (decision.origin, decision.reason),
        None => (Origin::new(SourceName::Default, text.as_str()), Some(UNKNOWN)),
    };
    Field { path: text, value: value.clone(), origin, reason }
}

/// Explains what a workspace's variables make, whether they are right or not: the request's own overrides are replaced by
/// those of the variables, which its rules judge, and variables that are refused are left out.
#[must_use]
pub fn preview(variables: &Variables, request: &JobRequest<'_>) -> Preview {
    let kind = request.payload.step_type.kind();
    let mut variables = variables.clone();
    let mut refused = Vec::new();
    loop {
        let (overrides, mut problems) = WorkspaceOverrides::read(&variables, kind);
        problems.extend(request.rules.check(&variables));
        match validate_after(problems, &JobRequest { overrides: &overrides, ..request.clone() }) {
            Ok(plan) => return Preview { refused, explanation: Some(explain(&plan)) },
            Err(problems) => {
                let mut removed = false;
                for problem in &problems {
                    removed |= remove(&mut variables, &problem.origin.key);
                }
                refused.extend(problems);
                if !removed {
                    return Preview { refused, explanation: None };
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
