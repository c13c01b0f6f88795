//! The input variables that the root module declares.
//!
//! Terraform checks the declarations; here only what decides how a value is passed is read: whether the
//! declared type can hold text, and whether a value must be supplied again at apply.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::hcl::{Token, tokens};
use crate::{phase::engine::Engine, regular_file};

/// What the declared type of a variable can hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum DeclaredType {
    /// Text: `string`, or a number or bool that terraform converts text to, or no type.
    #[default]
    Text,
    /// `any`.
    Any,
    /// A list, map, set, object or tuple: never text.
    Collection,
}

/// The declaration of a variable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Declaration {
    pub(super) declared_type: DeclaredType,
    pub(super) ephemeral: bool,
}

/// What is read from a root module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RootModule {
    pub(super) variables: BTreeMap<String, Declaration>,
    /// A file reads `terraform.workspace`.
    pub(super) reads_workspace: bool,
}

/// Reads the files of a root module. What cannot be read is left to terraform to report.
pub(super) fn read(folder: &Path, engine: Engine) -> RootModule {
    let Ok(entries) = fs::read_dir(folder) else { return RootModule::default() };
    let names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| !name.starts_with('.') && stem(name, engine).is_some())
        .collect();
    // Of `a.tf` and `a.tofu`, tofu reads the second alone.
    let is_shadowed = |name: &String| {
        engine == Engine::Tofu
            && [".tf", ".tf.json"].iter().any(|ending| {
                let stem = name.strip_suffix(ending);
                stem.is_some_and(|stem| names.contains(&format!("{stem}{}", ending.replace("tf", "tofu"))))
            })
    };
    let mut files: Vec<&String> = names.iter().filter(|name| !is_shadowed(name)).collect();
    // Override files are merged over the others, in the order of their names.
    files.sort_by_key(|name| (is_override(stem(name, engine).unwrap_or_default()), *name));
    let mut module = RootModule::default();
    for name in files {
        let Ok(bytes) = regular_file::read_configuration(&folder.join(name)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let is_json = Path::new(name).extension().is_some_and(|ending| ending == "json");
        if is_json { module.add_json(&text) } else { module.add_native(&text) }
    }
    module
}

/// Returns the name of a configuration file without its ending.
fn stem(name: &str, engine: Engine) -> Option<&str> {
    engine.file_endings().iter().find_map(|ending| {
        let json = format!("{ending}.json");
        name.strip_suffix(json.as_str()).or_else(|| name.strip_suffix(ending))
    })
}

fn is_override(stem: &str) -> bool {
    stem == "override" || stem.ends_with("_override")
}

