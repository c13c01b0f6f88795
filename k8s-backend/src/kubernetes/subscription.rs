//! Someone who follows a Job by the shared watches.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    hub::{Health, Told},
    shared::Shared,
};
use crate::{BoxError, error::ErrorKind};

/// How long it is waited for pods and events before a Job is told about without them: they are a gain, not a need.
const SIGHT: Duration = Duration::from_secs(5);

/// Someone who follows a name.
pub(super) struct Subscription {
    pub(super) shared: Arc<Shared>,
    pub(super) name: String,
    pub(super) told: watch::Receiver<Told>,
    health: watch::Receiver<Health>,
    failures: u64,
}

impl Subscription {
    pub(super) fn new(shared: Arc<Shared>, name: String, told: watch::Receiver<Told>) -> Self {
        let health = shared.hub.health.subscribe();
        let failures = health.borrow().failures;
        Self { shared, name, told, health, failures }
    }

    /// Waits until the watch has read a whole list once.
    ///
    /// # Errors
    /// If the server could not be asked meanwhile.
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

    /// Waits until the pods and events that there are were read, where the role allows it, but not for long.
    pub(super) async fn sighted(&self) {
        let mut sight = self.shared.hub.sight.subscribe();
        // Either way it goes on with what there is. The hub that sends lives as long as this subscription.
        let _ = tokio::time::timeout(SIGHT, sight.wait_for(|sight| sight.is_whole())).await;
    }

    /// Waits for news of the name.
    ///
    /// # Errors
    /// If the server could not be asked meanwhile.
    pub(super) async fn news(&mut self) -> Result<Told, (ErrorKind, BoxError)> {
        loop {
            tokio::select! {
                biased;
                _ = self.told.changed() => return Ok(self.told.borrow_and_update().clone()),
                _ = self.health.changed() => {
                    let health = self.health.borrow_and_update().clone();
                    self.check(&health)?;
                }
            }
        }
    }

    fn check(&self, health: &Health) -> Result<(), (ErrorKind, BoxError)> {
        match &health.last {
            Some(failure) if health.failures != self.failures => {
                Err((failure.kind, Box::new(Arc::clone(&failure.source))))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.shared.hub.state();
        // The receiver of this subscription is still counted.
        if state.followed.get(&self.name).is_some_and(|told| told.receiver_count() <= 1) {
            state.followed.remove(&self.name);
        }
    }
}
