//! The pod beside its container, its volumes and its metadata: where it runs, and as whom.

use config_core::{EphemeralSettings, WorkspaceOverrides, keys, value::Names};

use super::checks::Checks;
use crate::{
    names::{PriorityClassName, RuntimeClassName, SecretName, ServiceAccountName},
    plan::PlannedPod,
};

impl Checks<'_> {
    pub(super) fn pod(&mut self, settings: &EphemeralSettings, overrides: &WorkspaceOverrides) -> PlannedPod {
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
        PlannedPod {
            node_selector: self.node_selector(node_selector.as_ref(), &settings.node_selector),
            image_pull_secrets: self.names(
                &self.origin(keys::CONFIG_IMAGE_PULL_SECRETS),
                image_pull_secrets.iter().flat_map(Names::iter).map(SecretName::new),
            ),
            priority_class: self.optional_name(
                keys::CONFIG_PRIORITY_CLASS,
                priority_class.as_ref(),
                PriorityClassName::new,
            ),
            runtime_class: self.optional_name(
                keys::CONFIG_RUNTIME_CLASS,
                runtime_class.as_ref(),
                RuntimeClassName::new,
            ),
            host_aliases: host_aliases.clone(),
            service_account: self.optional_name(
                keys::CONFIG_SERVICE_ACCOUNT,
                service_account.as_ref(),
                ServiceAccountName::new,
            ),
            tolerations: tolerations.clone(),
            security: pod_security.clone(),
        }
    }
}
