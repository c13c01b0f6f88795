//! Addresses of resource instances, as Terraform writes them.

use serde_json::Value;

/// Returns a text as a string literal of HCL.
pub(super) fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            '$' | '%' if rest.peek() == Some(&'{') => literal.extend([character, character]),
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}

/// Returns the address of an instance from its parts in a state; `None` if the key is of no known kind.
pub(super) fn of_instance(module: Option<&str>, kind: &str, name: &str, key: &Value) -> Option<String> {
    let module = module.map(|module| format!("{module}.")).unwrap_or_default();
    let key = match key {
        Value::Null => String::new(),
        Value::Number(number) => format!("[{number}]"),
        Value::String(text) => format!("[{}]", quoted(text)),
        _ => return None,
    };
    Some(format!("{module}{kind}.{name}{key}"))
}

/// Splits a line of terraform's log into the address of a managed resource and the rest after `": "`; `None`
/// for every other line.
///
/// An address has no space outside of quotes, so the output of provisioners, whose lines start with
/// `ADDRESS (local-exec): `, is none.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let end = end_of_address(line)?;
    let (address, rest) = line.split_at(end);
    is_managed(address).then_some((address, rest))
}

/// Returns the index behind an address at the start of a line.
fn end_of_address(line: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in line.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            ':' | ' ' => return Some(at),
            '.' | '[' | ']' | '_' | '-' => {}
            other if other.is_alphanumeric() => {}
            _ => return None,
        }
    }
    None
}

/// Returns whether this is the address of a managed resource: `[module.NAME[KEY].]…TYPE.NAME[KEY]`.
fn is_managed(address: &str) -> bool {
    let mut parts = parts(address).into_iter();
    let mut first = parts.next();
    while first == Some("module") {
        if parts.next().is_none() {
            return false;
        }
        first = parts.next();
    }
    let kind = first.filter(|kind| !kind.is_empty() && !matches!(*kind, "data" | "ephemeral" | "provider"));
    kind.is_some() && parts.next().is_some_and(|name| !name.is_empty()) && parts.next().is_none()
}

/// Splits an address at the dots outside of quotes.
fn parts(address: &str) -> Vec<&str> {
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut parts = Vec::new();
    for (at, character) in address.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '.' if !quoted => {
                parts.push(&address[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&address[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_of_a_state_are_written_as_terraform_writes_them() {
        for (key, expected) in [
            (json!(null), "module.a[\"x.y\"].aws_sqs_queue.q"),
            (json!(7), "module.a[\"x.y\"].aws_sqs_queue.q[7]"),
            (json!("a b"), "module.a[\"x.y\"].aws_sqs_queue.q[\"a b\"]"),
            (json!("x\"q\\"), "module.a[\"x.y\"].aws_sqs_queue.q[\"x\\\"q\\\\\"]"),
            (json!("${y} $z %{w}"), "module.a[\"x.y\"].aws_sqs_queue.q[\"$${y} $z %%{w}\"]"),
        ] {
            let found = of_instance(Some("module.a[\"x.y\"]"), "aws_sqs_queue", "q", &key);
            assert_eq!(found.as_deref(), Some(expected));
        }
        assert_eq!(of_instance(None, "a", "b", &json!(true)), None);
    }

    #[test]
    fn only_addresses_of_managed_resources_start_a_line() {
        for line in [
            "aws_sqs_queue.q: Creating...",
            "module.a.module.b[0].aws_sqs_queue.q[\"x: y\"]: Creating...",
            "aws_x.y (deposed object 45ce2fe1): Destroying...",
        ] {
            assert!(split(line).is_some(), "{line}");
        }
        for line in [
            "data.aws_ami.x: Read complete after 0s [id=ami-1]",
            "ephemeral.aws_secret.x: Opening complete after 0s",
            "Error: creating queue",
            "module.a: Creating...",
            "  # aws_sqs_queue.q will be created",
            "│ Error: something",
            "aws_sqs_queue: Creating...",
            "",
        ] {
            assert_eq!(split(line), None, "{line}");
        }
    }
}
