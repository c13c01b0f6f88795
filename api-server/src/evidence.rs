//! What is known about a run whose outcome is unknown: what terraform's own lines say was created, replaced
//! or destroyed, compared with the state that was saved last.
//!
//! Pure functions of two texts. A resource that terraform created after the state was saved exists in the
//! cloud and in no state: the next plan would create it a second time. Its id is in terraform's line, so an
//! `import` block brings it back.

use serde::Serialize;

use crate::messages::missing::{
    CREATED, CREATION_BEGUN, DESTROYED, DESTRUCTION_BEGUN, REPLACED, REPLACEMENT_BEGUN,
};

mod address;
mod log;
mod report;
mod state;

pub use log::LogReader;
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
}

/// A change that the saved state does not show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// Address of the resource instance.
    pub address: String,
    /// What was done to it.
    pub action: ChangeAction,
    /// Whether terraform said that it was complete. Otherwise it had begun, and may or may not have happened.
    pub complete: bool,
    /// Its id, where terraform printed it.
    pub id: Option<String>,
    /// What to do, in one sentence.
    pub advice: String,
    /// A block that brings the resource into the state.
    pub import_block: Option<String>,
}

/// Where an id is that terraform has not printed.
const UNKNOWN_ID: &str = "REPLACE-WITH-THE-ID";

/// Returns the changes that the saved state does not show, in the order of their last lines; `None` for the
/// state where none was ever saved.
#[must_use]
pub fn missing(changes: &[Change], state: Option<&SavedState>) -> Vec<Missing> {
    changes.iter().filter_map(|change| missing_in(change, state)).collect()
}

fn missing_in(change: &Change, state: Option<&SavedState>) -> Option<Missing> {
    let saved = state.and_then(|state| state.ids(&change.address));
    let shows = |id: &Option<String>| match (saved, id) {
        (Some(saved), Some(id)) => saved.iter().any(|known| known.as_ref() == Some(id)),
        (Some(_), None) => true,
        (None, _) => false,
    };
    let advice = match (change.action, change.complete) {
        (ChangeAction::Created, _) if shows(&change.id) => return None,
        (ChangeAction::Replaced, _) if change.id.is_some() && shows(&change.id) => return None,
        // Nothing new exists yet; what was destroyed is in the plan of the next run.
        (ChangeAction::Replaced, false) if change.id.is_none() && saved.is_none() => CREATION_BEGUN,
        (ChangeAction::Created, false) => CREATION_BEGUN,
        (ChangeAction::Replaced, false) => REPLACEMENT_BEGUN,
        (ChangeAction::Replaced, true) if saved.is_some() => REPLACED,
        (ChangeAction::Created | ChangeAction::Replaced, true) => CREATED,
        // The next plan reads the resource and finds what differs.
        (ChangeAction::Updated, _) => return None,
        (ChangeAction::Destroyed, complete) => {
            // A state that never showed it needs no correction.
            if !shows(&change.id) || saved.is_none() {
                return None;
            }
            if complete { DESTROYED } else { DESTRUCTION_BEGUN }
        }
    };
    let needs_import = !matches!(change.action, ChangeAction::Destroyed);
    Some(Missing {
        address: change.address.clone(),
        action: change.action,
        complete: change.complete,
        id: change.id.clone(),
        advice: advice.replace("ADDRESS", &change.address),
        import_block: needs_import.then(|| import_block(change)),
    })
}

/// Returns all import blocks as one text, ready to paste.
#[must_use]
pub fn import_blocks(missing: &[Missing]) -> String {
    let blocks: Vec<&str> = missing.iter().filter_map(|missing| missing.import_block.as_deref()).collect();
    blocks.join("\n")
}

fn import_block(change: &Change) -> String {
    let Change { address, id, .. } = change;
    let (comment, id) = match id {
        Some(id) if !id.contains("***") => ("", id.as_str()),
        Some(_) => ("  # terraform printed a masked id\n", UNKNOWN_ID),
        None => ("  # its creation had begun; terraform printed no id\n", UNKNOWN_ID),
    };
    format!("import {{\n{comment}  to = {address}\n  id = {}\n}}\n", address::quoted(id))
}

#[cfg(test)]
mod tests;
