//! Versions of states: what must hold when one is stored.

use super::World;
use crate::search::{
    books::State,
    promises::Promise,
    records::{Put, Writer},
};

impl World {
    /// Stores a version, and checks that its writer may, and has read the version before.
    pub(super) fn put_state(
        &mut self,
        workspace: usize,
        state: &State,
        writer: &Writer,
        lock: Option<u32>,
    ) -> Put {
        let held = self.records.workspaces[workspace].lock.clone();
        let before = self.records.workspaces[workspace].latest();
        let put = self.records.put_state(workspace, state, writer, lock, false);
        if put != Put::Done {
            return put;
        }
        let is_holder = held.as_ref().is_none_or(|held| {
            Some(held.id) == lock
                || matches!(writer, Writer::Attempt(id) if held.attempt.as_deref() == Some(id))
        });
        if !is_holder {
            let detail = "a state was stored while another writer held the lock";
            self.violation(Promise::StatesAreKept, detail);
        }
        if state.base != before.version && !self.replaced.contains(&workspace) {
            let detail = format!(
                "version {} of the state was replaced by one whose writer has read version {}",
                before.version, state.base
            );
            self.violation(Promise::StatesAreKept, detail);
        }
        put
    }
}
