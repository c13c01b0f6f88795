//! Drives jobs to their end: one task per open job calls [`decide()`], carries out the action, and waits for
//! a change.
//!
//! The tasks keep nothing that is not in the store, so that a server that was killed continues by starting
//! them again. They are woken by the routes (a user or an executor has stored something) and by the phases
//! that the backend reports.

use std::{collections::HashMap, sync::Arc};

use tokio::{
    sync::{Notify, mpsc},
    task::{Id, JoinError, JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::services::{Services, chain};

mod act;
mod decide;
mod drive;
mod retry;

pub use decide::{Action, MAX_UNCLAIMED_ATTEMPTS, Next, decide};

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
        let supervisor =
            Supervisor { services, wakes: wakes.clone(), running: HashMap::new(), tasks: JoinSet::new() };
        let task = tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = supervisor.run(woken) => {}
            }
        });
        (Self { wakes }, task)
    }

    /// Notifies the orchestrator that something about a job was stored.
    pub fn wake(&self, job_id: i64) {
        // The channel is closed only while the server stops; the job continues at the next start.
        let _ = self.wakes.send(job_id);
    }
}

/// Owns the tasks of open jobs.
struct Supervisor {
    services: Arc<Services>,
    wakes: mpsc::UnboundedSender<i64>,
    running: HashMap<i64, (Id, Arc<Notify>)>,
    tasks: JoinSet<()>,
}

impl Supervisor {
    async fn run(mut self, mut woken: mpsc::UnboundedReceiver<i64>) {
        self.start_open_jobs().await;
        loop {
            tokio::select! {
                Some(job_id) = woken.recv() => self.wake(job_id),
                Some(ended) = self.tasks.join_next_with_id() => self.after(ended).await,
            }
        }
    }

    async fn start_open_jobs(&mut self) {
        loop {
            match self.services.store.open_jobs().await {
                Ok(jobs) => {
                    for job in jobs {
                        self.wake(job);
                    }
                    return;
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "could not read the open jobs, retrying");
                    tokio::time::sleep(drive::STORE_RETRY_DELAY).await;
                }
            }
        }
    }

    fn wake(&mut self, job_id: i64) {
        if let Some((_, changed)) = self.running.get(&job_id) {
            changed.notify_one();
            return;
        }
        let changed = Arc::new(Notify::new());
        let driver = drive::JobDriver::new(Arc::clone(&self.services), job_id, Arc::clone(&changed));
        let task = self.tasks.spawn(driver.run());
        self.running.insert(job_id, (task.id(), changed));
    }

    /// Continues after the task of a job: wakes the jobs that wait for its workspace, or starts a task again
    /// that panicked.
    async fn after(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(job_id) = self.running.iter().find_map(|(job, (task, _))| (*task == id).then_some(*job))
        else {
            return;
        };
        self.running.remove(&job_id);
        if let Err(error) = ended {
            tracing::error!(job = job_id, %error, "the task of a job panicked, starting it again");
            let wakes = self.wakes.clone();
            self.tasks.spawn(async move {
                tokio::time::sleep(drive::STORE_RETRY_DELAY).await;
                let _ = wakes.send(job_id);
            });
            return;
        }
        let waiting = async {
            let job = self.services.store.job(job_id).await?;
            self.services.store.waiting_jobs(&job.workspace_id).await
        };
        match waiting.await {
            Ok(jobs) => {
                for job in jobs {
                    self.wake(job);
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
