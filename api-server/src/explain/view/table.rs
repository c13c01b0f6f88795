//! A Kubernetes Job as a table of its fields.

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use job_spec::Field;
use serde_json::Value;

/// On a terminal the table is as wide as the terminal.
pub(super) fn write(fields: &[Field], colours: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["Field", "Value", "Decided by", "Reason"]);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if colours {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for field in fields {
        table.add_row([
            Cell::new(&field.path),
            Cell::new(text_of(&field.value)).add_attribute(Attribute::Bold),
            match field.reason {
                Some(_) => Cell::new(field.origin.source),
                None => Cell::new(&field.origin),
            },
            Cell::new(field.reason.unwrap_or_default()),
        ]);
    }
    table.to_string()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
