//! Labels and annotations of the Kubernetes Job and of its pod.

use crate::{
    setting::{Items, Setting, value, variables},
    value::{Annotations, Labels},
};

variables! {
    METADATA_GROUP;

    /// Labels of the Kubernetes Job and of its pod. The labels by which attempts are found cannot be set.
    LABELS: Labels = value, Setting {
        grammar: "`key=value;key=value`, a label key and a label value each",
        example: "team=platform;cost-center=17",
        items: Items::SeparatedBy(';'),
        ..Setting::workspace("EPHEMERAL_CONFIG_LABELS")
    };

    /// Annotations of the Kubernetes Job (not of its pod).
    ANNOTATIONS: Annotations = value, Setting {
        grammar: ANNOTATION_LIST,
        example: "team=platform;cost-center=a=17",
        items: Items::SeparatedBy(';'),
        sets: &["metadata.annotations.*"],
        ..Setting::workspace("EPHEMERAL_CONFIG_ANNOTATIONS")
    };

    /// Annotations of the pod (not of the Kubernetes Job).
    POD_ANNOTATIONS: Annotations = value, Setting {
        grammar: ANNOTATION_LIST,
        example: "sidecar.istio.io/inject=false",
        items: Items::SeparatedBy(';'),
        ..Setting::workspace("EPHEMERAL_CONFIG_POD_ANNOTATIONS")
    };
}

const ANNOTATION_LIST: &str = "`key=value;key=value`, an annotation key and any text without `;` each";
