//! Templates: the YAML flow of steps that a job goes through.
//!
//! The keys are those of Terrakube's template language. What this version does not support is rejected when
//! the template is created, not when a job runs.

use job_spec::StepType;
use serde::Deserialize;

use crate::model::NewStep;

/// A template that cannot be used, with every problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template is not usable: {}", .problems.join("; "))]
pub struct TemplateError {
    /// The problems, in the order of the text.
    pub problems: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    flow: Vec<Flow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flow {
    #[serde(rename = "type")]
    step_type: String,
    step: u32,
    #[serde(default)]
    name: Option<String>,
    // Terrakube has these keys; this server does not support them yet and says so, instead of "unknown
    // field".
    #[serde(default)]
    commands: Option<serde_json::Value>,
    #[serde(default, rename = "ignoreError")]
    ignore_error: Option<serde_json::Value>,
    #[serde(default, rename = "importComands", alias = "importCommands")]
    import_commands: Option<serde_json::Value>,
    #[serde(default, rename = "inputsEnv")]
    inputs_env: Option<serde_json::Value>,
    #[serde(default, rename = "inputsTerraform")]
    inputs_terraform: Option<serde_json::Value>,
    #[serde(default)]
    templates: Option<serde_json::Value>,
    #[serde(default)]
    team: Option<serde_json::Value>,
}

impl Flow {
    /// Returns the keys that are not supported.
    fn unsupported(&self) -> Vec<&'static str> {
        let keys = [
            ("commands", &self.commands),
            ("ignoreError", &self.ignore_error),
            ("importComands", &self.import_commands),
            ("inputsEnv", &self.inputs_env),
            ("inputsTerraform", &self.inputs_terraform),
            ("templates", &self.templates),
            ("team", &self.team),
        ];
        keys.into_iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key).collect()
    }
}

/// Parses a template and returns its steps in the order in which they run.
///
/// # Errors
/// [`TemplateError`] with every problem.
pub fn parse(text: &str) -> Result<Vec<NewStep>, TemplateError> {
    let root: Root = serde_saphyr::from_str(text)
        .map_err(|error| TemplateError { problems: vec![format!("expected the YAML of a flow: {error}")] })?;
    let mut problems = Vec::new();
    if root.flow.is_empty() {
        problems.push("flow has no steps".to_owned());
    }
    let mut steps: Vec<NewStep> = Vec::with_capacity(root.flow.len());
    for flow in root.flow {
        for key in flow.unsupported() {
            problems.push(format!("step {}: {key} is not supported yet", flow.step));
        }
        if steps.iter().any(|step| step.number == flow.step) {
            problems.push(format!("step {} exists twice", flow.step));
        }
        match step_type(&flow.step_type) {
            Ok(step_type) => {
                let name = flow.name.unwrap_or_else(|| format!("Running Step{}", flow.step));
                steps.push(NewStep { number: flow.step, name, step_type });
            }
            Err(problem) => problems.push(format!("step {}: {problem}", flow.step)),
        }
    }
    if !problems.is_empty() {
        return Err(TemplateError { problems });
    }
    steps.sort_by_key(|step| step.number);
    Ok(steps)
}

fn step_type(text: &str) -> Result<StepType, String> {
    let supported = [
        StepType::TerraformPlan,
        StepType::TerraformPlanDestroy,
        StepType::TerraformApply,
        StepType::TerraformDestroy,
        StepType::Approval,
    ];
    if let Some(found) = supported.into_iter().find(|known| known.as_str() == text) {
        return Ok(found);
    }
    if ["customScripts", "disableWorkspace", "scheduleTemplates"].contains(&text) {
        return Err(format!("type {text:?} is not supported yet"));
    }
    let names: Vec<&str> = supported.iter().map(|known| known.as_str()).collect();
    Err(format!("unknown type {text:?}, expected one of {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_steps_by_number() {
        let steps = parse(
            "flow:\n- {type: terraformApply, name: Apply, step: 200}\n- {type: approval, step: 150}\n\
             - {type: terraformPlan, name: Plan, step: 100}\n",
        )
        .unwrap();
        let read: Vec<_> =
            steps.iter().map(|step| (step.number, step.name.as_str(), step.step_type)).collect();
        assert_eq!(
            read,
            [
                (100, "Plan", StepType::TerraformPlan),
                (150, "Running Step150", StepType::Approval),
                (200, "Apply", StepType::TerraformApply)
            ]
        );
    }

    #[test]
    fn reports_every_problem() {
        let error = parse(
            "flow:\n- {type: terraformPlan, step: 1, commands: []}\n- {type: plan, step: 2}\n- {type: \
             approval, step: 1}\n",
        )
        .unwrap_err();
        assert_eq!(
            error.problems,
            [
                "step 1: commands is not supported yet",
                "step 2: unknown type \"plan\", expected one of terraformPlan, terraformPlanDestroy, \
                 terraformApply, terraformDestroy, approval",
                "step 1 exists twice",
            ]
        );
    }

    #[test]
    fn rejects_text_that_is_no_flow() {
        for text in ["", "flow: []", "flow: 3", "steps: []", "flow:\n- {type: approval}", "{", "- a"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn rejects_unknown_key() {
        let error = parse("flow:\n- {type: approval, step: 1, nmae: x}").unwrap_err().to_string();
        assert!(error.contains("nmae"), "{error}");
    }
}
