//! The pod failure policy, which makes the cluster write the reason of a failure into the Job's condition.
//!
//! With `backoffLimit: 0` every failure ends the Job, with or without a policy. The Job controller writes the
//! rule that matched, with exit code or pod condition, into the Job's `Failed` condition; without rules the
//! reason is always `BackoffLimitExceeded`. The first matching rule counts. Disruption comes first, because
//! an evicted pod has an exit code too.

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

/// The API server refuses a rule that names exit code 0.
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
