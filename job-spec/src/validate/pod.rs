//! The pod apart from its container, its volumes and its metadata: node, user and group IDs, service account.

use config_core::{EphemeralSettings, Sourced, WorkspaceOverrides, keys};

use super::checks::Checks;
use crate::plan::PlannedPod;

impl Checks<'_> {
    pub(super) fn pod(&self, settings: &EphemeralSettings, overrides: &WorkspaceOverrides) -> PlannedPod {
        let WorkspaceOverrides {
            node_selector,
            image_pull_secrets,
            priority_class,
            runtime_class,
            host_aliases,
            service_account,
            tolerations,
            pod_security,
            ..
        } = overrides;
        // Labels of the workspace replace those of the platform.
        let node_selector = match node_selector {
            None => settings.node_selector.clone(),
            Some(labels) => {
                let origin = self.origin(keys::CONFIG_NODE_SELECTOR_TAGS);
                let sourced = |(key, value): (&_, &_)| {
                    (Clone::clone(key), Sourced::new(Clone::clone(value), origin.clone()))
                };
                labels.iter().map(sourced).collect()
            }
        };
        PlannedPod {
            node_selector,
            image_pull_secrets: image_pull_secrets.iter().flatten().cloned().collect(),
            priority_class: priority_class.clone(),
            runtime_class: runtime_class.clone(),
            host_aliases: host_aliases.clone(),
            service_account: service_account.clone(),
            tolerations: tolerations.clone(),
            security: pod_security.clone(),
        }
    }
}
