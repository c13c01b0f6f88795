//! Merges raw layers: for every setting the strongest source wins, and its origin with it.
//!
//! Says nothing about values; `settings.rs` checks them.

use std::collections::BTreeMap;

use crate::source::{RawLayer, Sourced, Target};

/// All settings after merging, as text.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) namespace: Sourced<String>,
    pub(crate) image: Sourced<String>,
    pub(crate) secret: Sourced<String>,
    pub(crate) payload_delivery: Sourced<String>,
    pub(crate) node_selector: BTreeMap<String, Sourced<String>>,
}

/// Merges layers, weakest first; the first one must hold every setting that is not a map.
pub(crate) fn merge(layers: Vec<RawLayer>) -> Merged {
    let entries = layers.into_iter().flat_map(|layer| layer.entries);
    // Of two entries with one key a map keeps the later one.
    let mut strongest: BTreeMap<Target, Sourced<String>> = entries.collect();
    let mut take = |target| strongest.remove(&target).expect("the defaults hold every setting");
    Merged {
        namespace: take(Target::Namespace),
        image: take(Target::Image),
        secret: take(Target::Secret),
        payload_delivery: take(Target::PayloadDelivery),
        node_selector: strongest
            .into_iter()
            .filter_map(|(target, found)| match target {
                Target::NodeSelector(label) => Some((label, found)),
                Target::Namespace | Target::Image | Target::Secret | Target::PayloadDelivery => None,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, SourceName};

    fn layer(source: SourceName, entries: &[(Target, &str)]) -> RawLayer {
        let mut layer = RawLayer::default();
        for (index, (target, value)) in entries.iter().enumerate() {
            layer.push(target.clone(), value, Origin::new(source, format!("key-{index}")));
        }
        layer
    }

    fn label(key: &str) -> Target {
        Target::NodeSelector(key.to_owned())
    }

    fn defaults() -> RawLayer {
        layer(
            SourceName::Default,
            &[
                (Target::Namespace, "n"),
                (Target::Image, "i"),
                (Target::Secret, "s"),
                (Target::PayloadDelivery, "p"),
                (label("a"), "1"),
            ],
        )
    }

    #[test]
    fn the_strongest_layer_wins_with_its_origin() {
        let merged = merge(vec![
            defaults(),
            layer(SourceName::Environment, &[(Target::Image, "env"), (Target::Secret, "env")]),
            layer(SourceName::JavaToolOptions, &[(Target::Image, "java")]),
        ]);
        assert_eq!(merged.namespace, Sourced::new("n".to_owned(), Origin::new(SourceName::Default, "key-0")));
        assert_eq!(
            merged.image,
            Sourced::new("java".to_owned(), Origin::new(SourceName::JavaToolOptions, "key-0"))
        );
        assert_eq!(
            merged.secret,
            Sourced::new("env".to_owned(), Origin::new(SourceName::Environment, "key-1"))
        );
    }

    #[test]
    fn label_keys_survive_with_case_dots_slashes_and_brackets() {
        let keys = ["diskType", "topology.kubernetes.io/zone", "a[0]", "", "value", "é.b"];
        let entries: Vec<(Target, &str)> = keys.iter().map(|key| (label(key), "v")).collect();
        let merged = merge(vec![defaults(), layer(SourceName::Environment, &entries)]);
        for key in keys {
            assert_eq!(merged.node_selector[key].value, "v", "{key:?}");
        }
        assert_eq!(merged.node_selector.len(), keys.len() + 1);
    }

    #[test]
    fn values_stay_text() {
        let merged = merge(vec![
            defaults(),
            layer(
                SourceName::Environment,
                &[(Target::Image, "1.10"), (Target::Secret, "true"), (label("a"), "007")],
            ),
        ]);
        assert_eq!(
            (
                merged.image.value.as_str(),
                merged.secret.value.as_str(),
                merged.node_selector["a"].value.as_str()
            ),
            ("1.10", "true", "007")
        );
    }
}
