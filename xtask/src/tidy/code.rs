//! Tells code from comments and literals in a Rust file, well enough for the rules.
//!
//! No parser: one walk over the characters that knows comments, strings, raw strings and character literals.

/// Returns the text with every comment and literal blanked out; lines and columns stay where they are.
pub(super) fn only(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut output = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = literal_or_comment_end(&characters, at);
        if end > at {
            output.extend(characters[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            output.push(characters[at]);
            at += 1;
        }
    }
    output
}

/// Returns where the comment or literal that starts at `start` ends; `start` itself if none starts there.
fn literal_or_comment_end(text: &[char], start: usize) -> usize {
    match (text[start], text.get(start + 1)) {
        ('/', Some('/')) => (start..text.len()).find(|at| text[*at] == '\n').unwrap_or(text.len()),
        ('/', Some('*')) => block_comment_end(text, start),
        ('"', _) => string_end(text, start),
        ('r', Some('"' | '#')) if !is_name(text, start) => raw_string_end(text, start).unwrap_or(start),
        ('\'', Some(_)) => character_end(text, start),
        _ => start,
    }
}

/// The character before `at` belongs to a name, which then goes on: `for"` is no raw string.
fn is_name(text: &[char], at: usize) -> bool {
    at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_') && text[at - 1] != 'b'
}

fn block_comment_end(text: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(text.len())
}

fn string_end(text: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn raw_string_end(text: &[char], start: usize) -> Option<usize> {
    let hashes = text[start + 1..].iter().take_while(|c| **c == '#').count();
    let quote = start + 1 + hashes;
    if text.get(quote) != Some(&'"') {
        return None;
    }
    let closes = |at: &usize| text[*at] == '"' && (1..=hashes).all(|n| text.get(at + n) == Some(&'#'));
    Some((quote + 1..text.len()).find(closes).map_or(text.len(), |at| at + 1 + hashes))
}

/// A quote starts a character literal or a lifetime; only the former has a second quote where it belongs.
fn character_end(text: &[char], start: usize) -> usize {
    if text[start + 1] == '\\' {
        let closing = (start + 3..text.len()).find(|at| text[*at] == '\'');
        return closing.map_or(text.len(), |at| at + 1);
    }
    if text.get(start + 2) == Some(&'\'') { start + 3 } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x \" y", z)"#, r"f(        , z)"),
            (r##"f(r#"x " y"#, z)"##, "f(          , z)"),
            (r#"b"x" br"y""#, "b    b    "),
            (
                "fn f<'a>(x: &'a str, c: char) { c == 'x' || c == '\\'' }",
                "fn f<'a>(x: &'a str, c: char) { c ==     || c ==      }",
            ),
            ("\"open", "     "),
            ("r#type", "r#type"),
        ];
        for (text, expected) in cases {
            assert_eq!(only(text), expected, "{text}");
        }
    }
}
