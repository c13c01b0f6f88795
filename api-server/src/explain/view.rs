//! Prints a preview for users or for programs.

use std::fmt::Write as _;

use anyhow::Context as _;
use job_spec::{Field, Preview};
use owo_colors::{OwoColorize as _, Style};

use crate::cli::Format;

mod table;
mod yaml;

/// Where colours are shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Colours {
    pub(super) out: bool,
    pub(super) err: bool,
}

/// What is printed.
#[derive(Debug)]
pub(super) struct Shown {
    /// For standard output.
    pub(super) out: String,
    /// For standard error.
    pub(super) err: String,
}

pub(super) fn show(format: Format, preview: &Preview, colours: Colours) -> anyhow::Result<Shown> {
    let explanation = preview.explanation.as_ref();
    let out = match (format, explanation) {
        (Format::Json, _) => {
            let json = serde_json::to_value(preview).context("the answer is no JSON")?;
            let json = serde_json::to_string_pretty(&json).context("the answer is no JSON")?;
            return Ok(Shown { out: json + "\n", err: String::new() });
        }
        (_, None) => String::new(),
        (Format::Yaml, Some(explanation)) => yaml::write(explanation, colours.out)?,
        (Format::Table, Some(explanation)) => table::write(&explanation.fields, colours.out) + "\n",
    };
    Ok(Shown { out, err: remarks(preview, colours.err) })
}

/// What stands beside the Job, a line each.
fn remarks(preview: &Preview, colours: bool) -> String {
    let Preview { refused, warnings, explanation, defects } = preview;
    let mut text = String::new();
    let mut line = |word: &str, style: Style, rest: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{}: {rest}", paint(word, style, colours));
    };
    for defect in defects.iter().flatten() {
        line("defect", Style::new().yellow(), defect);
    }
    for warning in warnings {
        line("warning", Style::new().yellow(), warning);
    }
    for problem in refused {
        line("refused", Style::new().red(), problem);
    }
    match (refused.is_empty(), explanation) {
        (true, _) => {}
        (false, None) => line("refused", Style::new().red(), &"there is no Kubernetes Job to show"),
        (false, Some(_)) if defects.is_some() => {
            line("refused", Style::new().red(), &"this server would create nothing");
        }
        (false, Some(_)) => line(
            "refused",
            Style::new().red(),
            &"nothing would be created; what is shown is made without these variables",
        ),
    }
    text
}

/// What decided a field, and why; a field with a reason has no setting that could be named.
fn origin_of(field: &Field) -> String {
    match field.reason {
        Some(reason) => format!("{}: {reason}", field.origin.source),
        None => field.origin.to_string(),
    }
}

fn paint(text: &str, style: Style, colours: bool) -> String {
    if colours { text.style(style).to_string() } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
