//! Quoting for the word splitting that terraform does on `TF_CLI_ARGS_*`, and that a shell does on
//! `GIT_SSH_COMMAND`.
//!
//! Inside single quotes everything is literal in both, so one way of quoting serves both.

/// Quotes a text as one word.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::quote;

    /// The splitting rules that matter here: literal inside single quotes, an escaped character outside of
    /// them.
    fn split(text: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted, mut chars) = (Vec::new(), None::<String>, false, text.chars());
        while let Some(c) = chars.next() {
            match c {
                '\'' => {
                    quoted = !quoted;
                    word.get_or_insert_default();
                }
                '\\' if !quoted => word.get_or_insert_default().extend(chars.next()),
                c if c.is_whitespace() && !quoted => words.extend(word.take()),
                c => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    #[test]
    fn writes_single_quote_outside_of_quotes() {
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote(r"a\b $HOME"), r"'a\b $HOME'");
    }

    proptest! {
        #[test]
        fn splitting_returns_the_quoted_words(words in proptest::collection::vec(any::<String>(), 0..4)) {
            let line = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split(&line), words);
        }
    }
}
