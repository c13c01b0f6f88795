//! Names of settings: short names, and relaxed names of properties in `-D` options
//! and long environment names.
//!
//! The fixed part of a name is compared by its letters and digits, ignoring case, so `nodeSelector`,
//! `node-selector` and `nodeselector` are the same. A label key keeps
//! its case; in brackets it is used as it is.

use std::borrow::Cow;

use super::{Layers, Named, Origin, RawLayer, SourceName, Target, java_options};
use crate::{Problem, platform, unknown};

/// What most short names begin with; an unknown name that begins so is a typing error.
const SHORT_PREFIX: &str = "ExecutorEphemeral";

/// Finds the setting of a short name, which is compared as `spelled` says.
pub(super) fn short_name(spelled: impl Fn(&str) -> bool) -> Option<Named> {
    platform::settings().find_map(|setting| {
        let target = Target::Setting(setting.name);
        if spelled(setting.name) {
            return Some(target.into());
        }
        let old_name = setting.old_name.filter(|old| spelled(old.name))?;
        Some(Named { target, old_name: Some(old_name) })
    })
}

/// Reports a name that looks like a short name and is none: one of their family, or one in another case.
pub(super) fn misspelt_short_name(name: &str, origin: &Origin) -> Option<Problem> {
    let is_in_family = unknown::starts_with_ignoring_case(name, SHORT_PREFIX);
    if !is_in_family && short_name(|known| known.eq_ignore_ascii_case(name)).is_none() {
        return None;
    }
    let family = if is_in_family { SHORT_PREFIX } else { "" };
    let known = platform::settings().map(|setting| setting.name);
    let known: Vec<&str> = known.filter(|name| name.starts_with(family)).collect();
    Some(unknown::problem(origin.clone(), name, family, &known))
}

const PREFIX_TAIL: [&str; 3] = ["terrakube", "executor", "ephemeral"];

/// Reads the `-D` options of a variable for Java virtual machines.
pub(crate) fn read_options(source: SourceName, variable: &str, text: &str) -> Layers {
    match java_options::split(text) {
        Ok(options) => {
            layers(source, options.iter().filter_map(|option| java_options::system_property(option)))
        }
        Err(unmatched) => {
            let expected = format!("a second {} that ends the quoted text", unmatched.quote);
            let problem = Problem::new(Origin::new(source, variable), expected);
            Layers { problems: vec![problem.with_hint(unmatched.to_string())], ..Layers::default() }
        }
    }
}

/// Finds the settings among properties, given as names and values.
pub(super) fn layers<'a>(source: SourceName, properties: impl Iterator<Item = (&'a str, &'a str)>) -> Layers {
    let mut result = Layers::default();
    let (mut short, mut old, mut new) = (RawLayer::default(), RawLayer::default(), RawLayer::default());
    for (key, value) in properties {
        let origin = Origin::new(source, key);
        if let Some(named) = short_name(|known| known == key) {
            short.push(named, value, origin);
            continue;
        }
        if let Some(problem) = misspelt_short_name(key, &origin) {
            result.problems.push(problem);
            continue;
        }
        let elements = split(key);
        let (layer, rest) = match below_prefix(&elements) {
            Some((Prefix::New, rest)) => (&mut new, rest),
            Some((Prefix::Old, rest)) => (&mut old, rest),
            None => continue,
        };
        match target(rest, key) {
            Ok(named) => layer.push(named, value, origin),
            Err(reason) => result.problems.push(reason.problem(origin)),
        }
    }
    result.short = vec![short];
    result.properties = vec![old, new];
    result
}

/// Which of the two prefixes a name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    Old,
    New,
}

/// One part of a dotted name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Element<'a> {
    /// Between dots.
    Plain(&'a str),
    /// Between brackets.
    Verbatim(&'a str),
    /// An opening bracket without its closing one.
    Unclosed,
}

impl<'a> Element<'a> {
    fn is(&self, canonical: &str) -> bool {
        match self {
            Self::Plain(text) | Self::Verbatim(text) => uniform(text) == canonical,
            Self::Unclosed => false,
        }
    }

    /// Returns the part of a label key that this element is, and whether no character of it was dropped.
    fn map_key(&self) -> (Cow<'a, str>, bool) {
        match *self {
            Self::Verbatim(text) => (Cow::Borrowed(text), true),
            Self::Unclosed => (Cow::Borrowed(""), false),
            Self::Plain(text) => {
                let kept: String = text
                    .char_indices()
                    .filter(|(index, c)| c.is_ascii_alphanumeric() || *c == '_' || (*c == '-' && *index > 0))
                    .map(|(_, c)| c)
                    .collect();
                let complete = kept == text;
                (Cow::Owned(kept), complete)
            }
        }
    }
}

/// Why a name below one of the prefixes is no setting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    /// There is no such property.
    Unknown { property: String },
    /// `nodeSelector` without a label key.
    NoLabelKey,
    /// The label key has characters that are dropped outside brackets.
    DroppedCharacters { written: String, read_as: String },
    /// A bracket is not closed.
    UnclosedBracket,
}