impl RootModule {
    fn add_native(&mut self, text: &str) {
        let (tokens, _) = tokens(text);
        let reads = |part: &[Token<'_>]| {
            part == [Token::Word("terraform"), Token::Mark('.'), Token::Word("workspace")]
        };
        let in_text =
            |token: &Token<'_>| matches!(token, Token::Text(text) if text.contains("terraform.workspace"));
        self.reads_workspace |= tokens.windows(3).any(reads) || tokens.iter().any(in_text);
        let mut depth = 0_usize;
        let mut rest = tokens.as_slice();
        while let Some((token, after)) = rest.split_first() {
            rest = after;
            match (token, after) {
                (
                    Token::Word("variable"),
                    [Token::Text(name) | Token::Word(name), Token::Mark('{'), body @ ..],
                ) if depth == 0 => {
                    let (declaration, length) = declaration(body);
                    self.declare(name, declaration);
                    rest = &body[length..];
                }
                (Token::Mark('{'), _) => depth += 1,
                (Token::Mark('}'), _) => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn add_json(&mut self, text: &str) {
        self.reads_workspace |= text.contains("terraform.workspace");
        let Ok(file) = serde_json::from_str::<Value>(text) else { return };
        for blocks in list(&file).into_iter().filter_map(|file| file.get("variable")) {
            for (name, body) in list(blocks).into_iter().filter_map(Value::as_object).flatten() {
                let mut found = Partial::default();
                for body in list(body) {
                    if let Some(text) = body.get("type").and_then(Value::as_str) {
                        found.declared_type = Some(declared_type(&tokens(text).0));
                    }
                    found.ephemeral = body.get("ephemeral").map(is_true_json).or(found.ephemeral);
                }
                self.declare(name, found);
            }
        }
    }

    /// Adds a declaration; what it sets replaces what earlier files have set.
    fn declare(&mut self, name: &str, found: Partial) {
        let declaration = self.variables.entry(name.to_owned()).or_default();
        declaration.declared_type = found.declared_type.unwrap_or(declaration.declared_type);
        declaration.ephemeral = found.ephemeral.unwrap_or(declaration.ephemeral);
    }
}

/// What one block sets.
#[derive(Debug, Clone, Copy, Default)]
struct Partial {
    declared_type: Option<DeclaredType>,
    ephemeral: Option<bool>,
}

/// Reads the body of a block and returns its length, the closing bracket included.
fn declaration(body: &[Token<'_>]) -> (Partial, usize) {
    let mut found = Partial::default();
    let mut depth = 1_usize;
    for (at, token) in body.iter().enumerate() {
        let at_start = at == 0 || matches!(body[at - 1], Token::Newline);
        match (token, &body[at + 1..]) {
            (Token::Word("type"), [Token::Mark('='), value @ ..]) if depth == 1 && at_start => {
                found.declared_type = Some(declared_type(value));
            }
            (Token::Word("ephemeral"), [Token::Mark('='), value @ ..]) if depth == 1 && at_start => {
                found.ephemeral = Some(matches!(value, [Token::Word("true") | Token::Text("true"), ..]));
            }
            (Token::Mark('{' | '(' | '['), _) => depth += 1,
            (Token::Mark('}' | ')' | ']'), _) => {
                depth -= 1;
                if depth == 0 {
                    return (found, at + 1);
                }
            }
            _ => {}
        }
    }
    (found, body.len())
}

/// Reads a type constraint; older configurations have it in quotes.
fn declared_type(value: &[Token<'_>]) -> DeclaredType {
    match value {
        [Token::Word("any") | Token::Text("any"), ..] => DeclaredType::Any,
        [Token::Word(name) | Token::Text(name), ..]
            if ["list", "set", "map", "object", "tuple"].contains(name) =>
        {
            DeclaredType::Collection
        }
        _ => DeclaredType::Text,
    }
}

/// Terraform accepts one value or a list of them.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}

fn is_true_json(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_str() == Some("true"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(files: &[(&str, &str)], engine: Engine) -> RootModule {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        read(folder.path(), engine)
    }

    #[test]
    fn reads_types_and_ephemeral_of_both_syntaxes() {
        let native = "# variable \"no\" {}\nvariable \"untyped\" {}\nvariable \"text\" { type = string }\n\
            variable \"list\" {\n  description = \"}\"\n  type = list(\n    \
            string\n  )\n  ephemeral = true\n}\n\
            variable \"old\" {\n  type = \"map\"\n}\nvariable any {\n  type = any\n  validation {\n    \
            condition = true\n    error_message = \"type = list\"\n  }\n}\n\
            module \"m\" {\n  variable \"inner\" {\n  }\n}\n";
        let json =
            r#"{"variable": [{"j": {"type": "object({a = string})", "ephemeral": true}}, {"k": [{}]}]}"#;
        let found =
            module(&[("main.tf", native), ("j.tf.json", json), ("note.txt", native)], Engine::Terraform);
        let text = Declaration::default();
        let of = |declared_type, ephemeral| Declaration { declared_type, ephemeral };
        let expected = [
            ("untyped", text),
            ("text", text),
            ("list", of(DeclaredType::Collection, true)),
            ("old", of(DeclaredType::Collection, false)),
            ("any", of(DeclaredType::Any, false)),
            ("j", of(DeclaredType::Collection, true)),
            ("k", text),
        ];
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(name, found)| (name.to_owned(), found)).collect();
        assert_eq!(found, RootModule { variables: expected, reads_workspace: false });
    }

    #[test]
    fn override_files_are_merged_and_tofu_files_replace_others() {
        let files = [
            ("a_override.tf", "variable \"x\" {\n  ephemeral = true\n}\n"),
            ("main.tf", "variable \"x\" {\n  type = any\n}\n"),
            ("main.tofu", "variable \"y\" {\n}\n"),
        ];
        let terraform = module(&files, Engine::Terraform).variables;
        let x = Declaration { declared_type: DeclaredType::Any, ephemeral: true };
        assert_eq!(terraform, BTreeMap::from([("x".to_owned(), x)]));
        let tofu = module(&files, Engine::Tofu).variables;
        let x = Declaration { ephemeral: true, ..Declaration::default() };
        assert_eq!(tofu, BTreeMap::from([("x".to_owned(), x), ("y".to_owned(), Declaration::default())]));
    }

    #[test]
    fn finds_use_of_the_workspace_of_terraform() {
        for (text, expected) in [
            ("locals { a = terraform.workspace }", true),
            ("locals { a = \"x-${terraform.workspace}\" }", true),
            ("locals { a = <<EOT\n${terraform.workspace}\nEOT\n}", true),
            ("# terraform.workspace", false),
            ("terraform { }", false),
        ] {
            assert_eq!(module(&[("a.tf", text)], Engine::Terraform).reads_workspace, expected, "{text}");
        }
    }
}
