//! The settings that decide the fields of a Job. Fields that one variable decides alone are in its
//! descriptor; the tables here have all others.
//!
//! A test holds the table against every golden and every arbitrary Job: each leaf has a decider.

use config_core::{Origin, SourceName, platform, value::PodSecurity, workspace};

use crate::{
    JobPlan,
    attempt_api::{ATTEMPT_TOKEN_ENV, ATTEMPT_URL_ENV},
    fields::Segment,
    labels,
    volumes::{self, SettingVolume},
};

/// The origin of a field, and the reason if no setting decides it.
pub(super) struct Decision {
    pub(super) origin: Origin,
    pub(super) reason: Option<&'static str>,
}

/// How the origin of a field is found.
#[derive(Clone, Copy)]
enum Decider {
    /// The setting of this name, or its default.
    Setting(&'static str),
    /// The first of these settings that has a value, or the default of the last one.
    FirstOf(&'static [&'static str]),
    /// One item `key=…` of the setting of this name, or a default.
    ItemOf(&'static str, &'static str),
    /// The attempt that the Job is of.
    Request,
    /// This crate, for a reason; a patch of the workspace cannot change it.
    Always(&'static str),
    /// This crate, for a reason, where no patch says otherwise.
    Usually(&'static str),
    /// One of our labels, or one of the workspace.
    Label,
    /// One label of the node selector.
    NodeLabel,
    /// A container that the workspace adds: a sidecar or an init container.
    InitContainer,
    /// A mount of the executor.
    Mount,
}

use Decider::{Always, FirstOf, InitContainer, ItemOf, Label, Mount, NodeLabel, Request, Setting, Usually};

const FOR_TEMPORARY_FILES: &str = "a read-only root file system needs a place for temporary files";

/// Paths of fields and how their origins are found; the first match counts. `*` stands for one segment, `**`
/// at the end for any number of them.
type Table = &'static [(&'static str, Decider)];

/// The fields of a Job.
const JOB: Table = &[
    ("apiVersion", Always("what an attempt is")),
    ("kind", Always("what an attempt is")),
    ("metadata|name", Request),
    ("metadata|namespace", Setting(platform::NAMESPACE.name())),
    ("metadata|labels|*", Label),
    (
        "metadata|annotations|ephemeral-agents.dev/spec-hash",
        Always("distinguishes this Job from another one with its name"),
    ),
    ("spec|backoffLimit", Always("a step runs once")),
    ("spec|podFailurePolicy|**", Always("the cluster writes down why the pod failed")),
    ("spec|podReplacementPolicy", Always("no second pod beside one that is still stopping")),
    ("spec|template|metadata|labels|*", Label),
    ("spec|template|metadata|annotations|*", Setting(workspace::POD_ANNOTATIONS.name())),
    ("spec|template|metadata|**", Always("a pod of a Kubernetes Job is named by the cluster")),
];

/// The same for the pod, below `spec.template.spec`.
const POD: Table = &[
    // Another container of this kind would keep the Kubernetes Job from ending.
    ("containers|**", Setting(workspace::SIDECARS.name())),
    ("enableServiceLinks", Usually("no variables of unrelated services in terraform's environment")),
    // Kubernetes refuses a template that has them.
    ("ephemeralContainers|**", Always("a pod gets ephemeral containers only while it runs")),
    // A pod that names its node passes by the scheduler.
    ("nodeName", Always("the scheduler chooses a node, and minds node selector, taints and free room")),
    ("nodeSelector|*", NodeLabel),
    ("restartPolicy", Always("a step runs once")),
    ("securityContext|fsGroup", ItemOf(workspace::POD_SECURITY_CONTEXT.name(), "fsGroup")),
    ("securityContext|runAsGroup", ItemOf(workspace::POD_SECURITY_CONTEXT.name(), "runAsGroup")),
    ("securityContext|runAsNonRoot", ItemOf(workspace::POD_SECURITY_CONTEXT.name(), "runAsNonRoot")),
    ("securityContext|runAsUser", ItemOf(workspace::POD_SECURITY_CONTEXT.name(), "runAsUser")),
    ("securityContext|seccompProfile|**", ItemOf(workspace::POD_SECURITY_CONTEXT.name(), "seccompProfile")),
    (
        "securityContext|supplementalGroups|**",
        ItemOf(workspace::POD_SECURITY_CONTEXT.name(), "supplementalGroups"),
    ),
    ("initContainers|**", InitContainer),
    ("volumes|tmp|**", Always(FOR_TEMPORARY_FILES)),
];

