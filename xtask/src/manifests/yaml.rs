//! Objects as YAML documents.

use anyhow::Context as _;
use serde_json::Value;

/// Writes the objects one after the other, below a comment.
pub(crate) fn documents(comment: &str, objects: &[Value]) -> anyhow::Result<String> {
    let mut text = String::new();
    for line in comment.lines() {
        text.extend(["# ", line, "\n"]);
    }
    for object in objects {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(object).context("could not write YAML")?);
    }
    Ok(text)
}
