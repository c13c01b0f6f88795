//! A value that is a whole YAML document: text to plain data, within limits.
//!
//! Values may be secret, so neither `Debug` nor an error message shows a part of one.

use std::{fmt, io, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize as _,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Error, options::DuplicateKeyPolicy};

use super::EntryError;

/// The maximum size in bytes (64 KiB) of the text, and of its JSON with all aliases expanded.
const MAX_BYTES: usize = 64 * 1024;
/// The maximum depth of lists and objects. The deepest fields of a pod have a depth of about 12.
const MAX_DEPTH: usize = 32;
/// The maximum number of values in a document, including those that aliases repeat.
const MAX_NODES: usize = 10_000;

/// One document of YAML, and so of JSON too.
///
/// YAML 1.2: `yes` and `0755` are text. Anchors, aliases and merge keys (`<<`) are resolved. A key is text, a
/// number or a boolean, and becomes text; duplicate keys are an error. Numbers are finite. Limits: 64 KiB, 32
/// levels, 10,000 values. Printing writes JSON on one line.
///
/// ```
/// use config_core::value::Yaml;
/// let yaml: Yaml = "nodeAffinity:\n  weights: &w [1, 2]\n  same: *w".parse()?;
/// assert_eq!(yaml.to_string(), r#"{"nodeAffinity":{"same":[1,2],"weights":[1,2]}}"#);
/// assert_eq!(yaml.to_string().parse::<Yaml>()?, yaml);
/// let error = "password: 'hunter2".parse::<Yaml>().expect_err("no end");
/// assert_eq!(error.to_string(), "entry \"line 1, column 11\": expected YAML; unclosed quote");
/// # Ok::<(), config_core::value::EntryError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Yaml(Value);

impl Yaml {
    /// Returns the data.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.0
    }

    /// Returns the type of the data: `"an object"`, `"a list"`, `"nothing"`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        json_type_name(&self.0)
    }
}

impl FromStr for Yaml {
    type Err = EntryError;

    /// # Errors
    /// The first error with its line and column, or the limit that is exceeded.
    fn from_str(text: &str) -> Result<Self, EntryError> {
        let too_large =
            |size: usize| EntryError::new(&format!("{size} bytes"), format!("at most {MAX_BYTES} bytes"));
        if text.len() > MAX_BYTES {
            return Err(too_large(text.len()));
        }
        let Node(value) =
            serde_saphyr::from_str_with_options(text, options()).map_err(|error| fault(&error))?;
        let yaml = Self(value);
        let printed = yaml.to_string().len();
        if printed > MAX_BYTES {
            return Err(
                too_large(printed).with_hint("this is its size as JSON, with its aliases written out")
            );
        }
        Ok(yaml)
    }
}

/// Returns the type of a value, for error messages that must not show the value.
///
/// ```
/// assert_eq!(config_core::value::json_type_name(&serde_json::json!([1])), "a list");
/// ```
#[must_use]
pub const fn json_type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            // A second document has an error of its own.
            max_documents: 2,
            // A long key that was parsed must parse again after printing.
            simple_key_max_lookahead: 2 * MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_NODES },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

/// Describes place and kind of an error. The messages of the library are not used, because some show the
/// value; those of its scanner show at most a single character.
fn fault(error: &Error) -> EntryError {
    let error = error.without_snippet();
    let place = match error.location() {
        Some(location) => format!("line {}, column {}", location.line(), location.column()),
        None => "document".to_owned(),
    };
    match kind_of(error) {
        Kind::Expected(expected) => EntryError::new(&place, expected),
        Kind::Syntax(message) => EntryError::new(&place, "YAML").with_hint(message),
    }
}

enum Kind<'a> {
    Expected(&'static str),
    Syntax(&'a str),
}

fn kind_of(error: &Error) -> Kind<'_> {
    Kind::Expected(match error {
        Error::AliasError { error, .. } => return kind_of(error),
        Error::ExternalMessage { msg, .. } => return Kind::Syntax(msg),
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "at most 32 levels and 10000 values, with what aliases repeat"
        }
        // `Message` comes from `NodeVisitor` only.
        Error::DuplicateMappingKey { .. } | Error::Message { .. } => "each key of an object once",
        Error::MultipleDocuments { .. } => "one document",
        Error::NonFiniteFloat { .. } => "a finite number",
        Error::NullIntoString { .. } => "a key",
        Error::UnknownAnchor { .. } => "an alias of an earlier anchor",
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias outside of what it repeats",
        Error::InvalidBinaryBase64 { .. } | Error::BinaryNotUtf8 { .. } => "base64 of UTF-8 text",
        Error::Unexpected { expected, .. } => expected,
        _ => "YAML of plain data",
    })
}

/// A value whose objects have no duplicate keys. `Value` itself would accept the
/// keys `1` and `"1"` and drop one of them.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Self)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain data")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Node(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Node(value) = entries.next_value()?;
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("duplicate key"));
            }
        }
        Ok(Value::Object(object))
    }
}

impl fmt::Display for Yaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Printable);
        self.0.serialize(&mut serializer).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&bytes).map_err(|_| fmt::Error)?)
    }
}

/// JSON whose strings are valid YAML, which allows fewer unescaped characters than JSON.
/// <https://yaml.org/spec/1.2.2/#51-character-set>
struct Printable;

impl serde_json::ser::Formatter for Printable {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            match character {
                '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                    write!(writer, "\\u{:04x}", u32::from(character))?;
                }
                _ => write!(writer, "{character}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Yaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Yaml(…)")
    }
}

#[cfg(test)]
mod tests;
