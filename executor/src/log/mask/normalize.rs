//! What is left out of a line before it is compared with secrets: spaces, colors, and what terraform puts in
//! front of each line.

/// Iterates over the bytes of a text that are compared, each with its position.
///
/// White space and escape sequences are left out. At the start of a line, so are the border of an error
/// message, the bar of a trace log and the sign of a change.
pub(super) fn compared(text: &str, at_line_start: bool) -> impl Iterator<Item = (usize, u8)> {
    let from = if at_line_start { line_start(text) } else { 0 };
    let mut rest = &text[from..];
    std::iter::from_fn(move || {
        loop {
            let position = text.len() - rest.len();
            if let Some(after) = without_escape_sequence(rest) {
                rest = after;
                continue;
            }
            let next = rest.chars().next()?;
            rest = &rest[next.len_utf8()..];
            if !next.is_whitespace() {
                return Some((position, next));
            }
        }
    })
    .flat_map(move |(position, next)| {
        let bytes = &text.as_bytes()[position..position + next.len_utf8()];
        (position..).zip(bytes.iter().copied())
    })
}

/// Splits what terraform puts in front of the output of a provisioner from a line:
/// `terraform_data.network (local-exec): `.
pub(super) fn split_provisioner(line: &str) -> Option<(&str, &str)> {
    let end =
        ["(local-exec):", "(remote-exec):"].iter().find_map(|name| Some(line.find(name)? + name.len()))?;
    Some(line.split_at(end))
}

/// Returns the number of bytes in front of the text of a line.
fn line_start(line: &str) -> usize {
    let mut rest = trim(line);
    while let Some(after) = rest.strip_prefix(['│', '╷', '╵', '|']) {
        rest = trim(after);
    }
    for sign in ["-/+ ", "+/- ", "+ ", "- ", "~ "] {
        if let Some(after) = rest.strip_prefix(sign) {
            rest = after;
            break;
        }
    }
    line.len() - rest.len()
}

fn trim(mut text: &str) -> &str {
    loop {
        let trimmed = text.trim_start();
        match without_escape_sequence(trimmed) {
            Some(after) => text = after,
            None => return trimmed,
        }
    }
}

/// Returns the rest after an escape sequence of a terminal (ECMA-48, section 5.4).
fn without_escape_sequence(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c))?;
    parameters[..end].chars().all(|c| ('\u{20}'..='\u{3f}').contains(&c)).then(|| &parameters[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> String {
        String::from_utf8(compared(line, true).map(|(_, byte)| byte).collect()).unwrap()
    }

    #[test]
    fn leaves_out_spaces_colors_borders_and_signs() {
        for (line, expected) in [
            ("a b\tc\u{a0}d", "abcd"),
            ("\u{1b}[31m│\u{1b}[0m \u{1b}[0mé\u{1b}[1m!", "é!"),
            ("│   on main.tf", "onmain.tf"),
            ("  | body", "body"),
            ("      + -----BEGIN", "-----BEGIN"),
            ("-/+ x - y", "x-y"),
            ("-----END", "-----END"),
            ("-x", "-x"),
            ("\u{1b}[", "\u{1b}["),
            ("\u{1b}[é", "\u{1b}[é"),
            ("", ""),
        ] {
            assert_eq!(text(line), expected, "{line:?}");
        }
        assert_eq!(compared("│a", false).count(), "│a".len());
    }

    #[test]
    fn splits_the_prefix_of_a_provisioner() {
        let line = "\u{1b}[1mterraform_data.a[\"x\"] (local-exec):\u{1b}[0m hello";
        assert_eq!(split_provisioner(line).unwrap().1, "\u{1b}[0m hello");
        assert_eq!(split_provisioner("Apply complete!"), None);
    }
}
