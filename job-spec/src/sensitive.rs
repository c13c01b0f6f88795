//! Which values can be kept out of logs.

/// The smallest number of characters, without white space, of a sensitive value.
///
/// A shorter text occurs in ordinary output too often: replacing it would make a log unreadable, and show
/// where the value occurs. From this length on it is found in every spelling, in base64 text at every offset.
pub const MIN_SENSITIVE_CHARS: usize = 6;

/// Returns whether a value is long enough to be kept out of logs. An empty one has nothing to hide. A list or
/// map in HCL or JSON is printed in parts, so one of its texts or numbers must be long enough.
#[must_use]
pub fn is_long_enough_to_hide(value: &str) -> bool {
    if value.is_empty() {
        return true;
    }
    let parts = if value.trim_start().starts_with(['[', '{']) { parts(value) } else { Vec::new() };
    if parts.is_empty() { is_long(value) } else { parts.into_iter().any(is_long) }
}

fn is_long(text: &str) -> bool {
    text.chars().filter(|c| !c.is_whitespace()).count() >= MIN_SENSITIVE_CHARS
}

/// Returns the texts and numbers of a list or map, without the keys of a map. An escaped quote splits a text.
fn parts(value: &str) -> Vec<&str> {
    let sections: Vec<&str> = value.split('"').collect();
    let mut parts = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        if index % 2 == 0 {
            let words = section.split(|c: char| c.is_whitespace() || "[]{},=:()".contains(c));
            parts.extend(
                words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))),
            );
        } else if !sections.get(index + 1).is_some_and(|rest| rest.trim_start().starts_with(['=', ':'])) {
            parts.push(section);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_without_white_space() {
        for value in ["", "hunter", "12 34 56", "pässwö", "a\nb\nc\nd\ne\nf"] {
            assert!(is_long_enough_to_hide(value), "{value:?}");
        }
        for value in [" ", "true", "12345", "a   b   c", "é\né"] {
            assert!(!is_long_enough_to_hide(value), "{value:?}");
        }
    }

    #[test]
    fn list_or_map_needs_one_long_part() {
        for value in [
            r#"["a", "hunter"]"#,
            "[1, 1234567]",
            r#"{ user = "me", password = "correct horse" }"#,
            r#"{"user":"me","password":"correct horse"}"#,
            "[x!y#z+",
            "[]long-enough",
        ] {
            assert!(is_long_enough_to_hide(value), "{value}");
        }
        for value in [r#"["a", "b"]"#, r#"{ password = "abc" }"#, r#"{"password":"abc","port":5432}"#, "[]"] {
            assert!(!is_long_enough_to_hide(value), "{value}");
        }
    }
}
