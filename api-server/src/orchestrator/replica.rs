//! This program among the replicas of one database: it keeps its lease, finds jobs that no replica decides
//! about, and passes on the wake-ups of others.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::drive::STORE_RETRY_DELAY;
use crate::{
    services::chain,
    store::{Store, StoreError, Wake},
};

/// The jobs of a replica that was killed or cut off continue on another one after this time.
const LEASE: Duration = Duration::from_secs(10);
/// The lease of a program that is alone.
const LEASE_ALONE: Duration = Duration::from_hours(24 * 365 * 100);
/// How often the lease is renewed, and jobs without a replica are looked for.
const RENEW_INTERVAL: Duration = Duration::from_secs(2);
/// In so many intervals every job is looked at again, should a wake-up be lost: it is sent after the change
/// is stored, and a replica may be killed in between.
const TICKS_PER_CHECK: u32 = 8;

/// After so long without a wake-up the connection is opened again: the network may have dropped it silently.
const MAX_SILENCE: Duration = Duration::from_mins(1);

/// A wake-up for the supervisor.
#[derive(Debug)]
pub(super) enum ReplicaWake {
    /// For one job.
    Job(i64),
    /// For all jobs with a task.
    Running,
}

/// This program among the replicas.
pub(super) struct Replica {
    store: Store,
    id: Arc<str>,
    wakes: mpsc::UnboundedSender<ReplicaWake>,
}

impl Replica {
    /// Creates a replica with a new id. Its lease begins with [`keep_lease`](Self::keep_lease).
    pub(super) fn new(store: Store) -> (Self, mpsc::UnboundedReceiver<ReplicaWake>) {
        let (wakes, woken) = mpsc::unbounded_channel();
        (Self { store, id: uuid::Uuid::now_v7().to_string().into(), wakes }, woken)
    }

    pub(super) fn id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// Keeps the lease, and wakes jobs without a replica. It never ends.
    pub(super) async fn keep_lease(&self) {
        let mut ticks = interval(RENEW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_kept = false;
        for tick in 1_u32.. {
            ticks.tick().await;
            match self.renew().await {
                // Alone, no lease expires and no other program stores anything.
                Ok(()) if !self.store.is_shared() => return std::future::pending().await,
                Ok(()) => is_kept = true,
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(error, is_kept, "could not renew the lease of this replica, retrying");
                    tokio::time::sleep(STORE_RETRY_DELAY).await;
                    is_kept = false;
                }
            }
            if tick % TICKS_PER_CHECK == 0 {
                self.send(ReplicaWake::Running);
            }
        }
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let lease = if self.store.is_shared() { LEASE } else { LEASE_ALONE };
        self.store.renew_replica(&self.id, lease).await?;
        for job in self.store.jobs_without_replica().await? {
            self.send(ReplicaWake::Job(job));
        }
        Ok(())
    }

    /// Passes on the wake-ups of other replicas. It never ends.
    pub(super) async fn listen(&self) {
        loop {
            if let Err(error) = self.pass_on().await {
                tracing::error!(error = chain(&error), "could not listen to other replicas, retrying");
                tokio::time::sleep(STORE_RETRY_DELAY).await;
            }
        }
    }

    /// Passes on wake-ups until there are none for a while.
    async fn pass_on(&self) -> Result<(), StoreError> {
        let mut wakes = self.store.wakes().await?;
        self.send(ReplicaWake::Running);
        while let Ok(wake) = tokio::time::timeout(MAX_SILENCE, wakes.next()).await {
            self.send(match wake? {
                Wake::Job(job) => ReplicaWake::Job(job),
                Wake::Missed => ReplicaWake::Running,
            });
        }
        Ok(())
    }

    /// Ends the lease, so that others continue at once.
    pub(super) async fn leave(&self) {
        let ended = tokio::time::timeout(RENEW_INTERVAL, self.store.remove_replica(&self.id)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(error = chain(&error), "could not end the lease of this replica; it expires");
        }
    }

    fn send(&self, wake: ReplicaWake) {
        // The receiver ends with the orchestrator.
        let _ = self.wakes.send(wake);
    }
}

/// Wakes the replica that decides about a job. A failure delays the job until its next check.
pub(super) async fn wake_others(store: &Store, job_id: i64) {
    if let Err(error) = store.wake_replicas(job_id).await {
        tracing::warn!(job = job_id, error = chain(&error), "could not wake the replica of a job");
    }
}
