//! Splits `JAVA_TOOL_OPTIONS` into options exactly as a Java virtual machine (`HotSpot` of `OpenJDK`) does.
//!
//! The rules: options are separated by the six characters of C's `isspace`. A quote character of either kind
//! starts quoted text up to the same character; it may occur anywhere in an option and is dropped. There is
//! no escape character. With an unmatched quote the JVM does not start.
//! `property.rs` decides which setting a `-D` option is.

/// A quote without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the quote {quote} at character {position} is not closed")]
pub struct UnmatchedQuote {
    /// The quote character.
    pub quote: char,
    /// Its position in the text, in characters from 1.
    pub position: usize,
}

/// Splits the text of `JAVA_TOOL_OPTIONS` into options.
///
/// # Errors
/// [`UnmatchedQuote`] where the JVM fails to start with `Unmatched quote`.
///
/// # Examples
/// ```
/// use config_core::java_options::split;
/// assert_eq!(split(r#"-Xmx1g -Da="b c"d"#).unwrap(), ["-Xmx1g", "-Da=b cd"]);
/// assert_eq!(split("-Da='b").unwrap_err().position, 5);
/// ```
pub fn split(text: &str) -> Result<Vec<String>, UnmatchedQuote> {
    let mut options = Vec::new();
    // `None` between options: an option may be empty (`''`), so an empty text is not enough.
    let mut current: Option<String> = None;
    let mut open: Option<UnmatchedQuote> = None;
    for (index, character) in text.chars().enumerate() {
        match open {
            Some(UnmatchedQuote { quote, .. }) if character == quote => open = None,
            None if is_space(character) => options.extend(current.take()),
            None if matches!(character, '\'' | '"') => {
                current.get_or_insert_default();
                open = Some(UnmatchedQuote { quote: character, position: index + 1 });
            }
            Some(_) | None => current.get_or_insert_default().push(character),
        }
    }
    if let Some(unmatched) = open {
        return Err(unmatched);
    }
    options.extend(current);
    Ok(options)
}

/// Reads an option as a system property: `-Dkey=value`, where the value is what follows the first `=`,
/// or empty.
///
/// Other options yield `None`.
///
/// ```
/// use config_core::java_options::system_property;
/// assert_eq!(system_property("-Da=b=c"), Some(("a", "b=c")));
/// assert_eq!(system_property("-Da"), Some(("a", "")));
/// assert_eq!(system_property("-Xmx1g"), None);
/// ```
#[must_use]
pub fn system_property(option: &str) -> Option<(&str, &str)> {
    let definition = option.strip_prefix("-D")?;
    Some(definition.split_once('=').unwrap_or((definition, "")))
}

/// C's `isspace` in the C locale; Rust's own notion of ASCII white space lacks the vertical tab.
const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits_options_like_the_jvm() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("empty text", "", &[]),
            ("only spaces", " \t\n", &[]),
            ("one option", "-Da=b", &["-Da=b"]),
            ("several spaces between", "  -Da=b \t -Dc=d  ", &["-Da=b", "-Dc=d"]),
            ("every space of C", "a\tb\nc\x0bd\x0ce\rf g", &["a", "b", "c", "d", "e", "f", "g"]),
            ("other white space is text", "a\u{a0}b\u{2003}c\u{85}d", &["a\u{a0}b\u{2003}c\u{85}d"]),
            ("double quotes keep spaces", r#"-Da="b c" -Dd=e"#, &["-Da=b c", "-Dd=e"]),
            ("single quotes keep spaces", "-Da='b c'", &["-Da=b c"]),
            ("a quote may begin in mid-option", r#"-D"a b"=c"#, &["-Da b=c"]),
            ("adjacent pieces join", r#"-Da="b c"d'e f'"#, &["-Da=b cde f"]),
            ("the other quote is text", r#"-Da="it's" -Db='"'"#, &["-Da=it's", "-Db=\""]),
            ("a quoted option may be empty", r#"'' "" -Da"#, &["", "", "-Da"]),
            ("a backslash is text", r"-Da=b\ c\\", &[r"-Da=b\", r"c\\"]),
            ("a backslash does not escape a quote", r#"-Da=\"b c\"d"#, &[r"-Da=\b c\d"]),
            ("line breaks inside quotes stay", "-Da='b\nc'", &["-Da=b\nc"]),
        ];
        for (name, text, expected) in cases {
            assert_eq!(split(text).unwrap(), *expected, "{name}");
        }
    }

    #[test]
    fn reports_position_of_unmatched_quote() {
        let cases = [
            ("'", '\'', 1),
            ("-Da=\"b", '"', 5),
            ("-Da='b' -Dc='d", '\'', 13),
            ("-Da=\"it's", '"', 5),
            ("-Dä='", '\'', 5),
        ];
        for (text, quote, position) in cases {
            assert_eq!(split(text), Err(UnmatchedQuote { quote, position }), "{text:?}");
        }
        assert_eq!(split("-Da='b").unwrap_err().to_string(), "the quote ' at character 5 is not closed");
    }

    proptest! {
        #[test]
        fn splits_any_text_without_panic(text in r#"[ \t'"a-z=.D\\-]*|.*"#) {
            let _ = split(&text);
        }

        #[test]
        fn splits_unquoted_text_at_spaces(options in prop::collection::vec("[^ \t\n\u{b}\u{c}\r'\"]+", 0..8)) {
            prop_assert_eq!(split(&options.join(" ")).unwrap(), options);
        }

        #[test]
        fn keeps_quoted_option_unchanged(option in "[^']*") {
            prop_assert_eq!(split(&format!(" '{option}'\n")).unwrap(), vec![option]);
        }
    }
}
