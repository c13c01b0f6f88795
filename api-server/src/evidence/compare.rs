//! Compares what a run did with the state that was saved last.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Change, ChangeAction, Missing, Planned, SavedState, Source};
use crate::messages::missing as advice;

/// What is known about a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observed<'a> {
    /// What its log says was changed.
    pub changes: &'a [Change],
    /// What its plan creates and replaces.
    pub planned: &'a [Planned],
    /// Whether the log shows everything that terraform has begun. The end of the log of a killed executor may
    /// be lost.
    pub log_is_complete: bool,
    /// The state that terraform could not store.
    pub rescued: Option<&'a SavedState>,
}

/// Returns the changes that the saved state does not show: those of the log in the order of their first
/// lines, then those that only the rescued state or the plan knows. `None` for the state where none was ever
/// saved.
#[must_use]
pub fn missing(observed: &Observed<'_>, state: Option<&SavedState>) -> Vec<Missing> {
    let comparison = Comparison {
        state,
        rescued: observed.rescued,
        planned: observed.planned.iter().map(|planned| (planned.address.as_str(), planned)).collect(),
    };
    let mut missing: Vec<_> =
        observed.changes.iter().filter_map(|change| comparison.of_change(change)).collect();
    let mut known: HashSet<&str> = observed.changes.iter().map(|change| change.address.as_str()).collect();
    for (address, id) in observed.rescued.map(SavedState::objects).unwrap_or_default() {
        if known.insert(address) {
            missing.extend(comparison.of_rescued(address, id));
        }
    }
    if !observed.log_is_complete {
        let unseen = observed.planned.iter().filter(|planned| !known.contains(planned.address.as_str()));
        missing.extend(unseen.filter_map(|planned| comparison.of_plan(planned)));
    }
    missing
}

struct Comparison<'a> {
    state: Option<&'a SavedState>,
    rescued: Option<&'a SavedState>,
    planned: HashMap<&'a str, &'a Planned>,
}

