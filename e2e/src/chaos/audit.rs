//! Compares the books with the final state; pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Sum,
};

use api_server::model::JobStatus;

use super::{
    books::CloudObject,
    ledger::{Ledger, RESOURCES},
};

/// What an audit has found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) creations: usize,
    /// What exists at the end.
    pub(super) things: usize,
    /// Workspaces whose last plan has found no changes.
    pub(super) no_changes: usize,
    /// Resources that one job created twice.
    pub(super) double: Vec<String>,
    /// Resources that exist in no state and that no evidence named.
    pub(super) lost: Vec<String>,
    /// Everything else that must not be.
    pub(super) other: Vec<String>,
}

impl Findings {
    pub(super) fn is_clean(&self) -> bool {
        self.double.is_empty() && self.lost.is_empty() && self.other.is_empty()
    }
}

impl Sum for Findings {
    fn sum<I: Iterator<Item = Self>>(findings: I) -> Self {
        findings.fold(Self::default(), |mut sum, one| {
            sum.creations += one.creations;
            sum.things += one.things;
            sum.no_changes += one.no_changes;
            sum.double.extend(one.double);
            sum.lost.extend(one.lost);
            sum.other.extend(one.other);
            sum
        })
    }
}

/// Compares what exists with the state after the last job, which ran undisturbed. Whatever was `unknown`
/// before has been resolved as its evidence says, so nothing may be left over.
pub(super) fn audit(
    workspace: &str,
    ledger: Option<&Ledger>,
    things: &[CloudObject],
    rounds: &BTreeMap<u32, JobStatus>,
    state: &BTreeSet<String>,
) -> Findings {
    let mut findings = Findings { things: things.len(), ..Findings::default() };
    for thing in things.iter().filter(|thing| !state.contains(&thing.id)) {
        let CloudObject { address, id, attribute: (key, value) } = thing;
        findings.lost.push(format!("{workspace}: {address} exists ({id}, {key} {value}) and is in no state"));
    }
    for id in state.iter().filter(|id| things.iter().all(|thing| thing.id != **id)) {
        findings.other.push(format!("{workspace}: the state has {id}, which does not exist"));
    }
    if let Some(ledger) = ledger {
        audit_ledger(workspace, ledger, rounds, state, &mut findings);
    }
    findings
}

/// Checks that each job has created each of its resources once.
fn audit_ledger(
    workspace: &str,
    ledger: &Ledger,
    rounds: &BTreeMap<u32, JobStatus>,
    state: &BTreeSet<String>,
    findings: &mut Findings,
) {
    findings.creations = ledger.created.len();
    let mut seen = BTreeSet::new();
    for creation in &ledger.created {
        if !seen.insert((creation.round, creation.index)) {
            let name = format!("{workspace}, job {}, resource {}", creation.round, creation.index);
            findings.double.push(format!("created twice: {name}, {}", creation.id));
        }
    }
    let last = rounds.keys().next_back().copied().unwrap_or_default();
    let created: BTreeSet<&String> = ledger
        .created
        .iter()
        .filter(|creation| creation.round == last)
        .map(|creation| &creation.id)
        .collect();
    if state.len() != RESOURCES as usize || !state.iter().all(|id| created.contains(id)) {
        let text = format!("{workspace}: the last job created {created:?}, and the state has {state:?}");
        findings.other.push(text);
    }
    for (round, status) in rounds.iter().filter(|(_, status)| **status == JobStatus::Completed) {
        let count = ledger.created.iter().filter(|creation| creation.round == *round).count();
        if count != RESOURCES as usize {
            findings
                .other
                .push(format!("{workspace}, job {round} is {status}, and created {count} resources"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ledger::Creation, *};

    fn creation(round: u32, index: u32) -> Creation {
        Creation { round, index, id: format!("{round}-{index}") }
    }

    fn audited(
        change: impl FnOnce(&mut Ledger, &mut BTreeMap<u32, JobStatus>, &mut BTreeSet<String>),
    ) -> Findings {
        let mut ledger = Ledger::default();
        for round in 1..=2 {
            ledger.created.extend((0..RESOURCES).map(|index| creation(round, index)));
        }
        ledger.removed.extend((0..RESOURCES).map(|index| format!("1-{index}")));
        let mut rounds = BTreeMap::from([(1, JobStatus::Completed), (2, JobStatus::Completed)]);
        let mut state = (0..RESOURCES).map(|index| format!("2-{index}")).collect();
        change(&mut ledger, &mut rounds, &mut state);
        audit("net", Some(&ledger), &ledger.things(), &rounds, &state)
    }

    #[test]
    fn accepts_what_was_applied_once() {
        let findings = audited(|_, _, _| {});
        assert!(findings.is_clean() && findings.creations == 8, "{findings:?}");
    }

    #[test]
    fn finds_second_apply_of_a_job() {
        let findings = audited(|ledger, _, _| {
            ledger.created.push(Creation { id: "again".to_owned(), ..creation(2, 1) });
            ledger.removed.insert("again".to_owned());
        });
        assert_eq!(findings.double.len(), 1, "{findings:?}");
    }

    #[test]
    fn finds_resource_that_no_state_knows() {
        let findings = audited(|ledger, _, _| assert!(ledger.removed.remove("1-2")));
        assert_eq!((findings.lost.len(), findings.things), (1, 5), "{findings:?}");
    }

    #[test]
    fn finds_state_that_is_not_that_of_the_last_job() {
        let findings = audited(|_, _, state| drop(state.pop_last()));
        assert!(!findings.other.is_empty() && !findings.lost.is_empty(), "{findings:?}");
        let findings = audited(|_, _, state| assert!(state.insert("other".to_owned())));
        assert!(!findings.other.is_empty(), "{findings:?}");
    }
}
