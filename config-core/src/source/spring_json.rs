//! Properties in `SPRING_APPLICATION_JSON`: a JSON object whose nested names are joined with dots.
//!
//! Rules: <https://docs.spring.io/spring-boot/reference/features/external-config.html>. Other properties are
//! skipped, and their values are never shown.

use serde_json::Value;

use super::{Layers, Origin, SourceName, property};
use crate::{Problem, keys};

/// Reads the layers of `SPRING_APPLICATION_JSON`; a blank text has none.
pub(crate) fn read(text: &str) -> Layers {
    if text.trim().is_empty() {
        return Layers::default();
    }
    match serde_json::from_str::<Value>(text) {
        Ok(object @ Value::Object(_)) => {
            let mut properties = Vec::new();
            flatten(String::new(), &object, &mut properties);
            let pairs = properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            property::layers(SourceName::SpringApplicationJson, pairs)
        }
        Ok(_) => refused(Problem::new(origin(), "a JSON object")),
        // The text of the error would show a value.
        Err(error) => {
            let place = format!("line {}, column {}", error.line(), error.column());
            refused(Problem::new(origin(), "a JSON object").with_found(&place))
        }
    }
}

fn origin() -> Origin {
    Origin::new(SourceName::SpringApplicationJson, keys::SPRING_APPLICATION_JSON)
}

fn refused(problem: Problem) -> Layers {
    Layers { problems: vec![problem], ..Layers::default() }
}

/// Lists the leaves; `null` is skipped.
fn flatten(name: String, value: &Value, properties: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = match name.as_str() {
                    "" => key.clone(),
                    name => format!("{name}.{key}"),
                };
                flatten(name, value, properties);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(format!("{name}[{index}]"), item, properties);
            }
        }
        Value::Null => {}
        Value::String(text) => properties.push((name, text.clone())),
        Value::Bool(_) | Value::Number(_) => properties.push((name, value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Target;

    fn entries(text: &str) -> Vec<(Target, String, String)> {
        let Layers { short, properties, problems } = read(text);
        assert_eq!(problems, []);
        short
            .into_iter()
            .chain(properties)
            .flat_map(|layer| layer.entries)
            .map(|(target, sourced)| (target, sourced.value, sourced.origin.to_string()))
            .collect()
    }

    #[test]
    fn reads_nested_and_dotted_names_alike() {
        let cases = [
            r#"{"io.terrakube.executor.ephemeral.nodeSelector.diskType": "ssd"}"#,
            r#"{"io": {"terrakube": {"executor": {"ephemeral": {"nodeSelector": {"diskType": "ssd"}}}}}}"#,
            r#"{"io.terrakube": {"executor.ephemeral": {"nodeSelector": {"[diskType]": "ssd"}}}, "other": [{"a": null}]}"#,
        ];
        for text in cases {
            let [(target, value, _)] = entries(text).try_into().unwrap();
            assert_eq!(
                (target, value.as_str()),
                (Target::NodeSelector("diskType".to_owned()), "ssd"),
                "{text}"
            );
        }
    }

    #[test]
    fn reads_short_names_numbers_and_booleans() {
        let found = entries(
            r#"{"ExecutorEphemeralImage": "i", "org": {"terrakube": {"executor": {"ephemeral": {"nodeSelector": {"a": 1, "b": true}}}}}}"#,
        );
        let origin = "SPRING_APPLICATION_JSON org.terrakube.executor.ephemeral.nodeSelector";
        assert_eq!(
            found,
            [
                (
                    Target::Setting("ExecutorEphemeralImage"),
                    "i".to_owned(),
                    "SPRING_APPLICATION_JSON ExecutorEphemeralImage".to_owned()
                ),
                (Target::NodeSelector("a".to_owned()), "1".to_owned(), format!("{origin}.a")),
                (Target::NodeSelector("b".to_owned()), "true".to_owned(), format!("{origin}.b")),
            ]
        );
    }

    #[test]
    fn rejects_other_json_without_showing_it() {
        for (text, expected) in [
            ("{\"a\": hunter2}", "found \"line 1, column 7\", expected a JSON object"),
            ("[\"hunter2\"]", "expected a JSON object"),
        ] {
            let [problem] = read(text).problems.try_into().unwrap();
            assert_eq!(
                problem.to_string(),
                format!("environment variable SPRING_APPLICATION_JSON: {expected}")
            );
        }
        assert_eq!(read(" ").problems, []);
    }
}
