//! Variables about the rights of the pod: service account, user and group IDs, capabilities.

use crate::{
    names::ServiceAccountName,
    setting::{Items, Setting, trimmed, value, variables},
    value::{ContainerSecurity, EntryError, ListError, PodSecurity},
};

variables! {
    SECURITY_GROUP;

    /// The service account of the pod. Only a pod with a named account gets a token of the cluster.
    SERVICE_ACCOUNT: ServiceAccountName = trimmed, Setting {
        grammar: "DNS subdomain",
        example: "terraform-runner",
        if_empty: Some("remove it to use no account of its own"),
        sets: &[
            "spec.template.spec.serviceAccountName",
            "spec.template.spec.serviceAccount",
            "spec.template.spec.automountServiceAccountToken",
        ],
        ..Setting::workspace("EPHEMERAL_CONFIG_SERVICE_ACCOUNT")
    };

    /// Whether the pod uses the user IDs of its node. With `false` it gets a user namespace of its own: root
    /// in a container is then an unprivileged user of the node. Needs Kubernetes 1.33 and a container runtime
    /// with support for user namespaces. `true` is the default of Kubernetes.
    /// The Pod Security level is checked in either case.
    HOST_USERS: bool = boolean, Setting {
        grammar: "`true` or `false`",
        example: "false",
        if_empty: Some("remove it to use the default of Kubernetes"),
        sets: &["spec.template.spec.hostUsers"],
        ..Setting::workspace("EPHEMERAL_CONFIG_HOST_USERS")
    };

    /// User and group IDs and the seccomp profile of the pod.
    /// `runAsUser=0` alone implies `runAsNonRoot=false`.
    POD_SECURITY_CONTEXT: PodSecurity = value, Setting {
        grammar: "`key=value;key=value`; `fsGroup`, `runAsGroup` and `runAsUser` take a number from 0 to \
                  2147483647, `supplementalGroups` takes such numbers separated by `,`, `runAsNonRoot` takes \
                  `true` or `false`, `seccompProfile` takes `RuntimeDefault`, \
                  `Unconfined` or `Localhost/<path>`",
        default: Some("fsGroup=1000;runAsGroup=1000;runAsNonRoot=true;runAsUser=1002;seccompProfile=RuntimeDefault"),
        example: "runAsUser=2000;fsGroup=2000",
        items: Items::SeparatedBy(';'),
        ..Setting::workspace("EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT")
    };

    /// What the container may do. It drops every capability except those of `addCapabilities`. With a
    /// read-only root file system, `/tmp` is an empty writable folder.
    SECURITY_CONTEXT: ContainerSecurity = value, Setting {
        grammar: "`key=value;key=value`; `allowPrivilegeEscalation` and `readOnlyRootFilesystem` take `true` \
                  or `false`, `addCapabilities` takes names of Linux without `CAP_`, separated by `,`",
        default: Some("allowPrivilegeEscalation=false;readOnlyRootFilesystem=false"),
        example: "readOnlyRootFilesystem=true",
        items: Items::SeparatedBy(';'),
        ..Setting::workspace("EPHEMERAL_CONFIG_SECURITY_CONTEXT")
    };
}

fn boolean(text: &str) -> Result<bool, ListError> {
    text.trim().parse().map_err(|_| EntryError::new(text, "true or false").into())
}
