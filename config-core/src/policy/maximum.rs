//! The maximum of a policy for resources and deadline of the executor's container.

use super::Rules;
use crate::{
    Origin, Problem, ResourceName, SourceName, Sourced, WorkspaceOverrides,
    value::{Quantity, Seconds},
    workspace::{DEADLINE, GRACE_PERIOD},
};

impl Rules {
    /// Compares what a workspace requests with the maximum. Where it sets no limit, the maximum becomes the
    /// limit; a value above is a problem, unless the operator's settings file sets it.
    #[must_use]
    pub fn limit(&self, overrides: &mut WorkspaceOverrides) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (resource, maximum) in &self.maximum {
            limit_resource(*resource, maximum, overrides, &mut problems);
        }
        if let Some(maximum) = &self.deadline {
            limit_deadline(maximum, overrides, &mut problems);
            limit_grace_period(maximum, overrides, &mut problems);
        }
        problems
    }
}

fn limit_resource(
    resource: ResourceName,
    maximum: &Sourced<Quantity>,
    overrides: &mut WorkspaceOverrides,
    problems: &mut Vec<Problem>,
) {
    let (request, limit) = (resource.request(), resource.limit());
    for variable in [request, limit] {
        let amount = overrides.get(variable).filter(|amount| amount.nanos() > maximum.value.nanos());
        let Some(amount) = amount else { continue };
        let origin = overrides.origins().of(variable.name());
        problems.extend(above(origin, amount.as_str(), &maximum.value, &maximum.origin));
    }
    if overrides.get(limit).is_none() {
        overrides.set(limit, maximum.value.clone(), maximum.origin.clone());
        // Kubernetes rejects a request above the limit. Only one of the operator's settings file gets here.
        if overrides.get(request).is_some_and(|amount| amount.nanos() > maximum.value.nanos()) {
            overrides.set(request, maximum.value.clone(), maximum.origin.clone());
        }
    }
}

fn limit_deadline(
    maximum: &Sourced<Seconds>,
    overrides: &mut WorkspaceOverrides,
    problems: &mut Vec<Problem>,
) {
    let is_above = overrides.deadline() > maximum.value;
    match overrides.get(&DEADLINE) {
        Some(deadline) if is_above => {
            let origin = overrides.origins().of(DEADLINE.name());
            problems.extend(above(origin, &deadline.to_string(), maximum.value, &maximum.origin));
        }
        None if is_above => overrides.set(&DEADLINE, maximum.value, maximum.origin.clone()),
        Some(_) | None => {}
    }
}

/// A process that ignores the signal to stop runs until the grace period is over, whatever the deadline is.
fn limit_grace_period(
    maximum: &Sourced<Seconds>,
    overrides: &WorkspaceOverrides,
    problems: &mut Vec<Problem>,
) {
    if let Some(grace_period) = overrides.get(&GRACE_PERIOD).filter(|period| **period > maximum.value) {
        let origin = overrides.origins().of(GRACE_PERIOD.name());
        problems.extend(above(origin, &grace_period.to_string(), maximum.value, &maximum.origin));
    }
}

fn above(origin: Origin, found: &str, maximum: impl std::fmt::Display, rule: &Origin) -> Option<Problem> {
    (origin.source != SourceName::SettingsFile)
        .then(|| Problem::new(origin, format!("at most {maximum}, by {rule}")).with_found(found))
}
