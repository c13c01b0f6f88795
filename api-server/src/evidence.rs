//! What is known about a run whose outcome is unknown: what terraform's own lines say was created, replaced
//! or destroyed, compared with the state that was saved last.
//!
//! Pure functions of texts: the log of the run, the plan before it, the saved state and the rescued one. A
//! resource that terraform created after the state was saved exists in the cloud and in no state: the next
//! plan would create it a second time. Its id is in terraform's line or in the rescued state, so an `import`
//! block brings it back. Where only the beginning is known, the plan says by what to look for it.

use std::collections::BTreeMap;

use serde::Serialize;

mod address;
mod compare;
mod log;
mod plan;
mod report;
mod state;

pub use compare::{Observed, missing};
pub use log::{LogContent, LogReader};
pub use plan::Planned;
pub use report::{Report, report};
pub use state::{SavedState, SavedStateError};

/// What terraform did to one resource, as its lines say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Address of the resource instance, as Terraform writes it.
    pub address: String,
    /// What was done.
    pub action: ChangeAction,
    /// Whether terraform said that it was complete.
    pub complete: bool,
    /// Id of the resource that exists afterwards, or that was destroyed.
    pub id: Option<String>,
    /// Id of the resource that it replaced.
    pub replaced_id: Option<String>,
}

/// What terraform does to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeAction {
    /// Created.
    Created,
    /// Created in place of another one.
    Replaced,
    /// Changed in place.
    Updated,
    /// Destroyed.
    Destroyed,
    /// Taken into the state by an `import` block.
    Imported,
}

/// What says that something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A line of terraform in the log of the run.
    Log,
    /// The state that terraform could not store.
    RescuedState,
    /// The plan alone: the log does not show whether it began, and its end may be lost.
    Plan,
}

/// A change that the saved state does not show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// Address of the resource instance.
    pub address: String,
    /// What was done to it.
    pub action: ChangeAction,
    /// Whether it is known to be complete. Otherwise it had begun, and may or may not have happened.
    pub complete: bool,
    /// What says so.
    pub source: Source,
    /// Its id, where terraform printed or saved it.
    pub id: Option<String>,
    /// Id of the resource that it replaced.
    pub replaced_id: Option<String>,
    /// Attributes that the plan knew, by which it can be found.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub planned: BTreeMap<String, String>,
    /// What to do, in a few sentences.
    pub advice: String,
    /// A block that brings the resource into the state.
    pub import_block: Option<String>,
}

/// Where an id is that terraform has not printed.
const UNKNOWN_ID: &str = "REPLACE-WITH-THE-ID";

/// How many attributes are named in a sentence.
const MAX_NAMED: usize = 3;

/// Returns all import blocks as one text, ready to paste.
#[must_use]
pub fn import_blocks(missing: &[Missing]) -> String {
    let blocks: Vec<&str> = missing.iter().filter_map(|missing| missing.import_block.as_deref()).collect();
    blocks.join("\n")
}

impl Missing {
    fn render_import_block(&self) -> String {
        let (comment, id) = match &self.id {
            Some(id) if !id.contains("***") => (None, id.as_str()),
            Some(_) => (Some("terraform printed a masked id"), UNKNOWN_ID),
            None if self.source == Source::Plan => {
                (Some("it was planned; the log does not show whether its creation began"), UNKNOWN_ID)
            }
            None => (Some("its creation had begun; terraform printed no id"), UNKNOWN_ID),
        };
        let named = if comment.is_some() { self.named() } else { String::new() };
        let named = if named.is_empty() { named } else { format!("; planned: {named}") };
        let comment = comment.map(|text| format!("  # {text}{named}\n")).unwrap_or_default();
        format!("import {{\n{comment}  to = {}\n  id = {}\n}}\n", self.address, address::quoted(id))
    }

    /// Returns the attributes by which a resource is most likely found: `name = "x", bucket = "y"`.
    fn named(&self) -> String {
        let names = |key: &str| {
            let exact = ["name", "bucket", "identifier", "url", "arn", "email", "domain", "path", "key"];
            let endings = ["_name", "_identifier", "_prefix", "_id"];
            exact.contains(&key) || endings.iter().any(|ending| key.ends_with(ending))
        };
        let (first, others): (Vec<_>, Vec<_>) = self.planned.iter().partition(|(key, _)| names(key));
        let chosen = if first.is_empty() { others } else { first };
        let texts =
            chosen.iter().take(MAX_NAMED).map(|(key, value)| format!("{key} = {}", address::quoted(value)));
        texts.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests;