/// The same for the executor's container.
const CONTAINER: Table = &[
    ("name", Always("the pod failure policy names it")),
    ("image", FirstOf(&[workspace::IMAGE.name(), platform::IMAGE.name()])),
    ("env|EphemeralFlagBatch|**", Always("an executor has no mode but batch")),
    ("env|EphemeralJobData|**", Setting(platform::PAYLOAD_DELIVERY.name())),
    ("env|EphemeralAttemptUrl|**", Request),
    ("env|EphemeralAttemptToken|**", Request),
    ("env|EphemeralGracePeriodSeconds|**", Setting(workspace::GRACE_PERIOD.name())),
    ("envFrom|*|secretRef|**", Setting(platform::SECRET.name())),
    (
        "securityContext|allowPrivilegeEscalation",
        ItemOf(workspace::SECURITY_CONTEXT.name(), "allowPrivilegeEscalation"),
    ),
    (
        "securityContext|readOnlyRootFilesystem",
        ItemOf(workspace::SECURITY_CONTEXT.name(), "readOnlyRootFilesystem"),
    ),
    ("securityContext|capabilities|add|**", ItemOf(workspace::SECURITY_CONTEXT.name(), "addCapabilities")),
    ("securityContext|capabilities|drop|**", Usually("an executor needs no privilege")),
    ("restartPolicy", Always("a step runs once")),
    ("restartPolicyRules|**", Always("a step runs once")),
    ("terminationMessagePolicy", Usually("the last log lines survive in the pod's status")),
    ("volumeMounts|**", Mount),
];

const OF_POD: [&str; 3] = ["spec", "template", "spec"];
const OF_CONTAINER: [&str; 5] = ["spec", "template", "spec", "containers", crate::EXECUTOR_CONTAINER];

/// Returns the origin of a field; `None` for a field that no Job of an attempt has.
pub(super) fn decide(plan: &JobPlan, path: &[Segment]) -> Option<Decision> {
    if plan.patched.0.contains(path) {
        return Setting(workspace::POD_PATCH.name()).of(plan, path);
    }
    decider(path)?.of(plan, path)
}

/// Returns the reason why a patch may not change a field of a pod, if there is one.
pub(crate) fn owner(path: &[Segment]) -> Option<String> {
    let set_by = |keys: &[&str]| Some(format!("{} sets it", keys.join(" or ")));
    match decider(path)? {
        Setting(key) | ItemOf(key, _) => set_by(&[key]),
        FirstOf(settings) => set_by(settings),
        Label => set_by(&[workspace::LABELS.name()]),
        NodeLabel => set_by(&[workspace::NODE_SELECTOR_TAGS.name()]),
        InitContainer => set_by(&[workspace::SIDECARS.name(), workspace::INIT_CONTAINERS.name()]),
        Mount => set_by(&[workspace::VOLUME_MOUNTS.name()]),
        Request => Some("it says which attempt this is".to_owned()),
        Always(reason) => Some(reason.to_owned()),
        Usually(_) => None,
    }
}

fn decider(path: &[Segment]) -> Option<Decider> {
    let tables: [(&[&str], Table); 3] = [(&OF_CONTAINER, CONTAINER), (&OF_POD, POD), (&[], JOB)];
    let (rest, table) = tables.iter().find_map(|(prefix, table)| Some((below(path, prefix)?, table)))?;
    let row = table.iter().find(|(pattern, _)| matches(pattern.split('|'), rest));
    row.map(|(_, decider)| *decider).or_else(|| {
        let sets = |pattern: &&str| matches(pattern.split('.'), path);
        let variable = workspace::settings().find(|variable| variable.sets.iter().any(sets))?;
        Some(Setting(variable.name))
    })
}

fn below<'p>(path: &'p [Segment], prefix: &[&str]) -> Option<&'p [Segment]> {
    let (head, rest) = path.split_at_checked(prefix.len())?;
    head.iter().map(Segment::text).eq(prefix.iter().copied()).then_some(rest)
}

fn matches<'p>(pattern: impl Iterator<Item = &'p str>, path: &[Segment]) -> bool {
    let mut path = path.iter();
    for part in pattern {
        match (part, path.next()) {
            ("**", _) => return true,
            (_, None) => return false,
            (part, Some(segment)) => {
                if part != "*" && part != segment.text() {
                    return false;
                }
            }
        }
    }
    path.next().is_none()
}

