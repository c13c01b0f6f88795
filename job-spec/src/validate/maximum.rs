//! Whether all containers of a finished pod together stay below the operator's maximum.
//!
//! The resources of the executor itself are checked before ([`Rules::limit`]); this module checks added
//! containers and resources that were set in another way.

use std::collections::BTreeMap;

use config_core::{Origins, Problem, ResourceName, Rules, Sourced, value::Quantity, workspace};
use k8s_openapi::{
    api::core::v1::{Container, PodSpec, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity as Amount,
};

use super::attribution::{Attribution, attribution};

/// Checks a finished pod.
pub(super) fn check(spec: &PodSpec, rules: &Rules, origins: &Origins, problems: &mut Vec<Problem>) {
    for (resource, maximum) in rules.maximum() {
        of_the_pod_itself(spec, *resource, maximum, origins, problems);
        let origin = match attribution(origins, &set_by(*resource)) {
            // Set by the operator.
            Attribution::Operator(_) => continue,
            Attribution::Other(origin) => origin,
            Attribution::Unknown => maximum.origin.clone(),
        };
        for path in without_limit(spec, *resource) {
            let field = format!("{path}.resources.limits.{}", resource.as_str());
            let expected = format!("{field} to be set, because of {}", maximum.origin);
            problems.push(Problem::new(origin.clone(), expected));
        }
        let most = most_at_one_time(spec, *resource);
        if most > maximum.value.nanos() {
            let expected = format!(
                "at most {} of {} for all containers that run at one time, by {}",
                maximum.value,
                resource.as_str(),
                maximum.origin
            );
            problems.push(Problem::new(origin, expected).with_found(&shown(most)));
        }
    }
}

/// A pod may ask for amounts as a whole, which hold a node's room for it whatever
/// its containers ask for. Only a patch sets them.
fn of_the_pod_itself(
    spec: &PodSpec,
    resource: ResourceName,
    maximum: &Sourced<Quantity>,
    origins: &Origins,
    problems: &mut Vec<Problem>,
) {
    let Some(ResourceRequirements { claims: _, limits, requests }) = &spec.resources else { return };
    let Attribution::Other(origin) = attribution(origins, &[workspace::POD_PATCH.name()]) else { return };
    for (list, amounts) in [("limits", limits), ("requests", requests)] {
        let Some(amount) = amount(amounts.as_ref(), resource) else { continue };
        if amount.nanos() > maximum.value.nanos() {
            let field = format!("spec.resources.{list}.{}", resource.as_str());
            let expected = format!("{field} to be at most {}, by {}", maximum.value, maximum.origin);
            problems.push(Problem::new(origin.clone(), expected).with_found(amount.as_str()));
        }
    }
}

/// The variables by which a container comes to a limit. Those that add containers come first: what the
/// executor itself asks for was checked before.
const fn set_by(resource: ResourceName) -> [&'static str; 3] {
    let of_executor = match resource {
        ResourceName::Cpu => workspace::CPU_LIMIT.name(),
        ResourceName::EphemeralStorage => workspace::STORAGE_LIMIT.name(),
        ResourceName::Memory => workspace::MEMORY_LIMIT.name(),
    };
    [workspace::SIDECARS.name(), workspace::INIT_CONTAINERS.name(), of_executor]
}

fn without_limit(spec: &PodSpec, resource: ResourceName) -> Vec<String> {
    let containers = spec.containers.iter().map(|container| ("containers", container));
    let inits = spec.init_containers.iter().flatten().map(|container| ("initContainers", container));
    containers
        .chain(inits)
        .filter(|(_, container)| limit(container, resource).is_none())
        .map(|(list, container)| format!("spec.{list}[{}]", container.name))
        .collect()
}

/// Sidecars are init containers that go on: those that stand before an init container run beside it, and all
/// of them run beside the containers.
fn most_at_one_time(spec: &PodSpec, resource: ResourceName) -> u128 {
    let amount = |container: &Container| limit(container, resource).map_or(0, |limit| limit.nanos());
    let (mut sidecars, mut most) = (0_u128, 0_u128);
    for container in spec.init_containers.iter().flatten() {
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = sidecars.saturating_add(amount(container));
            most = most.max(sidecars);
        } else {
            most = most.max(sidecars.saturating_add(amount(container)));
        }
    }
    most.max(spec.containers.iter().map(amount).fold(sidecars, u128::saturating_add))
}

fn limit(container: &Container, resource: ResourceName) -> Option<Quantity> {
    amount(container.resources.as_ref()?.limits.as_ref(), resource)
}

/// An amount that cannot be read is none.
fn amount(amounts: Option<&BTreeMap<String, Amount>>, resource: ResourceName) -> Option<Quantity> {
    amounts?.get(resource.as_str())?.0.parse().ok()
}

