//! Merges the layers of all sources into one table, with the crate `config`.
//!
//! What `config` does here, and what it does not:
//!
//! - *Does:* merging. Each layer is one of its [`Source`]s and yields a table of plain values;
//!   the node selector is a table in
//!   it and is merged label by label. Each value carries its [`Origin`] as the
//!   origin of a `config` [`Value`], so the origin of
//!   the winner comes out of the merge with the winner.
//! - *Does not:* reading. Its environment source changes the case of names and splits them, so
//!   `nodeSelector.diskType` would
//!   not survive; it knows neither `JAVA_TOOL_OPTIONS` nor relaxed names of properties;
//!   and a source of `config` can fail with
//!   one error only, where we report every problem at once, with the nearest known name.
//!   So the sources here are layers that
//!   were read before ([`crate::source`]), and what is wrong in them was reported before.
//! - *Does not:* typing. Deserializing a merged `config` value drops its origin,
//!   so values are taken out as text with their
//!   origin and are parsed by their descriptors (`settings.rs`).

use std::collections::BTreeMap;

use config::{Config, ConfigBuilder, ConfigError, Map, Source, Value, ValueKind, builder::DefaultState};

use crate::{
    platform::NODE_SELECTOR_PROPERTY,
    source::{Origin, RawLayer, Sourced, Target},
};

/// All settings after merging, as text.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// By the name of the setting.
    pub(crate) settings: BTreeMap<String, Sourced<String>>,
    /// By label key.
    pub(crate) node_selector: BTreeMap<String, Sourced<String>>,
}

/// Merges layers, weakest first.
pub(crate) fn merge(layers: Vec<RawLayer>) -> Merged {
    let config = layers
        .into_iter()
        .fold(Config::builder(), ConfigBuilder::<DefaultState>::add_source)
        .build()
        .expect("no layer fails: its table was read before");
    let mut merged = Merged::default();
    for (name, value) in table(config.cache) {
        if name == NODE_SELECTOR_PROPERTY {
            let labels = table(value).into_iter();
            merged.node_selector = labels.filter_map(|(key, value)| Some((key, sourced(value)?))).collect();
        } else {
            merged.settings.extend(sourced(value).map(|value| (name, value)));
        }
    }
    merged
}

fn table(value: Value) -> Map<String, Value> {
    value.into_table().unwrap_or_default()
}

fn sourced(value: Value) -> Option<Sourced<String>> {
    let origin = value.origin().and_then(Origin::from_compact)?;
    Some(Sourced::new(value.into_string().ok()?, origin))
}

impl Source for RawLayer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut root = Map::new();
        let mut node_selector = Map::new();
        for (target, Sourced { value, origin }) in &self.entries {
            let value = Value::new(Some(&origin.to_compact()), ValueKind::String(value.clone()));
            match target {
                Target::Setting(name) => root.insert((*name).to_owned(), value),
                Target::NodeSelector(label) => node_selector.insert(label.clone(), value),
            };
        }
        if !node_selector.is_empty() {
            root.insert(NODE_SELECTOR_PROPERTY.to_owned(), node_selector.into());
        }
        Ok(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceName;

    const IMAGE: Target = Target::Setting("Image");
    const SECRET: Target = Target::Setting("Secret");

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
        let namespace = Target::Setting("Namespace");
        layer(SourceName::Default, &[(namespace, "n"), (IMAGE, "i"), (SECRET, "s"), (label("a"), "1")])
    }

    #[test]
    fn strongest_layer_wins_with_its_origin() {
        let merged = merge(vec![
            defaults(),
            layer(SourceName::Environment, &[(IMAGE, "env"), (SECRET, "env")]),
            layer(SourceName::JavaToolOptions, &[(IMAGE, "java")]),
        ]);
        let expected = |value: &str, source, key| Sourced::new(value.to_owned(), Origin::new(source, key));
        assert_eq!(merged.settings["Namespace"], expected("n", SourceName::Default, "key-0"));
        assert_eq!(merged.settings["Image"], expected("java", SourceName::JavaToolOptions, "key-0"));
        assert_eq!(merged.settings["Secret"], expected("env", SourceName::Environment, "key-1"));
        assert_eq!(merged.node_selector["a"], expected("1", SourceName::Default, "key-3"));
    }

    #[test]
    fn keeps_case_dots_slashes_and_brackets_of_label_keys() {
        let keys = ["diskType", "topology.kubernetes.io/zone", "a[0]", "", "value", "é.b", "nodeSelector"];
        let entries: Vec<(Target, &str)> = keys.iter().map(|key| (label(key), "v")).collect();
        let merged = merge(vec![defaults(), layer(SourceName::Environment, &entries)]);
        for key in keys {
            assert_eq!(merged.node_selector[key].value, "v", "{key:?}");
        }
        assert_eq!(merged.node_selector.len(), keys.len() + 1);
    }

    #[test]
    fn keeps_values_as_text() {
        let texts = [(IMAGE, "1.10"), (SECRET, "true"), (label("a"), "007")];
        let merged = merge(vec![defaults(), layer(SourceName::Environment, &texts)]);
        let found = [&merged.settings["Image"], &merged.settings["Secret"], &merged.node_selector["a"]];
        assert_eq!(found.map(|found| found.value.as_str()), ["1.10", "true", "007"]);
    }

    #[test]
    fn keeps_origins_whose_keys_hold_spaces() {
        let mut spaced = RawLayer::default();
        let origin = Origin::new(SourceName::SettingsFile, "a \"b c\"  d");
        spaced.push(IMAGE, "i", origin.clone());
        assert_eq!(merge(vec![defaults(), spaced]).settings["Image"].origin, origin);
    }
}
