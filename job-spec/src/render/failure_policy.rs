//! Why a Job failed, in its own condition.
//!
//! With `backoffLimit: 0` every failure ends the Job, whatever this policy says. Its rules are there for their words: the
//! controller writes the rule that matched, with exit code or pod condition, into the Job's `Failed` condition. Without
//! them each failure reads `BackoffLimitExceeded`. The first rule that matches counts, so disruption comes first: a pod
//! that was evicted exits with some code as well.

use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
};

use super::EXECUTOR_CONTAINER;
use crate::ExitCode;

pub(super) fn render() -> PodFailurePolicy {
    PodFailurePolicy { rules: vec![on_disruption(), on_exit_codes("In"), on_exit_codes("NotIn")] }
}

fn on_disruption() -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: "FailJob".to_owned(),
        on_exit_codes: None,
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            status: "True".to_owned(),
            type_: "DisruptionTarget".to_owned(),
        }]),
    }
}

/// Exit code 0 is never looked at by the controller, and naming it is not allowed.
fn on_exit_codes(operator: &str) -> PodFailurePolicyRule {
    let values = ExitCode::ALL
        .iter()
        .filter(|code| **code != ExitCode::Completed)
        .map(|code| code.code().into())
        .collect();
    PodFailurePolicyRule {
        action: "FailJob".to_owned(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: Some(EXECUTOR_CONTAINER.to_owned()),
            operator: operator.to_owned(),
            values,
        }),
        on_pod_conditions: None,
    }
}
