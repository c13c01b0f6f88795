//! Merges raw layers through the `config` crate.
//!
//! Says nothing about values; `settings.rs` checks them. Our own [`config::Source`] hands over ready nested tables,
//! because the sources of that crate change the case of names and split label keys at their dots. Each leaf is itself
//! a table of value and origin, so the origin of the winner comes out of the merge together with it.

use std::collections::BTreeMap;

use config::{Config, ConfigBuilder, ConfigError, Map, Source, Value, ValueKind, builder::DefaultState};
use serde::Deserialize;

use crate::source::{Origin, RawLayer, Sourced, Target};

const NODE_SELECTOR: &str = "node_selector";

/// All settings after merging, as text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Merged {
    pub(crate) namespace: Sourced<String>,
    pub(crate) image: Sourced<String>,
    pub(crate) secret: Sourced<String>,
    pub(crate) payload_delivery: Sourced<String>,
    #[serde(default)]
    pub(crate) node_selector: BTreeMap<String, Sourced<String>>,
}

/// Merges layers, weakest first; the first one must hold every setting that is not a map.
pub(crate) fn merge(layers: Vec<RawLayer>) -> Merged {
    layers
        .into_iter()
        .fold(Config::builder(), ConfigBuilder::<DefaultState>::add_source)
        .build()
        .and_then(Config::try_deserialize)
        .expect("every layer is made of ready tables, and the defaults hold every setting")
}

impl Source for RawLayer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut root = Map::new();
        let mut node_selector = Map::new();
        for (target, sourced) in &self.entries {
            let leaf = leaf(sourced);
            match target {
                Target::Namespace => root.insert("namespace".to_owned(), leaf),
                Target::Image => root.insert("image".to_owned(), leaf),
                Target::Secret => root.insert("secret".to_owned(), leaf),
                Target::PayloadDelivery => root.insert("payload_delivery".to_owned(), leaf),
                Target::NodeSelector(label) => node_selector.insert(label.clone(), leaf),
            };
        }
        if !node_selector.is_empty() {
            root.insert(NODE_SELECTOR.to_owned(), node_selector.into());
        }
        Ok(root)
    }
}

fn leaf(sourced: &Sourced<String>) -> Value {
    let Sourced { value, origin: Origin { source, key } } = sourced;
    let text = |text: &str| Value::new(None, ValueKind::String(text.to_owned()));
    let origin =
        Map::from_iter([("source".to_owned(), text(source.as_str())), ("key".to_owned(), text(key))]);
    Map::from_iter([("value".to_owned(), text(value)), ("origin".to_owned(), origin.into())]).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceName;

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
