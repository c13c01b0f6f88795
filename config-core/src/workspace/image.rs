//! Variables about the container image of the executor.

use crate::{
    names::{Image, SecretName},
    setting::{Items, Setting, trimmed, value, variables},
    value::{ImagePullPolicy, NameList},
};

variables! {
    IMAGE_GROUP;

    /// The container image of the executor; it replaces the image of the platform.
    IMAGE: Image = trimmed, Setting {
        grammar: "`[registry/]path[:tag][@digest]`",
        example: "registry.example.com/team/executor:2.27.2",
        permission: true,
        if_empty: Some("remove it to use the image of the platform"),
        ..Setting::workspace("EPHEMERAL_CONFIG_IMAGE")
    };

    /// When the node pulls the image. Without it Kubernetes decides by the tag: `Always` for `latest` and for
    /// no tag, otherwise `IfNotPresent`.
    IMAGE_PULL_POLICY: ImagePullPolicy = value, Setting {
        grammar: "`Always`, `IfNotPresent` or `Never`",
        example: "IfNotPresent",
        sets: &["spec.template.spec.containers.executor.imagePullPolicy"],
        ..Setting::workspace("EPHEMERAL_CONFIG_IMAGE_PULL_POLICY")
    };

    /// Secrets of the same namespace with the credentials of image registries.
    IMAGE_PULL_SECRETS: NameList<SecretName> = value, Setting {
        grammar: "DNS subdomains separated by `,`",
        example: "registry-credentials",
        items: Items::SeparatedBy(','),
        sets: &["spec.template.spec.imagePullSecrets.**"],
        ..Setting::workspace("EPHEMERAL_CONFIG_IMAGE_PULL_SECRETS")
    };
}
