//! What the patterns of a policy are matched against: the items of a list, or the whole value.

use crate::setting::{AnyVariable, Items, Setting};

/// Returns the items as they print; none if the value cannot be parsed, which is reported elsewhere. An empty
/// list counts as one empty item: an empty node selector means any node,
/// which is at least as much as any list.
pub(super) fn of(variable: &dyn AnyVariable, text: &str) -> Vec<String> {
    match variable.setting().items {
        Items::Whole => vec![text.trim().to_owned()],
        Items::Verbatim => vec![text.to_owned()],
        Items::SeparatedBy(separator) => variable
            .parse(text)
            .map(|list| list.to_string().split(separator).map(str::to_owned).collect())
            .unwrap_or_default(),
        Items::Yaml => Vec::new(),
    }
}

/// Returns what a message may show of an item.
pub(super) fn shown<'i>(setting: &Setting, item: &'i str) -> &'i str {
    match item.split_once('=') {
        Some((name, _)) if setting.is_secret => name,
        _ => item,
    }
}
