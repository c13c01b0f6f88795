//! Readable inputs: `NAME=value` lines.

/// Reads lines of `NAME=value`; a line without `=` is a name with an empty value.
///
/// In a value `\n` stands for a line break and `\\` for a backslash, so that values may have several lines.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let lines = text.split('\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            (name.to_owned(), unescaped(value))
        })
        .collect()
}

/// Writes one line.
pub(crate) fn line(name: &str, value: &str) -> String {
    format!("{name}={}", value.replace('\\', "\\\\").replace('\n', "\\n"))
}

fn unescaped(value: &str) -> String {
    let mut characters = value.chars();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_line_as_written() {
        for value in ["", "a=b", "a\nb", "a\\nb", "\\", "\\\\\n"] {
            assert_eq!(pairs(&line("N", value)), [("N".to_owned(), value.to_owned())]);
        }
    }
}
