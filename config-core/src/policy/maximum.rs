//! What a policy lets the executor's container use at most, and how long.

use super::Rules;
use crate::{
    Origin, Problem, ResourceName, SourceName, Sourced, WorkspaceOverrides, keys,
    overrides::TimeLimits,
    value::{Quantity, Seconds},
};

impl Rules {
    /// Tells whether there is a maximum of anything.
    #[must_use]
    pub fn has_maximum(&self) -> bool {
        !self.maximum.is_empty() || self.deadline.is_some()
    }

    /// Holds what a workspace asks for against the maximum. Where it sets no limit, the maximum becomes the limit; what it
    /// sets above is a problem, unless the operator's own settings file says so.
    #[must_use]
    pub fn limit(&self, overrides: &mut WorkspaceOverrides) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (resource, maximum) in &self.maximum {
            limit_resource(*resource, maximum, overrides, &mut problems);
        }
        if let Some(maximum) = &self.deadline {
            limit_deadline(maximum, overrides, &mut problems);
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
    let (request_key, limit_key) = resource.keys();
    let WorkspaceOverrides { resources, origins, .. } = overrides;
    for (key, amount) in
        [(request_key, resources.requests().get(&resource)), (limit_key, resources.limits().get(&resource))]
    {
        let Some(amount) = amount.filter(|amount| amount.nanos() > maximum.value.nanos()) else { continue };
        problems.extend(above(origins.of(key), amount.as_str(), &maximum.value, &maximum.origin));
    }
    if !resources.limits().contains_key(&resource) {
        resources.set_limit(resource, maximum.value.clone());
        origins.set(limit_key, maximum.origin.clone());
        // A request above the limit would be refused by Kubernetes; only the operator's own can be left here.
        if resources.requests().get(&resource).is_some_and(|amount| amount.nanos() > maximum.value.nanos()) {
            resources.set_request(resource, maximum.value.clone());
            origins.set(request_key, maximum.origin.clone());
        }
    }
}

fn limit_deadline(
    maximum: &Sourced<Seconds>,
    overrides: &mut WorkspaceOverrides,
    problems: &mut Vec<Problem>,
) {
    let WorkspaceOverrides { time_limits, origins, .. } = overrides;
    match time_limits.deadline() {
        Some(deadline) if deadline > maximum.value => {
            let origin = origins.of(keys::CONFIG_DEADLINE);
            problems.extend(above(origin, &deadline.to_string(), maximum.value, &maximum.origin));
        }
        None if TimeLimits::DEFAULT_DEADLINE > maximum.value => {
            time_limits.set_deadline(maximum.value);
            origins.set(keys::CONFIG_DEADLINE, maximum.origin.clone());
        }
        Some(_) | None => {}
    }
}

fn above(origin: Origin, found: &str, maximum: impl std::fmt::Display, rule: &Origin) -> Option<Problem> {
    (origin.source != SourceName::SettingsFile)
        .then(|| Problem::new(origin, format!("at most {maximum}, by {rule}")).with_found(found))
}
