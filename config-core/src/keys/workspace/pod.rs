//! The variables of a workspace that shape its pod and have no name in existing systems, described.
//!
//! Data only, for the reference page; what a value means is decided where it is read.

use crate::keys::{
    CONFIG_IMAGE, CONFIG_IMAGE_PULL_POLICY, CONFIG_IMAGE_PULL_SECRETS, CONFIG_PRIORITY_CLASS,
    CONFIG_RUNTIME_CLASS, Place, Setting,
};

pub(in crate::keys) const SETTINGS: &[Setting] = &[
    Setting {
        name: CONFIG_IMAGE,
        place: Place::Workspace,
        also: &[],
        grammar: "`[registry/]path[:tag][@digest]`",
        default: None,
        example: "registry.example.com/team/executor:2.27.2",
        since: "0.1.0",
        permission: true,
        summary: "The container image of the executor; it replaces the image of the platform.",
    },
    Setting {
        name: CONFIG_IMAGE_PULL_POLICY,
        place: Place::Workspace,
        also: &[],
        grammar: "`Always`, `IfNotPresent` or `Never`",
        default: None,
        example: "IfNotPresent",
        since: "0.1.0",
        permission: false,
        summary: "When the node pulls the image. Without it Kubernetes decides by the tag: `Always` for `latest` and for no tag, else `IfNotPresent`.",
    },
    Setting {
        name: CONFIG_IMAGE_PULL_SECRETS,
        place: Place::Workspace,
        also: &[],
        grammar: "DNS subdomains separated by `,`",
        default: None,
        example: "registry-credentials",
        since: "0.1.0",
        permission: false,
        summary: "Secrets of the same namespace with the credentials of image registries.",
    },
    Setting {
        name: CONFIG_PRIORITY_CLASS,
        place: Place::Workspace,
        also: &[],
        grammar: "DNS subdomain",
        default: None,
        example: "terraform-apply",
        since: "0.1.0",
        permission: true,
        summary: "The priority class of the pod: which pods wait, and which are evicted, where nodes are short.",
    },
    Setting {
        name: CONFIG_RUNTIME_CLASS,
        place: Place::Workspace,
        also: &[],
        grammar: "DNS subdomain",
        default: None,
        example: "gvisor",
        since: "0.1.0",
        permission: true,
        summary: "The runtime class of the pod: by what its container is run.",
    },
];
