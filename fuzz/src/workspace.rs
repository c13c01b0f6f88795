//! The variables of a workspace as a whole.

use config_core::{
    Problems, StepKind, Variables, WorkspaceOverrides,
    kubernetes::Rule,
    value::{Annotations, Labels},
    workspace,
};

use crate::{Target, checks, lines, text_of};

pub(crate) const TARGET: Target = Target {
    name: "workspace",
    longest: 96,
    about: "the variables of a workspace are accepted with valid values, or every problem is reported",
    seeds,
    run: |data| {
        let variables: Variables = lines::pairs(&text_of(data)).into_iter().collect();
        // One kind is enough for one input: the engine makes inputs of every length.
        one_kind(&variables, [None, Some(StepKind::Plan), Some(StepKind::Apply)][data.len() % 3]);
        for warning in WorkspaceOverrides::warnings(&variables) {
            assert!(!warning.meaning.is_empty() && !warning.hint.is_empty(), "{warning}");
        }
    },
};

/// Every setting with its example, alone and all together, and a few that are wrong.
pub(crate) fn seeds() -> Vec<String> {
    let examples: Vec<String> =
        workspace::settings().map(|setting| lines::line(setting.name, setting.example)).collect();
    let mut seeds = vec![examples.join("\n")];
    seeds.push(examples.iter().map(|line| line.replacen('=', "_PLAN=", 1)).collect::<Vec<_>>().join("\n"));
    seeds.extend(examples);
    let invalid = [
        "EPHEMERAL_CONFIG_TOLERATION=a\nephemeral_x=1\nTF_PLUGIN_CACHE_DIR=/tmp",
        "EPHEMERAL_CONFIG_MAP_MOUNT_PATH=/a/../b\nPVC_CLAIM_NAME=x\nTERRAKUBE_ENABLE_EPHEMERAL_EXECUTOR=0",
        "EPHEMERAL_MEMORY_REQUEST=2Gi\nEPHEMERAL_MEMORY_LIMIT=1500m\nEPHEMERAL_CPU_LIMIT=0.0001",
    ];
    seeds.extend(invalid.map(str::to_owned));
    seeds
}

fn one_kind(variables: &Variables, kind: Option<StepKind>) {
    let parsed = WorkspaceOverrides::parse(variables, kind);
    let (overrides, found) = WorkspaceOverrides::read(variables, kind);
    match (parsed, Problems::from_vec(found)) {
        (Ok(parsed), None) => {
            assert_eq!(parsed, overrides);
            accepted(&parsed);
        }
        (Err(problems), Some(found)) => {
            assert_eq!(problems, found);
            checks::problems(&problems);
        }
        (parsed, found) => assert_eq!(parsed.err(), found, "reading and parsing agree"),
    }
}

fn accepted(overrides: &WorkspaceOverrides) {
    let labels = [&workspace::NODE_SELECTOR_TAGS, &workspace::LABELS];
    for (key, value) in
        labels.into_iter().filter_map(|variable| overrides.get(variable)).flat_map(Labels::iter)
    {
        checks::rule(Rule::LabelKey, key.as_str());
        checks::rule(Rule::LabelValue, value.as_str());
    }
    let annotations = [&workspace::ANNOTATIONS, &workspace::POD_ANNOTATIONS];
    let annotations = annotations.into_iter().filter_map(|variable| overrides.get(variable));
    for (key, _) in annotations.flat_map(Annotations::iter) {
        checks::rule(Rule::AnnotationKey, key.as_str());
    }
    let names = [
        overrides.get(&workspace::SERVICE_ACCOUNT).map(AsRef::as_ref),
        overrides.get(&workspace::PRIORITY_CLASS).map(AsRef::as_ref),
        overrides.get(&workspace::RUNTIME_CLASS).map(AsRef::as_ref),
    ];
    names.into_iter().flatten().for_each(|name| checks::rule(Rule::DnsSubdomain, name));
    overrides
        .get(&workspace::IMAGE)
        .into_iter()
        .for_each(|image| checks::rule(Rule::ContainerImage, image.as_str()));
    if let Some(mount) = overrides.config_map() {
        checks::rule(Rule::DnsSubdomain, mount.name.as_str());
        checks::rule(Rule::MountPath, mount.mount_path.as_str());
    }
    if let Some(cache) = overrides.plugin_cache() {
        checks::rule(Rule::DnsSubdomain, cache.claim.as_str());
        checks::rule(Rule::MountPath, cache.mount_path.as_str());
    }
    assert!([overrides.deadline(), overrides.grace_period()].into_iter().all(|span| span.get() > 0));
    let resources = overrides.resources();
    for (resource, request) in resources.requests() {
        let limit = resources.limits().get(resource);
        assert!(limit.is_none_or(|limit| request.nanos() <= limit.nanos()), "{resource:?}");
    }
}
