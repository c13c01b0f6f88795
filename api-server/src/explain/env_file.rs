//! Files with environment variables: text to names and values.
//!
//! Values may be secrets: no error message shows a part of one.

use std::collections::BTreeMap;

use config_core::value::{Yaml, json_type_name};
use serde_json::Value;

/// Reads a file: an object of texts where its name ends as that of a YAML or JSON file does,
/// else lines `NAME=value`.
///
/// # Errors
/// Every error with its line.
pub(super) fn parse(file: &str, text: &str) -> Result<BTreeMap<String, String>, Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let ending = file.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("json") => match serde_json::from_str(text) {
            Ok(value) => object(file, &value),
            // Any JSON is accepted, so only the syntax can be wrong, for which the message is a fixed text.
            Err(error) => Err(vec![format!("{file}: expected JSON; {error}")]),
        },
        Some("yaml" | "yml") => match text.parse::<Yaml>() {
            Ok(yaml) => object(file, yaml.value()),
            Err(error) => Err(vec![format!("{file}: {error}")]),
        },
        _ => lines(file, text),
    }
}

/// The form of `docker run --env-file`, except that a name without a value and a repeated name are errors.
fn lines(file: &str, text: &str) -> Result<BTreeMap<String, String>, Vec<String>> {
    let mut variables = BTreeMap::new();
    let mut first_lines = BTreeMap::new();
    let mut errors = Vec::new();
    for (number, line) in (1_u32..).zip(text.lines()) {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut error = |expected: &str| errors.push(format!("{file} line {number}: expected {expected}"));
        match line.split_once('=') {
            None => error("NAME=value"),
            Some((name, _)) if !is_name(name) => error("the name of an environment variable before the `=`"),
            Some((name, value)) => {
                if let Some(first) = first_lines.insert(name, number) {
                    error(&format!("each name once; {name} stands on line {first} too"));
                }
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    if errors.is_empty() { Ok(variables) } else { Err(errors) }
}

fn object(file: &str, value: &Value) -> Result<BTreeMap<String, String>, Vec<String>> {
    let fields = match value {
        Value::Object(fields) => fields,
        // A file with nothing but comments.
        Value::Null => return Ok(BTreeMap::new()),
        other => {
            let kind = json_type_name(other);
            return Err(vec![format!("{file}: found {kind}, expected an object of names and values")]);
        }
    };
    let mut variables = BTreeMap::new();
    let mut errors = Vec::new();
    for (name, value) in fields {
        if !is_name(name) {
            errors.push(format!("{file}: found {name:?}, expected the name of an environment variable"));
        }
        match text_of(value) {
            Ok(Some(text)) => drop(variables.insert(name.clone(), text)),
            Ok(None) => {}
            Err(kind) => errors.push(format!("{file} {name}: found {kind}, expected text; put it in quotes")),
        }
    }
    if errors.is_empty() { Ok(variables) } else { Err(errors) }
}

/// Numbers with a fraction are not taken: `1.10` would lose its last digit.
/// A variable without a value is none.
fn text_of(value: &Value) -> Result<Option<String>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(Some(number.to_string())),
        Value::Number(_) => Err("a number with a fraction"),
        other => Err(json_type_name(other)),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, text: &str) -> Result<Vec<String>, Vec<String>> {
        let pairs = |variables: BTreeMap<String, String>| {
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        parse(file, text).map(pairs)
    }

    #[test]
    fn value_extends_to_end_of_line() {
        let text = "\u{feff}# a comment\n\n  A=1=2;b=\"c\" # no comment \nB=\r\n\t# another\r\nC= x\n";
        assert_eq!(
            read("workspace.env", text),
            Ok(vec!["A=1=2;b=\"c\" # no comment ".to_owned(), "B=".to_owned(), "C= x".to_owned()])
        );
        assert_eq!(read("-", ""), Ok(vec![]));
    }

    #[test]
    fn reports_every_invalid_line_without_its_value() {
        assert_eq!(
            read("w.env", "A=1\nhunter2\n=hunter2\nexport B=hunter2\nA=hunter2\n"),
            Err(vec![
                "w.env line 2: expected NAME=value".to_owned(),
                "w.env line 3: expected the name of an environment variable before the `=`".to_owned(),
                "w.env line 4: expected the name of an environment variable before the `=`".to_owned(),
                "w.env line 5: expected each name once; A stands on line 1 too".to_owned(),
            ])
        );
    }

    #[test]
    fn reads_yaml_or_json_by_file_extension() {
        let yaml = "A: text\nB: 2\nC: true\nD: yes\nE:\nF: |\n  two\n  lines\n";
        let expected = ["A=text", "B=2", "C=true", "D=yes", "F=two\nlines\n"].map(str::to_owned);
        assert_eq!(read("workspace.YAML", yaml), Ok(expected.into()));
        assert_eq!(read("w.json", r#"{"A": "=x"}"#), Ok(vec!["A==x".to_owned()]));
        assert_eq!(read("w.yml", "# nothing\n"), Ok(vec![]));
    }

    #[test]
    fn reports_errors_of_object_without_values() {
        assert_eq!(
            read("w.yaml", "A: 1.10\nB: [hunter2]\n'C D': x\n"),
            Err(vec![
                "w.yaml A: found a number with a fraction, expected text; put it in quotes".to_owned(),
                "w.yaml B: found a list, expected text; put it in quotes".to_owned(),
                "w.yaml: found \"C D\", expected the name of an environment variable".to_owned(),
            ])
        );
        for (file, text, expected) in [
            ("w.yaml", "- hunter2", "w.yaml: found a list, expected an object of names and values"),
            ("w.yaml", "A: 'hunter2", "w.yaml: entry \"line 1, column 4\": expected YAML; unclosed quote"),
            ("w.json", r#""hunter2""#, "w.json: found text, expected an object of names and values"),
            (
                "w.json",
                r#"{"A": "hunter2"#,
                "w.json: expected JSON; EOF while parsing a string at line 1 column 14",
            ),
            ("w.json", r#"{"A": hunter2}"#, "w.json: expected JSON; expected value at line 1 column 7"),
        ] {
            assert_eq!(read(file, text), Err(vec![expected.to_owned()]));
        }
    }
}
