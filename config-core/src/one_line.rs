//! Text that stays on one line: keys and values may hold line breaks, and logs are read line by line.

use std::fmt::{self, Write};

/// Writes text with its control characters escaped.
pub(crate) struct OneLine<'a, 'b>(pub(crate) &'a mut fmt::Formatter<'b>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(char::is_control) {
            match piece.char_indices().next_back().filter(|(_, last)| last.is_control()) {
                Some((end, control)) => write!(self.0, "{}{}", &piece[..end], control.escape_debug())?,
                None => self.0.write_str(piece)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown(&'static str);

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(OneLine(f), "<{}>", self.0)
        }
    }

    #[test]
    fn escapes_control_characters_only() {
        for (text, expected) in [
            ("", "<>"),
            ("é \"a\" \\n", "<é \"a\" \\n>"),
            ("a\nb\r\n", "<a\\nb\\r\\n>"),
            ("\u{1b}[1m\u{85}", "<\\u{1b}[1m\\u{85}>"),
        ] {
            assert_eq!(Shown(text).to_string(), expected);
        }
    }
}
