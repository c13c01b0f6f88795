//! Drives jobs to their end: one task per open job calls [`decide()`], carries out the action, and waits for
//! a change.
//!
//! The tasks keep nothing that is not in the store, so that a server that was killed continues by starting
//! them again. They are woken by the routes (a user or an executor has stored something) and by the phases
//! that the backend reports. Of several replicas one decides about a job; the others wake it.

use std::{collections::HashMap, sync::Arc};

use tokio::{
    sync::{Notify, mpsc},
    task::{Id, JoinError, JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use self::{
    drive::DriverEnd,
    replica::{Replica, ReplicaWake},
};
use crate::services::{Services, chain};

mod act;
mod action;
mod decide;
mod drive;
mod leftovers;
mod replica;
mod retry;
mod retry_policy;
mod schedule;

pub use crate::decision_rules::{Rules, View};
pub use action::{Action, Next};
pub use decide::{decide, needs_slot};
pub use retry_policy::MAX_UNCLAIMED_ATTEMPTS;
pub use schedule::{free as jobs_with_slot, slot};

/// Handle that notifies the orchestrator of changes in the store.
#[derive(Debug, Clone)]
pub struct Orchestrator {
    wakes: mpsc::UnboundedSender<i64>,
}

impl Orchestrator {
    /// Starts the orchestrator with all open jobs of the store; it stops when `shutdown` is cancelled. The
    /// task never ends by itself before that: a server whose orchestrator has ended must end too.
    #[must_use]
    pub fn start(services: Arc<Services>, shutdown: CancellationToken) -> (Self, JoinHandle<()>) {
        let (wakes, woken) = mpsc::unbounded_channel();
        let (replica, from_replicas) = Replica::new(services.store.clone());
        let supervisor = Supervisor {
            services,
            replica: replica.id(),
            wakes: wakes.clone(),
            running: HashMap::new(),
            tasks: JoinSet::new(),
        };
        let task = tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = supervisor.run(woken, from_replicas) => {}
                () = replica.keep_lease() => {}
                () = replica.listen() => {}
            }
            // The tasks of jobs have ended with the supervisor.
            replica.leave().await;
        });
        (Self { wakes }, task)
    }

    /// Notifies the orchestrator that something about a job was stored.
    pub fn wake(&self, job_id: i64) {
        // The channel is closed only while the server stops; the job continues at the next start.
        let _ = self.wakes.send(job_id);
    }
}

/// Owns the tasks of the jobs that this replica decides about.
struct Supervisor {
    services: Arc<Services>,
    /// Id of this replica.
    replica: Arc<str>,
    wakes: mpsc::UnboundedSender<i64>,
    running: HashMap<i64, Running>,
    tasks: JoinSet<DriverEnd>,
}

/// The task of a job.
struct Running {
    task: Id,
    changed: Arc<Notify>,
    /// Whether a route of this replica has stored something since the task started.
    woken_here: bool,
}

impl Supervisor {
    async fn run(
        mut self,
        mut woken: mpsc::UnboundedReceiver<i64>,
        mut from_replicas: mpsc::UnboundedReceiver<ReplicaWake>,
    ) {
        loop {
            tokio::select! {
                Some(job_id) = woken.recv() => self.wake(job_id, true),
                Some(wake) = from_replicas.recv() => match wake {
                    ReplicaWake::Job(job_id) => self.wake(job_id, false),
                    ReplicaWake::Running => {
                        self.running.values().for_each(|running| running.changed.notify_one());
                    }
                },
                Some(ended) = self.tasks.join_next_with_id() => self.after(ended).await,
            }
        }
    }

    /// Wakes the task of a job, or starts one. It ends at once if another replica decides about the job.
    fn wake(&mut self, job_id: i64, here: bool) {
        if let Some(running) = self.running.get_mut(&job_id) {
            running.changed.notify_one();
            running.woken_here |= here;
            return;
        }
        let changed = Arc::new(Notify::new());
        let driver = drive::JobDriver::new(
            Arc::clone(&self.services),
            job_id,
            Arc::clone(&changed),
            self.wakes.clone(),
        );
        let replica = Arc::clone(&self.replica);
        let task = self.tasks.spawn(async move { driver.run(&replica).await }).id();
        self.running.insert(job_id, Running { task, changed, woken_here: here });
    }

    /// Continues after the task of a job: wakes the jobs that wait for its workspace, or starts a task again
    /// that panicked.
    async fn after(&mut self, ended: Result<(Id, DriverEnd), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let found = self.running.iter().find_map(|(job, running)| (running.task == id).then_some(*job));
        let Some((job_id, running)) = found.and_then(|job_id| self.running.remove_entry(&job_id)) else {
            return;
        };
        if let Err(error) = ended {
            tracing::error!(job = job_id, %error, "the task of a job panicked, starting it again");
            let wakes = self.wakes.clone();
            self.tasks.spawn(async move {
                tokio::time::sleep(drive::STORE_RETRY_DELAY).await;
                let _ = wakes.send(job_id);
                DriverEnd::Elsewhere
            });
            return;
        }
        if matches!(ended, Ok((_, DriverEnd::Elsewhere))) {
            if running.woken_here {
                replica::wake_others(&self.services.store, job_id).await;
            }
            return;
        }
        let waiting = async {
            let job = self.services.store.job(job_id).await?;
            self.services.store.waiting_jobs(&job.workspace_id).await
        };
        match waiting.await {
            Ok(jobs) => {
                for job in jobs {
                    self.wake(job, true);
                }
            }
            Err(error) => {
                tracing::error!(
                    job = job_id,
                    error = chain(&error),
                    "could not read the waiting jobs, retrying"
                );
                let _ = self.wakes.send(job_id);
            }
        }
    }
}
