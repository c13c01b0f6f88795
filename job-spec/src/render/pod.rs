//! The pod: scheduling, user and group IDs, tolerations.

use std::collections::BTreeMap;

use config_core::{
    value::{
        HostAlias as ParsedHostAlias, HostAliases, NameList, PodSecurity, SeccompProfile as Profile,
        TaintEffect, TaintMatch, Toleration as ParsedToleration,
    },
    workspace,
};
use k8s_openapi::api::core::v1::{
    Container, HostAlias, LocalObjectReference, PodSecurityContext, PodSpec, SeccompProfile, Toleration,
};

use super::volumes;
use crate::{JobPlan, names::SecretName, plan::PodParts};

/// User of the stock executor image (`cnb`). The image names it as text only, and with `runAsNonRoot` the
/// kubelet starts no container whose user it does not know as a number.
const USER: i64 = 1002;
/// Group of that user, which owns its home folder.
const GROUP: i64 = 1000;

pub(super) fn render(plan: &JobPlan, container: Container) -> PodSpec {
    let JobPlan { node_selector, volumes, parts, overrides, .. } = plan;
    let PodParts { affinity, topology_spread, sidecars, init_containers, volumes: more_volumes, .. } = parts;
    let init_containers: Vec<Container> = sidecars.iter().chain(init_containers).cloned().collect();
    let node_selector: BTreeMap<String, String> =
        node_selector.iter().map(|(key, value)| (key.to_string(), value.value.to_string())).collect();
    let service_account = overrides.get(&workspace::SERVICE_ACCOUNT);
    let security = overrides.get(&workspace::POD_SECURITY_CONTEXT).cloned().unwrap_or_default();
    let host_aliases = overrides.get(&workspace::HOST_ALIASES).filter(|list| !list.is_empty());
    PodSpec {
        affinity: affinity.clone(),
        automount_service_account_token: Some(service_account.is_some()),
        containers: vec![container],
        enable_service_links: Some(false),
        host_aliases: host_aliases.map(aliases),
        host_users: overrides.get(&workspace::HOST_USERS).copied(),
        image_pull_secrets: overrides.get(&workspace::IMAGE_PULL_SECRETS).map(references),
        init_containers: (!init_containers.is_empty()).then_some(init_containers),
        node_selector: (!node_selector.is_empty()).then_some(node_selector),
        priority_class_name: overrides.get(&workspace::PRIORITY_CLASS).map(ToString::to_string),
        restart_policy: Some("Never".to_owned()),
        runtime_class_name: overrides.get(&workspace::RUNTIME_CLASS).map(ToString::to_string),
        security_context: Some(security_context(&security)),
        service_account_name: service_account.map(ToString::to_string),
        termination_grace_period_seconds: Some(overrides.grace_period().get().into()),
        tolerations: overrides.get(&workspace::TOLERATIONS).map(|list| list.iter().map(toleration).collect()),
        topology_spread_constraints: (!topology_spread.is_empty()).then(|| topology_spread.clone()),
        volumes: volumes::volumes(volumes, more_volumes),
        ..PodSpec::default()
    }
}

fn aliases(list: &HostAliases) -> Vec<HostAlias> {
    let of_address = |alias: &ParsedHostAlias| HostAlias {
        hostnames: Some(alias.names().to_vec()),
        ip: alias.ip().to_string(),
    };
    list.iter().map(of_address).collect()
}

fn references(secrets: &NameList<SecretName>) -> Vec<LocalObjectReference> {
    secrets.iter().map(|name| LocalObjectReference { name: name.to_string() }).collect()
}

fn security_context(security: &PodSecurity) -> PodSecurityContext {
    let profile = security.seccomp_profile().unwrap_or(&Profile::RuntimeDefault);
    PodSecurityContext {
        fs_group: Some(security.fs_group().map_or(GROUP, i64::from)),
        run_as_group: Some(security.run_as_group().map_or(GROUP, i64::from)),
        run_as_non_root: Some(security.run_as_non_root().unwrap_or(true)),
        run_as_user: Some(security.run_as_user().map_or(USER, i64::from)),
        seccomp_profile: Some(SeccompProfile {
            localhost_profile: profile.localhost_profile().map(str::to_owned),
            type_: profile.type_name().to_owned(),
        }),
        supplemental_groups: security
            .supplemental_groups()
            .map(|groups| groups.iter().copied().map(i64::from).collect()),
        ..PodSecurityContext::default()
    }
}

fn toleration(parsed: &ParsedToleration) -> Toleration {
    let ParsedToleration { taint, effect, seconds } = parsed;
    let (key, operator, value) = match taint {
        TaintMatch::Every => (None, "Exists", None),
        TaintMatch::Exists { key } => (Some(key), "Exists", None),
        TaintMatch::Equal { key, value } => (Some(key), "Equal", Some(value)),
    };
    Toleration {
        effect: effect.map(TaintEffect::as_str).map(str::to_owned),
        key: key.cloned(),
        operator: Some(operator.to_owned()),
        toleration_seconds: seconds.map(i64::from),
        value: value.cloned(),
    }
}