/// Prints an amount, in thousandths if it is not a whole number, as is usual for processors.
fn shown(nanos: u128) -> String {
    const NANOS: u128 = 1_000_000_000;
    if nanos.is_multiple_of(NANOS) {
        (nanos / NANOS).to_string()
    } else {
        format!("{}m", nanos.div_ceil(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use config_core::{Origin, Policy, SourceName};

    use super::*;

    fn container(name: &str, cpu: Option<&str>, restart: Option<&str>) -> Container {
        serde_json::from_value(serde_json::json!({
            "name": name,
            "restartPolicy": restart,
            "resources": {"limits": cpu.map(|cpu| serde_json::json!({"cpu": cpu}))},
        }))
        .unwrap()
    }

    fn messages(
        containers: Vec<Container>,
        inits: Vec<Container>,
        origins: &[(&'static str, SourceName)],
    ) -> Vec<String> {
        let rules = Policy::parse("[default.maximum]\ncpu = '2'\n").unwrap().rules_for(&[]);
        let spec = PodSpec { containers, init_containers: Some(inits), ..PodSpec::default() };
        let origins = origins.iter().map(|(key, source)| (*key, Origin::new(*source, *key))).collect();
        let mut problems = Vec::new();
        check(&spec, &rules, &origins, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn sums_containers_that_run_at_one_time() {
        let over = "policy default.maximum.cpu: found \"2001m\", expected at most 2 of cpu for all \
                    containers that run at one time, by policy default.maximum.cpu";
        let over_whole = over.replace("2001m", "3");
        let over_whole = over_whole.as_str();
        let own = |cpu| vec![container("executor", Some(cpu), None)];
        let init = |cpu| container("init", Some(cpu), None);
        let sidecar = |cpu| container("sidecar", Some(cpu), Some("Always"));
        for (containers, inits, expected) in [
            (own("2"), vec![], None),
            (own("2001m"), vec![], Some(over)),
            (own("3"), vec![], Some(over_whole)),
            (own("1"), vec![init("2"), init("2")], None),
            (own("1"), vec![init("2001m")], Some(over)),
            (own("1"), vec![sidecar("1")], None),
            (own("1"), vec![sidecar("1001m")], Some(over)),
            (own("1"), vec![sidecar("500m"), sidecar("501m")], Some(over)),
            (own("1"), vec![sidecar("1"), init("1")], None),
            (own("1"), vec![sidecar("1"), init("1001m")], Some(over)),
            (own("1"), vec![init("2"), sidecar("1")], None),
            ([own("1"), own("1001m")].concat(), vec![], Some(over)),
        ] {
            let shown = format!("{containers:?} {inits:?}");
            assert_eq!(messages(containers, inits, &[]).first().map(String::as_str), expected, "{shown}");
        }
    }

    #[test]
    fn requires_limit_for_every_container() {
        assert_eq!(
            messages(vec![container("executor", Some("1"), None)], vec![container("git", None, None)], &[]),
            ["policy default.maximum.cpu: expected spec.initContainers[git].resources.limits.cpu to be \
                 set, because of policy default.maximum.cpu"]
        );
    }

    #[test]
    fn exempts_fields_of_settings_file() {
        let containers = || vec![container("executor", Some("8"), None)];
        assert!(
            messages(containers(), vec![], &[(workspace::CPU_LIMIT.name(), SourceName::SettingsFile)])
                .is_empty()
        );
        assert_eq!(
            messages(containers(), vec![], &[(workspace::CPU_LIMIT.name(), SourceName::Workspace)]).len(),
            1
        );
        let sidecar_beside_default = [
            (workspace::CPU_LIMIT.name(), SourceName::Policy),
            (workspace::SIDECARS.name(), SourceName::Workspace),
        ];
        let messages = messages(containers(), vec![], &sidecar_beside_default);
        assert!(messages[0].starts_with("workspace variable EPHEMERAL_CONFIG_SIDECARS: "), "{messages:?}");
    }

    #[test]
    fn maximum_applies_to_pod_level_resources_of_patch() {
        let messages = |source| {
            let rules = Policy::parse("[default.maximum]\ncpu = '2'\n").unwrap().rules_for(&[]);
            let spec = serde_json::from_value(serde_json::json!({
                "containers": [container("executor", Some("2"), None)],
                "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "2001m", "memory": "1Ti"}},
            }));
            let key = workspace::POD_PATCH.name();
            // A limit in the settings file does not exempt the workspace's patch.
            let origins = [(key, source), (workspace::CPU_LIMIT.name(), SourceName::SettingsFile)];
            let origins = origins.map(|(key, source)| (key, Origin::new(source, key))).into_iter().collect();
            let mut problems = Vec::new();
            check(&spec.unwrap(), &rules, &origins, &mut problems);
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            messages(SourceName::Workspace),
            ["workspace variable EPHEMERAL_CONFIG_POD_PATCH: found \"2001m\", expected \
                 spec.resources.requests.cpu to be at most 2, by policy default.maximum.cpu"]
        );
        assert!(messages(SourceName::SettingsFile).is_empty());
    }
}
