//! Patterns of values, in which `*` matches any characters.

use std::fmt;

/// Patterns of which a value must match one; an empty list matches no value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Patterns(Vec<String>);

impl Patterns {
    pub(super) const fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, text))
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("no value") } else { f.write_str(&self.0.join(" or ")) }
    }
}

/// Each part between two `*` is matched at its first occurrence:
/// a later one could only leave less for the others.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(start) = text.find(part) else { return false };
        text = &text[start + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn star_matches_any_characters_and_none() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a;b", true),
            ("a", "a", true),
            ("a", "A", false),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*bc*bc", "abc", false),
            ("a**b", "ab", true),
            ("*é*", "caféß", true),
            ("a.c", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    /// The plain definition, which takes exponential time.
    fn by_definition(pattern: &str, text: &str) -> bool {
        match (pattern.chars().next(), text.chars().next()) {
            (None, None) => true,
            (Some('*'), None) => by_definition(&pattern[1..], text),
            (Some('*'), Some(c)) => {
                by_definition(&pattern[1..], text) || by_definition(pattern, &text[c.len_utf8()..])
            }
            (Some(p), Some(c)) if p == c => by_definition(&pattern[p.len_utf8()..], &text[c.len_utf8()..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matches_like_the_plain_definition(pattern in "[ab*é]{0,8}", text in "[abé]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), by_definition(&pattern, &text));
        }
    }
}
