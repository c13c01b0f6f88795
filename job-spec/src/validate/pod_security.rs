//! Whether a finished pod meets a level of the Pod Security Standards.
//!
//! The controls are those of <https://kubernetes.io/docs/concepts/security/pod-security-standards/>, for pods
//! that run on Linux. Only the finished pod is checked, so no way of shaping a pod
//! avoids the level. A field is attributed to a variable afterwards, for the error message.

use std::fmt::Display;

use config_core::{Origins, PodSecurityLevel, Problem, Rules, Warning, workspace};
use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::attribution::{Attribution, attribution};
use crate::fields::PatchedFields;

mod containers;
mod pod;

/// A field that a level does not permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// The name of the control, as the standards give it.
    pub(super) control: &'static str,
    /// The weakest level that refuses it.
    pub(super) level: PodSecurityLevel,
    /// The path of the field; containers and volumes by name.
    pub(super) field: String,
    pub(super) found: String,
    pub(super) permitted: String,
}

/// Finds every field of a pod that a level does not permit.
pub(super) fn violations(template: &PodTemplateSpec, level: PodSecurityLevel) -> Vec<Violation> {
    let mut findings = Findings { level, violations: Vec::new() };
    if level > PodSecurityLevel::Privileged {
        findings.annotations(template);
        if let Some(spec) = &template.spec {
            findings.pod(spec);
            findings.containers(spec);
        }
    }
    findings.violations
}

/// Refuses what the operator's rules do not permit. A field that only the settings file can have set causes a
/// warning instead, because the operator wrote both.
pub(super) fn check(
    template: &PodTemplateSpec,
    rules: &Rules,
    origins: &Origins,
    patched: &PatchedFields,
    problems: &mut Vec<Problem>,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let rule = rules.pod_security();
    for violation in violations(template, rule.value) {
        let Violation { control, level, field, found, permitted } = violation;
        let wish = format!("{field} to be {permitted} ({control}, Pod Security level {level})");
        match attribution(origins, &set_by(patched, &field)) {
            Attribution::Operator(origin) => warnings.push(Warning {
                origin,
                found,
                meaning: format!("although {} wants {wish}", rule.origin),
                hint: "the settings file and the policy contradict each other".to_owned(),
            }),
            Attribution::Other(origin) => {
                problems.push(Problem::new(origin, format!("{wish}, by {}", rule.origin)).with_found(&found));
            }
            Attribution::Unknown => problems.push(Problem::new(rule.origin.clone(), wish).with_found(&found)),
        }
    }
    warnings
}

/// The variables that may have set a field.
fn set_by(patched: &PatchedFields, field: &str) -> Vec<&'static str> {
    if patched.has_changed(field) {
        return vec![workspace::POD_PATCH.name()];
    }
    let own_container = format!("spec.containers[{}].securityContext", crate::EXECUTOR_CONTAINER);
    let keys: &[&str] = if field.starts_with("spec.securityContext") {
        &[workspace::POD_SECURITY_CONTEXT.name()]
    } else if field.starts_with(&own_container) {
        &[workspace::SECURITY_CONTEXT.name()]
    } else if field.starts_with("metadata.annotations") {
        &[workspace::POD_ANNOTATIONS.name()]
    } else if field.starts_with("spec.volumes") {
        &[workspace::VOLUMES.name()]
    } else if field.starts_with("spec.initContainers") {
        &[workspace::SIDECARS.name(), workspace::INIT_CONTAINERS.name()]
    } else {
        &[]
    };
    keys.to_vec()
}

struct Findings {
    level: PodSecurityLevel,
    violations: Vec<Violation>,
}

impl Findings {
    fn baseline(&mut self, control: &'static str, field: String, found: &dyn Display, permitted: &str) {
        self.refuse(PodSecurityLevel::Baseline, control, field, found, permitted);
    }

    fn restricted(&mut self, control: &'static str, field: String, found: &dyn Display, permitted: &str) {
        self.refuse(PodSecurityLevel::Restricted, control, field, found, permitted);
    }

    fn refuse(
        &mut self,
        level: PodSecurityLevel,
        control: &'static str,
        field: String,
        found: &dyn Display,
        permitted: &str,
    ) {
        if self.level >= level {
            let (found, permitted) = (found.to_string(), permitted.to_owned());
            self.violations.push(Violation { control, level, field, found, permitted });
        }
    }
}

#[cfg(test)]
mod tests;
