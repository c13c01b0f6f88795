//! Versions and locks of states.

use api_server::model::AttemptPhase;

use super::{Records, Writer};
use crate::search::{books::State, faults::Fault};

/// A lock of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::search) struct Lock {
    pub(in crate::search) id: u32,
    /// `None` for a user.
    pub(in crate::search) attempt: Option<String>,
}

/// Outcome of a request that needs the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::search) enum Put {
    Done,
    HeldBy,
    Fenced,
    Unchanged,
    Conflict,
}

impl Records {
    fn is_fenced(&self, writer: &Writer) -> bool {
        matches!(writer, Writer::Attempt(attempt) if !self.may_write(attempt))
    }

    /// Reads the latest state for an attempt, and records which version it has read.
    pub(in crate::search) fn read_state(&mut self, workspace: usize, attempt: &str) -> State {
        let state = self.workspaces[workspace].latest();
        let found = self.find(attempt).is_some_and(|(_, _, it)| it.live && it.plan_digest.is_none());
        if found {
            self.extra_mut(attempt).read = Some(state.version);
        }
        state
    }

    /// Stores a version of a state; `lock` is the lock that the writer claims to hold.
    pub(in crate::search) fn put_state(
        &mut self,
        workspace: usize,
        state: &State,
        writer: &Writer,
        lock: Option<u32>,
        force: bool,
    ) -> Put {
        if self.is_fenced(writer) {
            return Put::Fenced;
        }
        let holds = |held: &Lock| {
            Some(held.id) == lock
                || matches!(writer, Writer::Attempt(id) if held.attempt.as_deref() == Some(id))
        };
        let held = self.workspaces[workspace].lock.as_ref();
        if !self.is(Fault::LockIsIgnored) && held.is_some_and(|held| !holds(held)) {
            return Put::HeldBy;
        }
        let latest = self.workspaces[workspace].latest();
        if latest.version > 0 {
            if latest.is_same_document(state) {
                return Put::Unchanged;
            }
            let is_other = latest.writer.as_ref() != Some(writer);
            let is_older = state.serial < latest.serial || state.serial == latest.serial && is_other;
            let is_older = is_older && !self.is(Fault::OlderStatesWin);
            if !force && (state.lineage != latest.lineage || is_older) {
                return Put::Conflict;
            }
        }
        self.last_version += 1;
        let version = self.last_version;
        let stored = State { version, writer: Some(writer.clone()), ..state.clone() };
        self.workspaces[workspace].states.push(stored);
        Put::Done
    }

    pub(in crate::search) fn lock(&mut self, workspace: usize, id: u32, writer: &Writer) -> Put {
        let has_ended = match writer {
            Writer::Attempt(attempt) => {
                self.find(attempt).is_none_or(|(_, _, it)| it.phase == AttemptPhase::Ended)
            }
            Writer::User => false,
        };
        if self.is_fenced(writer) || has_ended && !self.is(Fault::EndedAttemptsLock) {
            return Put::Fenced;
        }
        let held = &mut self.workspaces[workspace].lock;
        match held {
            Some(held) if held.id == id => Put::Done,
            Some(_) => Put::HeldBy,
            None => {
                let attempt = match writer {
                    Writer::Attempt(attempt) => Some(attempt.clone()),
                    Writer::User => None,
                };
                *held = Some(Lock { id, attempt });
                Put::Done
            }
        }
    }

    /// Unlocks a state; without an id any lock, which only a user may.
    pub(in crate::search) fn unlock(&mut self, workspace: usize, id: Option<u32>, writer: &Writer) -> Put {
        if self.is_fenced(writer) {
            return Put::Fenced;
        }
        let held = &mut self.workspaces[workspace].lock;
        match held {
            None => return Put::Done,
            Some(held) if id.map_or(*writer == Writer::User, |id| id == held.id) => {}
            Some(_) => return Put::HeldBy,
        }
        *held = None;
        Put::Done
    }

    /// Releases the locks of attempts.
    pub(super) fn release_locks(&mut self, attempts: &[String]) {
        for workspace in &mut self.workspaces {
            let holder = workspace.lock.as_ref().and_then(|lock| lock.attempt.as_ref());
            if holder.is_some_and(|holder| attempts.contains(holder)) {
                workspace.lock = None;
            }
        }
    }
}
