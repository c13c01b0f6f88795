//! Splits the native syntax of terraform into tokens.
//!
//! Enough to find blocks and to see whether a text is one expression; terraform itself reads everything else.

/// A part of a text that is neither white space nor a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::phase) enum Token<'a> {
    /// A name, keyword or number.
    Word(&'a str),
    /// A text in quotes or a heredoc, without what encloses it.
    Text(&'a str),
    /// Any other character.
    Mark(char),
    /// The end of a line.
    Newline,
}

/// Why a text has no further tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("a text in quotes is not closed")]
    Text,
    #[error("a heredoc is not closed by its marker on a line of its own")]
    Heredoc,
    #[error("a comment is not closed")]
    Comment,
    #[error("a bracket is not closed")]
    Open,
    #[error("a closing bracket has no opening one")]
    Close,
    #[error("it is empty")]
    Empty,
}

/// Splits a text; after a fault the tokens end.
pub(in crate::phase) fn tokens(text: &str) -> (Vec<Token<'_>>, Option<Fault>) {
    let (mut all, mut rest) = (Vec::new(), text);
    loop {
        match next(rest) {
            Ok(Some((token, after))) => {
                all.extend(token);
                rest = after;
            }
            Ok(None) => return (all, None),
            Err(fault) => return (all, Some(fault)),
        }
    }
}

/// Checks that a text cannot end the expression that it is written into: every quote, bracket, comment and
/// heredoc is closed.
pub(super) fn check_expression(text: &str) -> Result<(), Fault> {
    let (tokens, fault) = tokens(text);
    if let Some(fault) = fault {
        return Err(fault);
    }
    let mut open = Vec::new();
    let mut empty = true;
    for token in tokens {
        empty = empty && token == Token::Newline;
        match token {
            Token::Mark('(') => open.push(')'),
            Token::Mark('[') => open.push(']'),
            Token::Mark('{') => open.push('}'),
            Token::Mark(mark @ (')' | ']' | '}')) if open.pop() != Some(mark) => return Err(Fault::Close),
            _ => {}
        }
    }
    if !open.is_empty() {
        return Err(Fault::Open);
    }
    if empty { Err(Fault::Empty) } else { Ok(()) }
}

/// Returns the next token, if the text starts with one, and what follows.
fn next(text: &str) -> Result<Option<(Option<Token<'_>>, &str)>, Fault> {
    let Some(c) = text.chars().next() else { return Ok(None) };
    let (token, length) = if c == '\n' {
        (Some(Token::Newline), 1)
    } else if c.is_whitespace() {
        (None, c.len_utf8())
    } else if c == '#' || text.starts_with("//") {
        (None, text.find('\n').unwrap_or(text.len()))
    } else if text.starts_with("/*") {
        (None, text.find("*/").ok_or(Fault::Comment)? + 2)
    } else if c == '"' {
        let length = quoted_length(text).ok_or(Fault::Text)?;
        (Some(Token::Text(&text[1..length - 1])), length)
    } else if let Some((start, end, length)) = heredoc(text)? {
        (Some(Token::Text(&text[start..end])), length)
    } else if is_word(c) {
        let length = text.find(|c| !is_word(c)).unwrap_or(text.len());
        (Some(Token::Word(&text[..length])), length)
    } else {
        (Some(Token::Mark(c)), c.len_utf8())
    };
    Ok(Some((token, &text[length..])))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// Returns the length of the text in quotes at the start, both quotes included. It may contain templates,
/// which may contain texts.
fn quoted_length(text: &str) -> Option<usize> {
    // What is open: a text in quotes (`"`), or a bracket of a template.
    let mut open = vec!['"'];
    let mut at = 1;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let in_text = open.last() == Some(&'"');
        at += match c {
            '\\' if in_text => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ if in_text && (rest.starts_with("$${") || rest.starts_with("%%{")) => 3,
            _ if in_text && (rest.starts_with("${") || rest.starts_with("%{")) => {
                open.push('{');
                2
            }
            '\n' if in_text => return None,
            '"' => {
                if in_text {
                    open.pop();
                    if open.is_empty() {
                        return Some(at + 1);
                    }
                } else {
                    open.push('"');
                }
                1
            }
            '{' if !in_text => {
                open.push('{');
                1
            }
            '}' if !in_text => {
                open.pop();
                1
            }
            _ => c.len_utf8(),
        };
    }
    None
}

/// Returns start and end of the lines of the heredoc at the start, and its whole length without the last
/// line end.
fn heredoc(text: &str) -> Result<Option<(usize, usize, usize)>, Fault> {
    let Some(opening) = text.strip_prefix("<<") else { return Ok(None) };
    let opening = opening.strip_prefix('-').unwrap_or(opening);
    let Some((line, _)) = opening.split_once('\n') else { return Ok(None) };
    let marker = line.trim();
    if marker.is_empty() || !marker.chars().all(is_word) {
        return Ok(None);
    }
    let start = text.len() - opening.len() + line.len() + 1;
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        if line.trim() == marker {
            return Ok(Some((start, at, at + line.trim_end().len())));
        }
        at += line.len();
    }
    Err(Fault::Heredoc)
}

#[cfg(test)]
mod tests;