impl Decider {
    fn of(self, plan: &JobPlan, path: &[Segment]) -> Option<Decision> {
        let by = |origin| Some(Decision { origin, reason: None });
        let last = path.last().map(Segment::text).unwrap_or_default();
        match self {
            Setting(key) => by(of_setting(plan, key)),
            FirstOf(settings) => {
                let set = settings.iter().find(|key| plan.origins.get(key).is_some());
                by(of_setting(plan, set.or(settings.last())?))
            }
            ItemOf(key, item) => by(if has_item(plan, item) { of_setting(plan, key) } else { default(item) }),
            Request => by(Origin::new(SourceName::Request, request_part(path))),
            Always(reason) | Usually(reason) => {
                Some(Decision { origin: default(last), reason: Some(reason) })
            }
            Label
                if let Some((_, _, name)) =
                    plan.overrides.job_labels().find(|(label, ..)| *label == last) =>
            {
                by(of_setting(plan, name))
            }
            Label => by(match plan.labels.iter().find(|(key, _)| key.as_str() == last) {
                Some((_, value)) => value.origin.clone(),
                None if last == labels::MANAGED_BY => default(last),
                None => Origin::new(SourceName::Request, last),
            }),
            NodeLabel => {
                let mut selector = plan.node_selector.iter();
                by(selector.find(|(key, _)| key.as_str() == last)?.1.origin.clone())
            }
            InitContainer => {
                let name = path.get(OF_POD.len() + 1)?.text();
                let is_sidecar = plan.parts.sidecars.iter().any(|container| container.name == name);
                let key =
                    if is_sidecar { workspace::SIDECARS.name() } else { workspace::INIT_CONTAINERS.name() };
                by(of_setting(plan, key))
            }
            Mount => {
                let mount_path = path.get(OF_CONTAINER.len() + 1)?.text();
                let at_path = |planned: &&SettingVolume| planned.mount_path.as_str() == mount_path;
                match plan.volumes.iter().find(at_path) {
                    Some(planned) if planned.volume.name == volumes::TEMP => {
                        Always(FOR_TEMPORARY_FILES).of(plan, path)
                    }
                    Some(planned) => FirstOf(planned.path_set_by).of(plan, path),
                    None => by(of_setting(plan, workspace::VOLUME_MOUNTS.name())),
                }
            }
        }
    }
}

fn of_setting(plan: &JobPlan, key: &str) -> Origin {
    plan.origins.get(key).cloned().unwrap_or_else(|| default(key))
}

fn default(key: &str) -> Origin {
    Origin::new(SourceName::Default, key)
}

/// Returns whether the security settings of the workspace hold this item.
fn has_item(plan: &JobPlan, item: &str) -> bool {
    let pod = plan.overrides.get(&workspace::POD_SECURITY_CONTEXT);
    let container = plan.overrides.get(&workspace::SECURITY_CONTEXT);
    let printed = [pod.map(ToString::to_string), container.map(ToString::to_string)];
    // `runAsNonRoot: false` follows from user 0.
    let implied = item == "runAsNonRoot" && pod.and_then(PodSecurity::run_as_user) == Some(0);
    implied
        || printed
            .iter()
            .flatten()
            .flat_map(|list| list.split(';'))
            .any(|entry| entry.split_once('=').is_some_and(|(key, _)| key == item))
}

fn request_part(path: &[Segment]) -> &str {
    let named = [ATTEMPT_URL_ENV, ATTEMPT_TOKEN_ENV];
    let part = path.iter().map(Segment::text).find(|text| named.contains(text));
    part.or(path.last().map(Segment::text)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_segment_by_segment() {
        let path: Vec<Segment> = ["a", "b/c", "d"].map(|text| Segment::Key(text.to_owned())).into();
        for pattern in ["a|b/c|d", "a|*|d", "*|*|*", "**", "a|**", "a|b/c|d|**"] {
            assert!(matches(pattern.split('|'), &path), "{pattern}");
        }
        for pattern in ["a", "a|b/c", "a|b|d", "a|b/c|d|*", "*", "a|*|*|*"] {
            assert!(!matches(pattern.split('|'), &path), "{pattern}");
        }
    }
}
