//! Patterns of values, in which `*` matches any characters; one that begins with `!` excludes values.

use std::fmt;

/// Patterns of which a value must match one, and patterns of which it must match none. An empty list matches
/// no value; a list that only excludes values matches all others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Patterns {
    included: Vec<String>,
    excluded: Vec<String>,
}

impl Patterns {
    pub(super) fn new(patterns: Vec<String>) -> Self {
        let (excluded, mut included): (Vec<_>, Vec<_>) =
            patterns.into_iter().partition(|pattern| pattern.starts_with('!'));
        let excluded: Vec<_> = excluded.into_iter().map(|pattern| pattern[1..].to_owned()).collect();
        if included.is_empty() && !excluded.is_empty() {
            included.push("*".to_owned());
        }
        Self { included, excluded }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, text));
        any(&self.included) && !any(&self.excluded)
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.included.as_slice(), self.excluded.as_slice()) {
            ([], _) => f.write_str("no value"),
            (included, []) => f.write_str(&included.join(" or ")),
            ([any], excluded) if any == "*" => write!(f, "any value but {}", excluded.join(", ")),
            (included, excluded) => write!(f, "{}, but not {}", included.join(" or "), excluded.join(", ")),
        }
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

    #[test]
    fn exclamation_mark_excludes_values() {
        let patterns = |list: &[&str]| Patterns::new(list.iter().map(|&text| text.to_owned()).collect());
        for (list, text, expected) in [
            (&["!api"][..], "terraform-1", true),
            (&["!api"], "api", false),
            (&["*", "!api", "!api-*"], "api-2", false),
            (&["!api", "terraform-*"], "other", false),
            (&["!api", "terraform-*"], "terraform-1", true),
            (&["terraform-*", "!terraform-admin"], "terraform-admin", false),
            (&["!"], "", false),
            (&["!"], "a", true),
            (&[], "a", false),
        ] {
            assert_eq!(patterns(list).matches(text), expected, "{list:?} {text:?}");
        }
        assert_eq!(patterns(&["!api", "!db"]).to_string(), "any value but api, db");
        assert_eq!(patterns(&["a*", "!ab", "b"]).to_string(), "a* or b, but not ab");
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
