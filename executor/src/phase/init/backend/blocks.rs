//! Finds the files of a configuration that have a `backend` or `cloud` block, to name them in messages.
//!
//! What terraform really uses is read from its own record; nothing depends on the precision of this search.

use std::{fs, io, path::Path};

use serde_json::Value;

use crate::regular_file;

/// Returns whether a file has such a block.
type Search = fn(&[u8]) -> bool;

/// The endings of configuration files, and how to search in such a file.
const ENDINGS: [(&str, Search); 4] =
    [(".tf.json", in_json), (".tofu.json", in_json), (".tf", in_native), (".tofu", in_native)];

/// A file with such a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BackendFile {
    pub(super) name: String,
    /// Terraform merges it over the other files.
    pub(super) is_override: bool,
}

/// Returns the files of a folder with such a block, in the order of their names.
pub(super) fn files_with_backend(folder: &Path) -> io::Result<Vec<BackendFile>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((stem, has_block)) =
            ENDINGS.iter().find_map(|(ending, search)| Some((name.strip_suffix(ending)?, search)))
        else {
            continue;
        };
        // A folder or a broken link of such a name is an error that terraform shows.
        let Ok(bytes) = regular_file::read_configuration(&entry.path()) else { continue };
        if has_block(&bytes) {
            let is_override = stem == "override" || stem.ends_with("_override");
            found.push(BackendFile { name, is_override });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Terraform accepts an object or a list of objects at each level.
fn in_json(bytes: &[u8]) -> bool {
    fn any(value: &Value, test: &dyn Fn(&Value) -> bool) -> bool {
        match value {
            Value::Array(values) => values.iter().any(|value| any(value, test)),
            value => test(value),
        }
    }
    let Ok(file) = serde_json::from_slice::<Value>(bytes) else { return false };
    any(&file, &|file| {
        file.get("terraform").is_some_and(|blocks| {
            any(blocks, &|block| block.get("backend").is_some() || block.get("cloud").is_some())
        })
    })
}

/// Finds the words `backend "…"` and `cloud {` outside of comments.
fn in_native(bytes: &[u8]) -> bool {
    let text = without_comments(&String::from_utf8_lossy(bytes));
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut rest = text.as_str();
    while let Some(start) = rest.find(is_part) {
        let (word, after) = split_word(&rest[start..], is_part);
        let next = after.trim_start();
        let is_block = match word {
            // The type of the backend may stand without quotes.
            "backend" => next.starts_with('"') || split_word(next, is_part).1.trim_start().starts_with('{'),
            "cloud" => next.starts_with('{'),
            _ => false,
        };
        if is_block {
            return true;
        }
        rest = after;
    }
    false
}

fn split_word(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

/// Replaces comments by spaces. Texts in quotes stay.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with('#') || rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.find("*/").map_or(rest.len(), |end| end + 4)
        } else {
            0
        };
        if skipped > 0 {
            plain.push(' ');
            rest = &rest[skipped..];
            continue;
        }
        let length = if c == '"' { quoted_length(rest) } else { c.len_utf8() };
        plain.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    plain
}

/// Returns the length of the text in quotes at the start, which ends with its line at the latest.
fn quoted_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\n' => return at,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_backend_and_cloud_blocks_outside_of_comments() {
        let with = [
            "terraform {\n  backend \"s3\" {}\n}\n",
            "terraform { backend local {} }",
            "terraform{backend\"local\"{}}",
            "terraform {\n  cloud {\n  }\n}\n",
            "# x\nterraform {\n /* y */ cloud{} }",
            "locals { a = \"# no comment\" }\nterraform { backend \"gcs\" {} }",
            "terraform { backend /* here */ \"gcs\" {} }",
        ];
        for text in with {
            assert!(in_native(text.as_bytes()), "{text}");
        }
        let without = [
            "",
            "# terraform { backend \"s3\" {} }",
            "// backend \"s3\" {}\n/* cloud {\n} */",
            "locals { backend = \"s3\" }",
            "resource \"x_backend\" \"cloud\" {}",
            "variable \"cloud_name\" {}\nvariable \"backends\" {}",
        ];
        for text in without {
            assert!(!in_native(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn finds_blocks_in_json_syntax() {
        for text in [
            r#"{"terraform":{"backend":{"s3":{}}}}"#,
            r#"{"terraform":[{"required_version":"1"},{"\u0063loud":{}}]}"#,
            r#"[{"terraform":{"backend":{"s3":{}}}}]"#,
        ] {
            assert!(in_json(text.as_bytes()), "{text}");
        }
        for text in [r#"{"variable":{"backend":{}}}"#, "{", r#"{"terraform":{"required_version":"1"}}"#] {
            assert!(!in_json(text.as_bytes()), "{text}");
        }
    }
}
