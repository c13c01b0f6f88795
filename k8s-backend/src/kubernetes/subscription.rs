//! A subscription to the changes of one name in the shared watches.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::hub::{Health, Hub, JobSnapshot};
use crate::{BoxError, error::ErrorKind};

/// How long the first phase of a Job waits for its pods and events. They make a cause precise, but are not
/// required.
const OPTIONAL_WATCHES_TIMEOUT: Duration = Duration::from_secs(5);

/// A subscription to the changes of one name.
pub(super) struct Subscription {
    pub(super) name: String,
    pub(super) snapshots: watch::Receiver<JobSnapshot>,
    hub: Arc<Hub>,
    health: watch::Receiver<Health>,
    failures: u64,
}

impl Subscription {
    pub(super) fn new(hub: Arc<Hub>, name: String, namespace: &str) -> Self {
        let snapshots = hub.state().follow(&name, namespace);
        let health = hub.health.subscribe();
        let failures = health.borrow().failures;
        Self { name, snapshots, hub, health, failures }
    }

    /// Waits until the watch has read a whole list once.
    ///
    /// # Errors
    /// If a request to the server failed meanwhile.
    pub(super) async fn ready(&mut self) -> Result<Health, (ErrorKind, BoxError)> {
        loop {
            let health = self.health.borrow_and_update().clone();
            self.check(&health)?;
            if health.ready {
                return Ok(health);
            }
            // The hub that sends lives as long as this subscription.
            let _ = self.health.changed().await;
        }
    }

    /// Waits until the existing pods and events were read, where the role allows it, but not longer than the
    /// timeout.
    pub(super) async fn wait_for_optional_watches(&self) {
        let mut watches = self.hub.optional_watches.subscribe();
        let complete = watches.wait_for(|watches| watches.are_complete());
        // After the timeout the phase is read from what is known. The hub that sends lives as long as this
        // subscription.
        let _ = tokio::time::timeout(OPTIONAL_WATCHES_TIMEOUT, complete).await;
    }

    /// Returns whether pods may be readable: `false` only when the server said that they are not.
    pub(super) fn may_read_pods(&self) -> bool {
        self.hub.optional_watches.borrow().abilities.is_none_or(|able| able.pods)
    }

    /// Waits for the next change of the name.
    ///
    /// # Errors
    /// If a request to the server failed meanwhile.
    pub(super) async fn changed(&mut self) -> Result<JobSnapshot, (ErrorKind, BoxError)> {
        loop {
            tokio::select! {
                biased;
                _ = self.snapshots.changed() => return Ok(self.snapshots.borrow_and_update().clone()),
                _ = self.health.changed() => {
                    let health = self.health.borrow_and_update().clone();
                    self.check(&health)?;
                }
            }
        }
    }

    fn check(&self, health: &Health) -> Result<(), (ErrorKind, BoxError)> {
        match &health.last_failure {
            Some(failure) if health.failures != self.failures => {
                Err((failure.kind, Box::new(Arc::clone(&failure.source))))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        // The receiver of this subscription is still counted.
        if state.followed.get(&self.name).is_some_and(|snapshots| snapshots.receiver_count() <= 1) {
            state.followed.remove(&self.name);
        }
    }
}
