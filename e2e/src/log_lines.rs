//! Splits the text of a log into lines for the terminal.

/// The end of a log that is not a whole line yet.
#[derive(Debug, Default)]
pub(crate) struct LogLines {
    rest: String,
}

impl LogLines {
    /// Adds text and returns the lines that are complete.
    pub(crate) fn push(&mut self, text: &str) -> Vec<String> {
        self.rest.push_str(text);
        let Some(end) = self.rest.rfind('\n') else { return Vec::new() };
        let rest = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, rest);
        lines.lines().map(str::to_owned).collect()
    }

    /// Returns the last line, if no line break followed it.
    pub(crate) fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() { None } else { Some(rest) }
    }
}

/// Removes escape sequences.
pub(crate) fn without_escape_sequences(line: &str) -> String {
    let mut output = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            output.push(character);
        } else if characters.next_if_eq(&'[').is_some() {
            // A control sequence ends with a letter or one of a few punctuation characters.
            let _ = characters.by_ref().find(|c| ('@'..='~').contains(c));
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_lines_that_arrive_in_pieces() {
        let mut lines = LogLines::default();
        assert_eq!(lines.push("Plan: 8 to"), Vec::<String>::new());
        assert_eq!(lines.push(" add\n\nApply"), ["Plan: 8 to add", ""]);
        assert_eq!(lines.finish().as_deref(), Some("Apply"));
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn removes_escape_sequences_and_keeps_the_text() {
        assert_eq!(without_escape_sequences("\u{1b}[0m\u{1b}[1;32mdone\u{1b}[0m [ok]"), "done [ok]");
        assert_eq!(without_escape_sequences("plain"), "plain");
    }
}