impl NameError {
    pub(super) fn problem(self, origin: Origin) -> Problem {
        let selector = platform::NODE_SELECTOR_PROPERTY;
        match self {
            Self::Unknown { property } => {
                let known: Vec<&str> = platform::properties().collect();
                unknown::problem(origin, &property, "", &known)
            }
            Self::NoLabelKey => Problem::new(origin, "a label key after the name of the node selector")
                .with_hint(format!("write {selector}.diskType=ssd")),
            Self::DroppedCharacters { written, read_as } => Problem::new(
                origin,
                "a label key of letters, digits, `_`, `.` and inner `-`, or any label key in brackets",
            )
            .with_found(&written)
            .with_hint(format!(
                "write {selector}[{written}]; without brackets it would be read as {read_as:?}"
            )),
            Self::UnclosedBracket => Problem::new(origin, "a `]` for every `[`"),
        }
    }
}

/// Splits a name at dots and brackets; empty parts are skipped.
pub(super) fn split(name: &str) -> Vec<Element<'_>> {
    let mut elements = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (index, character) in name.char_indices() {
        match character {
            '[' => {
                if depth == 0 {
                    elements.push(Element::Plain(&name[start..index]));
                    start = index + 1;
                }
                depth += 1;
            }
            ']' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    elements.push(Element::Verbatim(&name[start..index]));
                    start = index + 1;
                }
            }
            '.' if depth == 0 => {
                elements.push(Element::Plain(&name[start..index]));
                start = index + 1;
            }
            _ => {}
        }
    }
    elements.push(if depth > 0 { Element::Unclosed } else { Element::Plain(&name[start..]) });
    elements.retain(|element| !matches!(element, Element::Plain("") | Element::Verbatim("")));
    elements
}

/// Returns what follows one of the two prefixes.
pub(super) fn below_prefix<'e, 'a>(elements: &'e [Element<'a>]) -> Option<(Prefix, &'e [Element<'a>])> {
    let (first, rest) = elements.split_first()?;
    let prefix = match first {
        first if first.is("io") => Prefix::New,
        first if first.is("org") => Prefix::Old,
        _ => return None,
    };
    let (tail, rest) = rest.split_at_checked(PREFIX_TAIL.len())?;
    tail.iter().zip(PREFIX_TAIL).all(|(element, expected)| element.is(expected)).then_some((prefix, rest))
}

/// Finds the setting of the part of a name below the prefix.
pub(crate) fn target(rest: &[Element<'_>], whole: &str) -> Result<Named, NameError> {
    if rest.contains(&Element::Unclosed) {
        return Err(NameError::UnclosedBracket);
    }
    match rest {
        [selector, key @ ..] if selector.is(&uniform(platform::NODE_SELECTOR_PROPERTY)) => {
            label_key(key).map(Named::from)
        }
        [one] if let Some(named) = property(one) => Ok(named),
        [Element::Plain(property) | Element::Verbatim(property), ..] => {
            Err(NameError::Unknown { property: (*property).to_owned() })
        }
        _ => Err(NameError::Unknown { property: whole.to_owned() }),
    }
}

fn property(element: &Element<'_>) -> Option<Named> {
    platform::settings().find_map(|setting| {
        let target = Target::Setting(setting.name);
        if setting.property.is_some_and(|property| element.is(&uniform(property))) {
            return Some(target.into());
        }
        let old_name = setting.old_name.filter(|old| element.is(&uniform(old.property)))?;
        Some(Named { target, old_name: Some(old_name) })
    })
}

fn label_key(elements: &[Element<'_>]) -> Result<Target, NameError> {
    if elements.is_empty() {
        return Err(NameError::NoLabelKey);
    }
    let parts: Vec<_> = elements.iter().map(Element::map_key).collect();
    let read_as = parts.iter().map(|(text, _)| text.as_ref()).collect::<Vec<_>>().join(".");
    if parts.iter().all(|(_, complete)| *complete) {
        return Ok(Target::NodeSelector(read_as));
    }
    let written = elements
        .iter()
        .map(|element| match element {
            Element::Plain(text) | Element::Verbatim(text) => *text,
            Element::Unclosed => "",
        })
        .collect::<Vec<_>>()
        .join(".");
    Err(NameError::DroppedCharacters { written, read_as })
}

/// The form in which fixed parts are compared: ASCII letters in lower case, and digits.
fn uniform(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests;
