//! Templates: the YAML flow of steps that a job goes through.
//!
//! The keys are those of Terrakube's template language. What is not supported is rejected when the template
//! is created, not when a job runs; every problem is reported, each with the path of its key.

mod read;

use std::fmt;

use job_spec::StepType;

use self::read::Flow;
use crate::model::{NewStep, StepSettings};

/// A template that cannot be used, with every problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template is not usable: \
    {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct TemplateError {
    /// The problems, in the order of the text.
    pub problems: Vec<TemplateProblem>,
}

/// One problem of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateProblem {
    /// Path of the key: `flow[0].type`.
    pub path: String,
    /// What was found.
    pub found: Option<String>,
    /// What was expected.
    pub expected: String,
    /// What to do.
    pub hint: Option<String>,
}

impl TemplateProblem {
    fn new(path: impl Into<String>, found: impl Into<Option<String>>, expected: impl Into<String>) -> Self {
        Self { path: path.into(), found: found.into(), expected: expected.into(), hint: None }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, found, expected, hint } = self;
        write!(f, "{path}: ")?;
        if let Some(found) = found {
            write!(f, "found {found:?}, ")?;
        }
        write!(f, "expected {expected}")?;
        match hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Something that is accepted, but does not do what it seems to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateWarning {
    /// Path of the key.
    pub path: String,
    /// What was found.
    pub found: String,
    /// What it means here.
    pub meaning: String,
    /// What to do.
    pub hint: String,
}

/// Parses a template and returns its steps in the order in which they run.
///
/// # Errors
/// [`TemplateError`] with every problem.
pub fn parse(text: &str) -> Result<Vec<NewStep>, TemplateError> {
    let (flows, mut problems) = read::flows(text);
    let mut steps: Vec<NewStep> = Vec::with_capacity(flows.len());
    for flow in &flows {
        if steps.iter().any(|step| step.number == flow.number) {
            problems.push(TemplateProblem::new(
                format!("{}.step", flow.path),
                flow.number.to_string(),
                "a number that no other step has",
            ));
            continue;
        }
        let settings = if flow.step_type == StepType::Approval {
            StepSettings { team: flow.settings.team.clone(), ..StepSettings::default() }
        } else {
            flow.settings.clone()
        };
        steps.push(NewStep {
            number: flow.number,
            name: flow.name.clone(),
            step_type: flow.step_type,
            settings,
        });
    }
    for flow in flows.iter().filter(|flow| flow.step_type == StepType::Approval) {
        add_scripts_of_approval(flow, &mut steps, &mut problems);
    }
    if !problems.is_empty() {
        return Err(TemplateError { problems });
    }
    steps.sort_by_key(|step| step.number);
    Ok(steps)
}

/// Returns what in a template is accepted, but does not do what it seems to.
#[must_use]
pub fn warnings(text: &str) -> Vec<TemplateWarning> {
    read::flows(text).0.iter().flat_map(warnings_of).collect()
}

/// An approval runs nothing. Its scripts become steps of their own with the next numbers, which run after it
/// was approved or rejected.
fn add_scripts_of_approval(flow: &Flow, steps: &mut Vec<NewStep>, problems: &mut Vec<TemplateProblem>) {
    let settings = StepSettings { team: None, ..flow.settings.clone() };
    let mut added = Vec::new();
    if !settings.commands.is_empty() || settings.import_commands.is_some() {
        added.push(("scripts", settings.clone()));
    }
    if !flow.on_reject.is_empty() {
        let commands = flow.on_reject.clone();
        let on_reject_of = Some(flow.number);
        let settings = StepSettings { commands, import_commands: None, on_reject_of, ..settings };
        added.push(("scripts after the rejection", settings));
    }
    for ((what, settings), number) in added.into_iter().zip(flow.number.saturating_add(1)..) {
        if steps.iter().any(|step| step.number == number) {
            let expected = format!(
                "a number after which {number} is free, because the scripts of an \
                 approval are steps of their own"
            );
            let found = flow.number.to_string();
            problems.push(TemplateProblem::new(format!("{}.step", flow.path), found, expected));
            return;
        }
        let name = format!("{}: {what}", flow.name);
        steps.push(NewStep { number, name, step_type: StepType::CustomScripts, settings });
    }
}

fn warnings_of(flow: &Flow) -> Vec<TemplateWarning> {
    let mut warnings = Vec::new();
    let mut warn = |key: &str, found: String, meaning: &str, hint: &str| {
        warnings.push(TemplateWarning {
            path: format!("{}.{key}", flow.path),
            found,
            meaning: meaning.to_owned(),
            hint: hint.to_owned(),
        });
    };
    if let Some(team) = &flow.settings.team {
        warn(
            "team",
            team.clone(),
            "the team is shown with the approval, but every user of this server can approve",
            "give tokens only to users who may approve",
        );
    }
    if flow.settings.ignore_error && !flow.step_type.is_plan() {
        warn(
            "ignoreError",
            "true".to_owned(),
            "only a failed plan can be ignored; a failure of this step fails the job",
            "remove the key",
        );
    }
    let runs_all = matches!(flow.step_type, StepType::CustomScripts | StepType::Approval);
    for (index, command) in flow.settings.commands.iter().enumerate() {
        if !(runs_all || command.before || command.after || command.before_init) {
            warn(
                &format!("commands[{index}]"),
                format!("priority {}", command.priority),
                "the script never runs, because none of before, after and beforeInit is true",
                "set one of them to true",
            );
        }
    }
    warnings
}

#[cfg(test)]
mod tests;