impl Comparison<'_> {
    /// Returns the ids that the saved state has at an address.
    fn saved(&self, address: &str) -> Option<&[Option<String>]> {
        self.state.and_then(|state| state.ids(address))
    }

    fn shows(&self, address: &str, id: &str) -> bool {
        self.saved(address).is_some_and(|ids| ids.iter().any(|known| known.as_deref() == Some(id)))
    }

    /// Returns the only id that the saved state has at an address.
    fn saved_id(&self, address: &str) -> Option<String> {
        only(self.saved(address)?)
    }

    fn of_change(&self, change: &Change) -> Option<Missing> {
        let address = change.address.as_str();
        let planned = self.planned.get(address);
        let replaced_id = change.replaced_id.clone().or_else(|| planned?.replaced_id.clone());
        let (mut id, mut source) = (change.id.clone(), Source::Log);
        if creates(change.action)
            && id.is_none()
            && let Some(found) = self.rescued_id(address, replaced_id.as_ref())
        {
            (id, source) = (Some(found), Source::RescuedState);
        }
        let complete = change.complete || source == Source::RescuedState;
        let known = Change { complete, id, replaced_id, ..change.clone() };
        let (action, text) = self.assess(&known)?;
        let replaced_id = if action == ChangeAction::Replaced {
            known.replaced_id.or_else(|| self.saved_id(address).filter(|_| known.id.is_some()))
        } else {
            None
        };
        let missing = Missing { complete, source, id: known.id, replaced_id, ..blank(address, action) };
        Some(self.build(missing, text))
    }

    /// Returns what to call a change and what to do about it; `None` if the saved state shows it.
    fn assess(&self, change: &Change) -> Option<(ChangeAction, &'static str)> {
        let Change { address, action, complete, id, replaced_id } = change;
        let has_object = self.saved(address).is_some();
        let shown = |id: &Option<String>| id.as_ref().is_some_and(|id| self.shows(address, id));
        Some(match (action, complete) {
            (ChangeAction::Imported, _) if !shown(id) => (*action, advice::IMPORTED),
            // The next plan reads the resource and finds what differs.
            (ChangeAction::Imported | ChangeAction::Updated, _) => return None,
            // A state that never showed it needs no correction.
            (ChangeAction::Destroyed, _) if !has_object || (id.is_some() && !shown(id)) => return None,
            (ChangeAction::Destroyed, true) => (*action, advice::DESTROYED),
            (ChangeAction::Destroyed, false) => (*action, advice::DESTRUCTION_BEGUN),
            (ChangeAction::Created | ChangeAction::Replaced, _) if shown(id) => return None,
            (ChangeAction::Created, true) if has_object && id.is_some() => {
                (ChangeAction::Replaced, advice::CREATED_BESIDE)
            }
            // Terraform saves a resource before its provisioners run, unless this is the old one.
            (ChangeAction::Created, _) if has_object && !shown(replaced_id) => return None,
            (ChangeAction::Created, _) if has_object => (ChangeAction::Replaced, advice::REPLACEMENT_BEGUN),
            (ChangeAction::Replaced, true) if has_object => (*action, advice::REPLACED),
            (ChangeAction::Replaced, false) if has_object => (*action, advice::REPLACEMENT_BEGUN),
            (ChangeAction::Created | ChangeAction::Replaced, true) => (*action, advice::CREATED),
            (ChangeAction::Created, false) if replaced_id.is_some() => {
                (ChangeAction::Replaced, advice::REPLACEMENT_OF_IMPORT)
            }
            (ChangeAction::Created | ChangeAction::Replaced, false) => (*action, advice::CREATION_BEGUN),
        })
    }

    /// Returns the only id that the rescued state has at an address, unless it is the one that is replaced.
    fn rescued_id(&self, address: &str, replaced: Option<&String>) -> Option<String> {
        only(self.rescued?.ids(address)?).filter(|id| Some(id) != replaced)
    }

    /// Returns what the rescued state has and the saved one has not.
    fn of_rescued(&self, address: &str, id: &str) -> Option<Missing> {
        if self.shows(address, id) {
            return None;
        }
        let (action, text) = match self.saved(address) {
            Some(_) => (ChangeAction::Replaced, advice::REPLACED),
            None => (ChangeAction::Created, advice::CREATED),
        };
        let replaced_id = self.saved_id(address);
        let (complete, source, id) = (true, Source::RescuedState, Some(id.to_owned()));
        Some(self.build(Missing { complete, source, id, replaced_id, ..blank(address, action) }, text))
    }

    /// Returns what was planned, if the saved state does not show that it happened.
    fn of_plan(&self, planned: &Planned) -> Option<Missing> {
        let address = planned.address.as_str();
        let (action, text) = match self.saved(address) {
            None if !planned.replaces => (ChangeAction::Created, advice::CREATION_PLANNED),
            None => (ChangeAction::Replaced, advice::REPLACEMENT_OF_IMPORT),
            // The state has the new one already, unless it has the old one.
            Some(_) if planned.replaced_id.as_ref().is_none_or(|old| !self.shows(address, old)) => {
                return None;
            }
            Some(_) => (ChangeAction::Replaced, advice::REPLACEMENT_PLANNED),
        };
        let replaced_id = planned.replaced_id.clone();
        Some(self.build(Missing { source: Source::Plan, replaced_id, ..blank(address, action) }, text))
    }

    fn build(&self, mut missing: Missing, advice: &str) -> Missing {
        if let Some(planned) = self.planned.get(missing.address.as_str())
            && !matches!(missing.action, ChangeAction::Destroyed | ChangeAction::Imported)
        {
            missing.planned.clone_from(&planned.known);
        }
        let named = missing.named();
        let named = if named.is_empty() { named } else { format!(" (the plan says {named})") };
        let old = missing.replaced_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
        missing.advice =
            advice.replace("{named}", &named).replace("{old}", &old).replace("{address}", &missing.address);
        if !matches!(missing.action, ChangeAction::Destroyed) {
            missing.import_block = Some(missing.render_import_block());
        }
        missing
    }
}

fn blank(address: &str, action: ChangeAction) -> Missing {
    Missing {
        address: address.to_owned(),
        action,
        complete: false,
        source: Source::Log,
        id: None,
        replaced_id: None,
        planned: BTreeMap::new(),
        advice: String::new(),
        import_block: None,
    }
}

const fn creates(action: ChangeAction) -> bool {
    matches!(action, ChangeAction::Created | ChangeAction::Replaced)
}

fn only(ids: &[Option<String>]) -> Option<String> {
    match ids {
        [Some(id)] => Some(id.clone()),
        _ => None,
    }
}
