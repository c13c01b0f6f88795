//! Finds the `required_version` of a configuration.
//!
//! It decides which version is used where the workspace names none. Terraform itself checks it afterwards, so
//! an unusual spelling that is not found here does no harm.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Engine, version::Constraint};
use crate::{
    phase::run::hcl::{Token, tokens},
    regular_file,
};

/// Returns all constraints of the configuration in a folder as one.
pub(super) fn read(folder: &Path, engine: Engine) -> Option<Constraint> {
    let mut found: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(ending) = engine.file_endings().iter().find(|ending| {
            name.ends_with(**ending)
                || name.strip_suffix(".json").is_some_and(|stem| stem.ends_with(**ending))
        }) else {
            continue;
        };
        let Ok(bytes) = regular_file::read_configuration(&entry.path()) else { continue };
        if name.ends_with(ending) {
            found.extend(in_native(&String::from_utf8_lossy(&bytes)));
        } else {
            found.extend(in_json(&bytes));
        }
    }
    found.retain(|text| text.parse::<Constraint>().is_ok());
    found.sort();
    found.join(",").parse().ok()
}

/// Finds the argument `required_version` of `terraform` blocks.
fn in_native(text: &str) -> Vec<String> {
    let (tokens, _) = tokens(text);
    let (mut found, mut depth, mut in_block) = (Vec::new(), 0_usize, false);
    for (at, token) in tokens.iter().enumerate() {
        match (token, &tokens[at + 1..]) {
            (Token::Word("terraform"), [Token::Mark('{'), ..]) if depth == 0 => in_block = true,
            (Token::Word("required_version"), [Token::Mark('='), Token::Text(value), ..])
                if in_block && depth == 1 =>
            {
                found.push((*value).to_owned());
            }
            (Token::Mark('{'), _) => depth += 1,
            (Token::Mark('}'), _) => {
                depth = depth.saturating_sub(1);
                in_block = in_block && depth > 0;
            }
            _ => {}
        }
    }
    found
}

/// Terraform accepts an object or a list of objects at each level.
fn in_json(bytes: &[u8]) -> Vec<String> {
    fn list(value: &Value) -> &[Value] {
        if let Value::Array(values) = value { values } else { std::slice::from_ref(value) }
    }
    let Ok(file) = serde_json::from_slice::<Value>(bytes) else { return Vec::new() };
    let blocks = list(&file).iter().flat_map(|file| list(&file["terraform"]));
    blocks.filter_map(|block| Some(block["required_version"].as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Files<'a> = &'a [(&'a str, &'a str)];

    fn required(files: Files<'_>) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        read(folder.path(), Engine::Terraform).map(|constraint| constraint.to_string())
    }

    #[test]
    fn finds_constraints_of_all_files() {
        let cases: [(Files<'_>, Option<&str>); 7] = [
            (&[("main.tf", "terraform {\n  required_version = \">= 1.5, < 2\"\n}\n")], Some(">= 1.5, < 2")),
            (
                &[
                    ("a.tf", "terraform { required_version=\"~> 1.9\" }"),
                    ("b.tf.json", r#"{"terraform":[{"required_version":">= 1.9.1"}]}"#),
                ],
                Some(">= 1.9.1,~> 1.9"),
            ),
            (&[("main.tf", "# required_version = \"1.0.0\"\n/* required_version = \"1\" */")], None),
            (&[("main.tf", "my_required_version = \"1.0.0\"")], None),
            (&[("main.tofu", "terraform { required_version = \"1.6.0\" }")], None),
            (&[("main.tf", "terraform { required_version = \"nonsense\" }")], None),
            (&[("notes.txt", "required_version = \"1.0.0\"")], None),
        ];
        for (files, expected) in cases {
            assert_eq!(required(files).as_deref(), expected, "{files:?}");
        }
    }
}
