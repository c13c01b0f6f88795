//! Parses TOML to a tree in which every key has its path and its line.
//!
//! Deserializing into structs would end at the first error and lose the lines,
//! so the tree is built from spans.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{Origin, Problem, SourceName};

/// No file of ours is deeper; deeper values are kept as text.
const MAX_DEPTH: usize = 8;

/// A document, with its syntax errors as problems.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Vec<Entry>,
    pub(crate) lines: Lines,
    pub(crate) problems: Vec<Problem>,
}

/// The lines of the keys of a document, by their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lines(BTreeMap<String, usize>);

/// A key with its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Its key is the path, from the root on.
    pub(crate) origin: Origin,
    pub(crate) node: Node,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// A number, a date and the like, as it was written.
    Other(String),
}

impl Node {
    /// Returns the value as it was written, for a message.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Other(text) => text.clone(),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Table(_) => "a table".to_owned(),
        }
    }
}

impl Entry {
    /// Returns the text of the value, or the problem of its type.
    pub(crate) fn text(&self, problems: &mut Vec<Problem>) -> Option<&str> {
        match &self.node {
            Node::Text(text) => return Some(text),
            Node::Other(written) => {
                let quoted = format!("write {} = {written:?}", part(&self.name));
                problems.push(self.problem("a string in quotes").with_found(written).with_hint(quoted));
            }
            other => problems.push(self.problem("a string in quotes").with_found(&other.shown())),
        }
        None
    }

    /// Returns the entries of a table, or the problem of the value's type.
    pub(crate) fn table(&self, problems: &mut Vec<Problem>) -> &[Entry] {
        if let Node::Table(entries) = &self.node {
            return entries;
        }
        problems.push(
            self.problem("a table")
                .with_found(&self.node.shown())
                .with_hint(format!("write [{}]", self.origin.key)),
        );
        &[]
    }

    pub(crate) fn problem(&self, expected: impl Into<String>) -> Problem {
        Problem::new(self.origin.clone(), expected)
    }
}

impl Lines {
    /// Adds the line to the hint of every problem of this source whose key is in the document.
    pub(crate) fn locate(&self, source: SourceName, problems: &mut [Problem]) {
        for Problem { origin, hint, .. } in problems {
            let Some(line) = self.0.get(&origin.key).filter(|_| origin.source == source) else { continue };
            *hint = Some(match hint.take() {
                Some(hint) => format!("{hint} (line {line})"),
                None => format!("see line {line}"),
            });
        }
    }
}

/// Reads a document.
pub(crate) fn read(source: SourceName, text: &str) -> Document {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk { source, text, lines: Lines::default() };
    let problems = errors.iter().map(|error| {
        let line = walk.line(error.span().map_or(0, |span| span.start));
        Problem::new(Origin::new(source, format!("line {line}")), "TOML").with_hint(error.message())
    });
    let problems = problems.collect();
    Document { root: walk.table(root.get_ref(), "", 0), lines: walk.lines, problems }
}

struct Walk<'t> {
    source: SourceName,
    text: &'t str,
    lines: Lines,
}

impl Walk<'_> {
    /// Lines are counted from 1, as editors do.
    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    fn table(&mut self, table: &DeTable<'_>, path: &str, depth: usize) -> Vec<Entry> {
        let mut entries: Vec<(usize, Entry)> = table
            .iter()
            .map(|(key, value)| {
                let path = if path.is_empty() {
                    part(key.get_ref())
                } else {
                    format!("{path}.{}", part(key.get_ref()))
                };
                let start = key.span().start;
                self.lines.0.insert(path.clone(), self.line(start));
                let node = self.node(value, &path, depth);
                let entry =
                    Entry { name: key.get_ref().to_string(), origin: Origin::new(self.source, path), node };
                (start, entry)
            })
            .collect();
        // The library sorts by name. Of two keys for one setting the later one is reported.
        entries.sort_by_key(|(start, _)| *start);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, path: &str, depth: usize) -> Node {
        match value.get_ref() {
            DeValue::String(text) => Node::Text(text.to_string()),
            DeValue::Table(table) if depth < MAX_DEPTH => Node::Table(self.table(table, path, depth + 1)),
            DeValue::Array(items) if depth < MAX_DEPTH => {
                Node::List(items.iter().map(|item| self.node(item, path, depth + 1)).collect())
            }
            _ => Node::Other(self.written(value.span())),
        }
    }

    fn written(&self, span: Range<usize>) -> String {
        self.text.get(span).unwrap_or_default().to_owned()
    }
}

/// Writes one part of a path as TOML does.
pub(crate) fn part(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_owned() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reports_paths_and_lines_of_keys_in_the_order_of_the_text() {
        let document = read(
            SourceName::SettingsFile,
            "# é\nz = \"1\"\n[t]\n\"a.b/c\" = 7\n[t.deep]\nx = [\"y\", 1]\n[a]\n",
        );
        assert!(document.problems.is_empty());
        let names: Vec<&str> = document.root.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["z", "t", "a"]);
        let lines: Vec<(&str, usize)> =
            document.lines.0.iter().map(|(path, line)| (path.as_str(), *line)).collect();
        assert_eq!(lines, [("a", 7), ("t", 3), ("t.\"a.b/c\"", 4), ("t.deep", 5), ("t.deep.x", 6), ("z", 2)]);
    }

    #[test]
    fn reports_every_syntax_error_with_its_line() {
        let document = read(SourceName::Policy, "a = \nb = \"1\"\nb = \"2\"\n");
        let keys: Vec<&str> = document.problems.iter().map(|problem| problem.origin.key.as_str()).collect();
        assert_eq!(keys, ["line 1", "line 3"]);
    }

    #[test]
    fn parses_deep_text_without_stack_overflow() {
        for text in ["a.".repeat(2_000) + "a = 1", "[".repeat(2_000), "a=".to_owned() + &"[".repeat(2_000)] {
            let _ = read(SourceName::Policy, &text);
        }
    }

    #[test]
    fn keeps_values_below_the_maximum_depth_as_text() {
        let lists = read(SourceName::Policy, &format!("x = {}1{}", "[".repeat(20), "]".repeat(20)));
        let (mut node, mut depth) = (&lists.root[0].node, 0);
        while let Node::List(items) = node {
            (node, depth) = (&items[0], depth + 1);
        }
        assert_eq!(depth, MAX_DEPTH);
        let tables = read(SourceName::Policy, &("a.".repeat(20) + "a = 1"));
        assert_eq!(tables.lines.0.len(), MAX_DEPTH + 1);
    }

    proptest! {
        #[test]
        fn parses_any_text_without_panic(text in "(\\PC|[\\[\\]=\".#{},\n a-c1])*") {
            let _ = read(SourceName::Policy, &text);
        }
    }
}
