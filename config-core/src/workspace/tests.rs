//! What holds for every descriptor of platform and workspace.

use std::collections::BTreeSet;

use super::*;
use crate::{Items, Place, platform};

fn descriptors() -> impl Iterator<Item = &'static dyn AnyVariable> {
    variables().chain(platform::ALL.iter().copied())
}

#[test]
fn every_example_and_default_is_valid() {
    for variable in descriptors() {
        let setting = variable.setting();
        for text in [setting.example].into_iter().chain(setting.default) {
            assert!(variable.parse(text).is_ok(), "{}={text}: {:?}", setting.name, variable.parse(text));
        }
    }
}

#[test]
fn every_descriptor_is_complete() {
    for setting in settings().chain(platform::settings()).chain(crate::executor::ALL) {
        let Setting { name, grammar, example, summary, since, .. } = setting;
        assert!(![grammar, example, since].iter().any(|text| text.is_empty()), "{name}");
        assert!(summary.trim().ends_with('.') && !summary.contains("  "), "{name}: {summary:?}");
        assert_eq!(setting.is_yaml(), grammar.starts_with("YAML"), "{name}");
        for other in [setting.only_with, setting.replaced_by].into_iter().flatten() {
            assert!(find(other).is_some(), "{name} refers to {other}");
        }
    }
    assert!(settings().all(|setting| setting.place == Place::Workspace));
    assert!(
        platform::settings().all(|setting| setting.place == Place::Platform && setting.property.is_some())
    );
}

/// Names are compared without case and dashes, and with the suffix of a step kind,
/// so they must differ in more than that.
#[test]
fn no_two_names_or_aliases_collide() {
    let of_platform = platform::settings().flat_map(|setting| {
        let old = setting.old_name.map(|old| (old.name, old.property));
        [Some((setting.name, setting.property.unwrap_or_default())), old].into_iter().flatten()
    });
    let (names, properties): (Vec<_>, Vec<_>) = of_platform.unzip();
    let families = [
        (
            "short names",
            names.iter().copied().chain(settings().map(|setting| setting.name)).collect::<Vec<_>>(),
        ),
        ("properties", properties.into_iter().chain([platform::NODE_SELECTOR_PROPERTY]).collect()),
    ];
    for (family, names) in families {
        let mut seen = BTreeSet::new();
        for name in names {
            let uniform: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            assert!(seen.insert(uniform.to_ascii_lowercase()), "{family}: {name} stands for two settings");
        }
    }
    for setting in settings() {
        assert_eq!(
            without_kind(setting.name),
            setting.name,
            "{} ends like one for a kind of steps",
            setting.name
        );
    }
}

#[test]
fn lists_are_matched_item_by_item() {
    for variable in variables() {
        let setting = variable.setting();
        let Items::SeparatedBy(separator) = setting.items else { continue };
        let printed = variable.parse(setting.example).unwrap().to_string();
        let items: Vec<String> = printed.split(separator).map(str::to_owned).collect();
        assert!(items.iter().all(|item| variable.parse(item).is_ok()), "{}: {items:?}", setting.name);
    }
}
