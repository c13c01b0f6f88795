//! Requests and limits of containers that a workspace adds.

use std::collections::BTreeMap;

use config_core::value::Quantity as Amount;
use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

use super::{FieldErrors, shown, strict::field};

pub(super) fn check(errors: &mut FieldErrors, path: &str, resources: &ResourceRequirements) {
    let limits = amounts(errors, &format!("{path}.limits"), resources.limits.as_ref());
    let requests = amounts(errors, &format!("{path}.requests"), resources.requests.as_ref());
    for (name, request) in requests {
        if let Some(limit) = limits.get(name).filter(|limit| request.nanos() > limit.nanos()) {
            let path = field(&format!("{path}.requests"), name);
            errors.push(&path, request.as_str(), format!("at most the limit, {limit}"));
        }
    }
}

pub(super) fn amount(errors: &mut FieldErrors, path: &str, quantity: &Quantity) -> Option<Amount> {
    match quantity.0.parse::<Amount>() {
        Ok(amount) => Some(amount),
        Err(error) => {
            errors.push(path, shown(&quantity.0), error.expected);
            None
        }
    }
}

fn amounts<'a>(
    errors: &mut FieldErrors,
    path: &str,
    quantities: Option<&'a BTreeMap<String, Quantity>>,
) -> BTreeMap<&'a str, Amount> {
    let parsed = |(name, quantity): (&'a String, &Quantity)| {
        Some((name.as_str(), amount(errors, &field(path, name), quantity)?))
    };
    quantities.into_iter().flatten().filter_map(parsed).collect()
}
