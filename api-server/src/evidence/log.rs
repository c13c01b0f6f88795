//! What terraform and tofu print while they change resources.
//!
//! The lines are those of the human-readable output of `apply` and `destroy`, with or without colors:
//! `ADDRESS: Creating...`, `ADDRESS: Creation complete after 25s [id=…]`, `ADDRESS: Destroying... [id=…]`,
//! `ADDRESS (deposed object KEY): Destroying... [id=…]`, `ADDRESS: Import complete [id=…]`. A resource
//! without an id of its own has `[name=…]`.

use std::collections::VecDeque;

use super::{
    Change, ChangeAction, address,
    plan::{PlanReader, Planned},
};

/// How many of the last lines are kept, and how many bytes of each.
const LAST_LINES: usize = 40;
const MAX_LINE: usize = 500;

/// A longer line is none of terraform's about a change.
const MAX_CHANGE_LINE: usize = 16 * 1024;

/// How many changes are kept; a state has rarely more resources.
const MAX_CHANGES: usize = 20_000;

/// Reads the log of an attempt in pieces.
#[derive(Debug, Default)]
pub struct LogReader {
    /// Bytes after the last line break.
    rest: Vec<u8>,
    last_lines: VecDeque<String>,
    changes: Vec<Change>,
    plan: PlanReader,
}

/// What a log says.
#[derive(Debug)]
pub struct LogContent {
    /// The last lines, without colors.
    pub last_lines: Vec<String>,
    /// The changes of resources, in the order of their first lines.
    pub changes: Vec<Change>,
    /// What the plan in this log creates and replaces.
    pub planned: Vec<Planned>,
}

impl LogReader {
    /// Reads the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.rest.len() < MAX_CHANGE_LINE {
                self.rest.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// Returns what the log says.
    #[must_use]
    pub fn finish(mut self) -> LogContent {
        if !self.rest.is_empty() {
            self.end_line();
        }
        let Self { last_lines, changes, plan, .. } = self;
        LogContent { last_lines: last_lines.into(), changes, planned: plan.finish() }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.rest).into_owned();
        self.rest.clear();
        let line = without_colors(line.trim_end_matches(['\r', '\n']));
        if let Some((address, event)) = parse(&line) {
            self.apply(address, event);
        }
        self.plan.push(&line);
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.pop_front();
        }
        let mut kept = line;
        if let Some((at, _)) = kept.char_indices().nth(MAX_LINE) {
            kept.truncate(at);
            kept.push('…');
        }
        self.last_lines.push_back(kept);
    }

    fn apply(&mut self, address: &str, event: Event) {
        let known = self.changes.iter().rposition(|change| change.address == address);
        let Some(known) = known else {
            if self.changes.len() < MAX_CHANGES {
                self.changes.push(event.first(address));
            }
            return;
        };
        event.after(&mut self.changes[known]);
    }
}

/// One line about a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Creating,
    Created(Option<String>),
    Updating(Option<String>),
    Updated(Option<String>),
    Destroying { id: Option<String>, deposed: bool },
    Destroyed,
    Imported(Option<String>),
}

impl Event {
    /// Returns the change that begins with this line.
    fn first(self, address: &str) -> Change {
        let (action, complete, id) = match self {
            Self::Creating => (ChangeAction::Created, false, None),
            Self::Created(id) => (ChangeAction::Created, true, id),
            Self::Updating(id) => (ChangeAction::Updated, false, id),
            Self::Updated(id) => (ChangeAction::Updated, true, id),
            Self::Destroying { id, .. } => (ChangeAction::Destroyed, false, id),
            Self::Destroyed => (ChangeAction::Destroyed, true, None),
            Self::Imported(id) => (ChangeAction::Imported, true, id),
        };
        Change { address: address.to_owned(), action, complete, id, replaced_id: None }
    }

    /// Continues a change with this line.
    fn after(self, change: &mut Change) {
        match self {
            Self::Creating if matches!(change.action, ChangeAction::Destroyed | ChangeAction::Imported) => {
                change.action = ChangeAction::Replaced;
                change.replaced_id = change.id.take();
                change.complete = false;
            }
            Self::Creating => change.complete = false,
            Self::Created(id) => {
                change.complete = true;
                change.id = id;
            }
            Self::Updating(id) => change.id = id.or(change.id.take()),
            Self::Updated(id) | Self::Imported(id) => {
                change.complete = true;
                change.id = id.or(change.id.take());
            }
            // The other order of a replacement: the old one is destroyed when the new one exists.
            Self::Destroying { id, deposed: true } => {
                change.action = ChangeAction::Replaced;
                change.replaced_id = id;
            }
            // Until it is destroyed, it exists and is in no state.
            Self::Destroying { .. } if change.action == ChangeAction::Imported => {}
            Self::Destroying { id, .. } => {
                change.action = ChangeAction::Destroyed;
                change.complete = false;
                change.id = id;
            }
            Self::Destroyed if matches!(change.action, ChangeAction::Destroyed | ChangeAction::Imported) => {
                change.action = ChangeAction::Destroyed;
                change.complete = true;
            }
            Self::Destroyed => {}
        }
    }
}

fn parse(line: &str) -> Option<(&str, Event)> {
    let (address, rest) = address::split(line)?;
    let (deposed, text) = if let Some(text) = rest.strip_prefix(": ") {
        (false, text)
    } else {
        let (_, text) = rest.strip_prefix(" (deposed object ")?.split_once("): ")?;
        (true, text)
    };
    let event = if text == "Creating..." {
        Event::Creating
    } else if text.starts_with("Creation complete after ") {
        Event::Created(id_of(text))
    } else if text.starts_with("Modifying...") {
        Event::Updating(id_of(text))
    } else if text.starts_with("Modifications complete after ") {
        Event::Updated(id_of(text))
    } else if text.starts_with("Destroying...") {
        Event::Destroying { id: id_of(text), deposed }
    } else if text.starts_with("Destruction complete after ") {
        Event::Destroyed
    } else if text.starts_with("Importing...") || text.starts_with("Import complete") {
        Event::Imported(id_of(text))
    } else {
        return None;
    };
    Some((address, event))
}

/// Returns the id at the end of a line. A name is no id that a resource could be imported by for certain.
fn id_of(text: &str) -> Option<String> {
    let (_, id) = text.strip_suffix(']')?.split_once(" [id=")?;
    Some(id.to_owned())
}

/// Removes the control sequences of terminals.
fn without_colors(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        if character != '\u{1b}' {
            text.push(character);
            continue;
        }
        // `ESC [`, parameters, and one final character from `@` to `~`.
        if rest.next() == Some('[') {
            let _ = rest.find(|end| matches!(end, '@'..='~'));
        }
    }
    text
}
