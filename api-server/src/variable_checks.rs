//! Checks the variables that a workspace sees, without a job, against settings and policy.

use std::collections::BTreeSet;

use config_core::{Problem, Warning};
use job_spec::StepType;

use crate::{
    attempt_building::{
        StepInput, WorkspaceInput, example_access, left_out_variables, plan_unredacted, warnings,
    },
    redaction::Redactor,
    services::Services,
};

/// Number of the example step: the first one of most templates.
const STEP_NUMBER: u32 = 100;

/// A step of each kind that variables can be set for.
const STEP_TYPES: [StepType; 2] = [StepType::TerraformPlan, StepType::TerraformApply];

/// Problems and warnings of a set of variables. They may show sensitive values until they are
/// [`redacted`](Findings::redacted).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Problems for which jobs would be refused.
    pub(crate) problems: BTreeSet<Problem>,
    /// Settings that are valid but probably not intended.
    pub(crate) warnings: BTreeSet<Warning>,
}

/// Plans a step of each kind with the variables of a workspace.
pub(crate) fn check(services: &Services, input: &WorkspaceInput) -> Findings {
    let mut findings = Findings::default();
    findings.warnings.extend(warnings(&services.settings, input));
    findings.problems.extend(left_out_variables(&services.settings, input));
    for step_type in STEP_TYPES {
        let step = StepInput::example(STEP_NUMBER, step_type);
        let access = example_access(services, &step);
        match plan_unredacted(&services.settings, &services.policy, input, &step, access) {
            Ok(plan) => findings.warnings.extend(plan.warnings().iter().cloned()),
            Err(problems) => findings.problems.extend(problems),
        }
    }
    findings
}

impl Findings {
    /// Hides sensitive values.
    pub(crate) fn redacted(self, redactor: &Redactor) -> Self {
        let Self { problems, warnings } = self;
        Self {
            problems: problems.into_iter().map(|problem| redactor.problem(problem)).collect(),
            warnings: warnings.into_iter().map(|warning| redactor.warning(warning)).collect(),
        }
    }
}
