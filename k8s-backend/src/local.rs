//! Runs Jobs as processes of this machine: for laptops, single servers and demos.
//!
//! The differences from a cluster: the image is not used (a container without `command` runs the configured
//! entry point), nothing is isolated, and fields that one process cannot honour (node selectors, volumes,
//! resources, service accounts…) are listed once per Job in its output and otherwise ignored.
//!
//! A Job of which only a part could run is refused as invalid: several containers, init containers, or
//! several pods. A failed process is not repeated (`backoffLimit`, `restartPolicy`); that is listed too.
//!
//! # Suspended Jobs
//!
//! A Job with `spec.suspend` runs at once, and its output says so. On a cluster a queue or a client resumes
//! it; here there is neither, so waiting would only mean that a Job made for a queue never runs on a laptop.
//!
//! # Processes outlive the program
//!
//! Like pods, processes are not ended when the backend is dropped or the program killed. The next
//! [`LocalBackend::open`] on the same directory finds them again, continues their deadlines, and can cancel
//! them; only the exit code of a process that ended while no backend ran is lost
//! ([`Cause::Lost`](crate::Cause::Lost)).
//!
//! # The end of a Job
//!
//! [`JobPhase::Ended`] is reported when the main process has been reaped and no process of the machine has
//! the output of the Job open; processes that the main process leaves behind get TERM, the grace period, and
//! KILL. Where the main process was killed, they first get three quarters of the grace period without a
//! signal: its death may have interrupted them, and a second signal would keep them from saving what they
//! know. A process that has redirected both its standard output and its standard error is found only as long
//! as it is in the process group and another process has the output open. So a long-running child in its own
//! process group should inherit one of the two.
//!
//! # Secrets
//!
//! A Secret is either the one that was submitted with the Job, or in the folder of Secrets. Values in the
//! environment are never written to disk. The files of a mounted Secret are in the folder of the Job until it
//! has ended. A process has no mount path of its own, so values of `env`, `command` and `args` that are the
//! mount path, or a path below it, are replaced by the path of the files.
//!
//! # Files
//!
//! One folder per Job, accessible to this user alone: `record.json` (never environment or arguments),
//! `pod.log` (output), `termination-log` (its termination message), `work` (working folder) and `mounts`
//! (mounted Secrets); the last two are removed at the end. The others stay for the
//! [retention](LocalOptions::retention), so that a name is not used twice;
//! `ttlSecondsAfterFinished` is not honoured. Without a retention they stay; to make the backend forget an
//! ended Job, delete its folder while no program uses the directory.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use tokio::{sync::watch, task::JoinSet};

use self::{
    blocking::blocking,
    environment::HostEnvironment,
    plan::Plan,
    progress::{Closed, Progress},
    record::{Folder, Record, Stage},
    supervise::Supervisor,
};
use crate::{
    backend::{JobBackend, JobPhase, Submitted},
    error::{Action, BackendError, ErrorKind},
    identity::{self, NameTaken},
    phase::Waiting,
    rules::JobRules,
    submission::Submission,
};

mod blocking;
mod directory;
mod environment;
mod expand;
mod leader;
mod mounts;
mod open_error;
mod options;
mod output;
mod plan;
mod process;
mod progress;
mod record;
mod retention;
mod secrets;
mod supervise;

pub use self::{open_error::OpenError, options::LocalOptions};

/// How often the folders of ended Jobs are looked at, with a submit.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// Runs Jobs as processes of this machine.
///
/// Its processes outlive it: neither dropping it nor killing the program ends them, and the next
/// [`open`](Self::open) on the same directory continues with them. Only the exit code of a process that ends
/// while no backend runs is lost. A Job that still waited for its Secret when the program ended is [not
/// started](crate::Cause::NotStarted), because its environment was never written to disk.
#[derive(Debug)]
pub struct LocalBackend {
    directory: PathBuf,
    rules: JobRules,
    host: Arc<HostEnvironment>,
    jobs: Mutex<BTreeMap<String, Entry>>,
    tasks: Mutex<JoinSet<()>>,
    closed: Closed,
    retention: Option<Duration>,
    /// When folders of ended Jobs are looked at again.
    next_sweep: Mutex<Instant>,
    /// Locked as long as this backend exists.
    _lock: File,
}

/// A Job, as far as its supervisor shares it.
#[derive(Debug, Clone)]
struct Entry {
    identity: String,
    progress: watch::Receiver<Progress>,
    cancel: Arc<watch::Sender<bool>>,
}

impl LocalBackend {
    /// Opens the directory and continues with every Job that an earlier program left there.
    ///
    /// Must be called inside a Tokio runtime with I/O and time enabled; the Jobs are supervised by tasks of
    /// that runtime.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if another program uses the directory; [`OpenError::SecretsInDirectory`] if it is
    /// the folder of Secrets, too; [`OpenError::Unusable`] if a file cannot be created or read. A damaged
    /// record of a single Job is not an error: its name stays taken.
    pub async fn open(options: LocalOptions) -> Result<Self, OpenError> {
        let LocalOptions {
            directory,
            secrets,
            entry_point,
            environment,
            rules,
            retention,
            termination_variable,
        } = options;
        // Processes have another working folder, so relative paths would differ.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let directory = absolute(directory);
        let secrets = secrets.map_or_else(|| directory.join(".secrets"), absolute);
        let entry_point = entry_point.map(absolute);
        if secrets == directory {
            return Err(OpenError::SecretsInDirectory(secrets));
        }
        let lock = directory::lock(&directory).await?;
        let at = directory.clone();
        let found = blocking(move || {
            retention::remove_expired(&at, retention, Timestamp::now())?;
            directory::load(&at)
        })
        .await;
        let found = found.map_err(|source| directory::unusable(&directory, source))?;
        let host = Arc::new(HostEnvironment { secrets, entry_point, environment, termination_variable });
        let backend = Self {
            directory,
            rules,
            host,
            jobs: Mutex::default(),
            tasks: Mutex::default(),
            closed: Closed::default(),
            retention,
            next_sweep: Mutex::new(Instant::now() + SWEEP_INTERVAL),
            _lock: lock,
        };
        for (record, folder) in found {
            backend.adopt(record, folder);
        }
        Ok(backend)
    }

    /// Stops supervising, and returns when this backend no longer uses its directory.
    ///
    /// Processes run on. Watchers get an error of kind [`Unavailable`](ErrorKind::Unavailable), as does every
    /// later call. Dropping the backend does the same without waiting.
    pub async fn close(&self) {
        self.closed.set();
        let mut tasks = std::mem::take(&mut *locked(&self.tasks));
        tasks.shutdown().await;
    }

    /// Returns the file with the output of a Job, if the name is a valid one.
    #[must_use]
    pub fn output_of(&self, name: &str) -> Option<PathBuf> {
        identity::is_job_name(name).then(|| Folder::new(&self.directory, name).output())
    }

    fn adopt(&self, record: Record, folder: Folder) {
        let phase = match &record.stage {
            Stage::Ended { cause, .. } => JobPhase::Ended(cause.clone().into()),
            Stage::Accepted | Stage::Waiting => JobPhase::Pending { waiting: Waiting::Accepted },
            Stage::Starting | Stage::Running => JobPhase::Running,
        };
        tracing::info!(job = %record.name, ?phase, "found a Job of an earlier program");
        let (supervisor, entry) = entry(record, folder, Progress::In(phase.clone()));
        if supervisor.folder.is_cancelled() {
            entry.cancel.send_replace(true);
        }
        locked(&self.jobs).insert(supervisor.record.name.clone(), entry);
        if !phase.is_terminal() {
            locked(&self.tasks).spawn(supervisor.adopt());
        }
    }

    /// Removes the folders of ended Jobs whose retention has passed, once in a while.
    async fn sweep(&self) {
        {
            let mut next = locked(&self.next_sweep);
            if *next > Instant::now() {
                return;
            }
            *next = Instant::now() + SWEEP_INTERVAL;
        }
        let (directory, retention) = (self.directory.clone(), self.retention);
        let removed =
            blocking(move || retention::remove_expired(&directory, retention, Timestamp::now())).await;
        match removed {
            Ok(names) => locked(&self.jobs).retain(|name, _| !names.contains(name)),
            Err(error) => tracing::warn!(%error, "could not remove the folders of ended Jobs"),
        }
    }

    /// Finds the Job of a plan, or accepts it.
    fn find_or_accept(&self, submission: &Submission, plan: Plan) -> (Entry, Submitted) {
        let mut jobs = locked(&self.jobs);
        if let Some(entry) = jobs.get(&plan.name) {
            return (entry.clone(), Submitted::AlreadyThere);
        }
        let submitted_at = Timestamp::now();
        let record = Record {
            name: plan.name.clone(),
            identity: self.rules.identity(&submission.job),
            labels: submission.job.metadata.labels.clone().unwrap_or_default(),
            submitted_at,
            deadline_at: Record::deadline(submitted_at, plan.deadline),
            grace_seconds: plan.grace.as_secs(),
            signalled: false,
            process: None,
            stopping: None,
            stage: Stage::Accepted,
        };
        let folder = Folder::new(&self.directory, &plan.name);
        let (supervisor, entry) = entry(record, folder, Progress::Accepting);
        jobs.insert(plan.name.clone(), entry.clone());
        let mut tasks = locked(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(supervisor.run(plan, Arc::clone(&self.host)));
        (entry, Submitted::Created)
    }
}

#[async_trait]
impl JobBackend for LocalBackend {
    async fn submit(&self, submission: &Submission) -> Result<Submitted, BackendError> {
        let name = submission.name().to_owned();
        let error =
            |kind, source: crate::BoxError| BackendError::new(kind, Action::Submit, name.as_str(), source);
        let plan = Plan::new(submission, &self.rules, self.host.entry_point.is_some());
        let plan = plan.map_err(|problems| error(ErrorKind::Invalid, problems.into()))?;
        if self.closed.is_set() {
            return Err(self.closed.error(Action::Submit, &name));
        }
        self.sweep().await;
        let (mut entry, submitted) = self.find_or_accept(submission, plan);
        let submitted_identity = self.rules.identity(&submission.job);
        if entry.identity != submitted_identity {
            return Err(error(
                ErrorKind::Conflict,
                NameTaken::new(&entry.identity, &submitted_identity).into(),
            ));
        }
        // Return only when the record is on disk.
        let settled =
            entry.progress.wait_for(|progress| *progress != Progress::Accepting).await.map(|it| it.clone());
        match settled {
            Ok(Progress::Refused(reason)) => {
                // The name of a refused Job is free again, unless another submit has used it meanwhile.
                let mut jobs = locked(&self.jobs);
                if jobs.get(&name).is_some_and(|found| found.progress.same_channel(&entry.progress)) {
                    jobs.remove(&name);
                }
                Err(error(ErrorKind::Unavailable, reason.into()))
            }
            Ok(_) => Ok(submitted),
            Err(_) => Err(self.closed.error(Action::Submit, &name)),
        }
    }

    fn watch(&self, name: &str) -> BoxStream<'static, Result<JobPhase, BackendError>> {
        if let Some(entry) = locked(&self.jobs).get(name) {
            return progress::follow(name.to_owned(), entry.progress.clone(), self.closed.clone());
        }
        let text = "no Job of this name was submitted";
        let error = BackendError::new(ErrorKind::NotFound, Action::Watch, name, text);
        stream::once(async { Err(error) }).boxed()
    }

    async fn cancel(&self, name: &str) -> Result<(), BackendError> {
        if self.closed.is_set() {
            return Err(self.closed.error(Action::Cancel, name));
        }
        let Some(mut entry) = locked(&self.jobs).get(name).cloned() else { return Ok(()) };
        let settled =
            entry.progress.wait_for(|progress| *progress != Progress::Accepting).await.map(|it| it.clone());
        match settled {
            Ok(Progress::In(JobPhase::Ended(_)) | Progress::Refused(_)) => return Ok(()),
            Ok(_) => {}
            Err(_) => return Err(self.closed.error(Action::Cancel, name)),
        }
        let folder = Folder::new(&self.directory, name);
        blocking(move || folder.mark_cancelled())
            .await
            .map_err(|error| BackendError::new(ErrorKind::Unavailable, Action::Cancel, name, error))?;
        entry.cancel.send_replace(true);
        Ok(())
    }
}

impl Drop for LocalBackend {
    fn drop(&mut self) {
        self.closed.set();
    }
}

fn entry(record: Record, folder: Folder, progress: Progress) -> (Supervisor, Entry) {
    let (sender, receiver) = watch::channel(progress);
    let (cancel, cancelled) = watch::channel(false);
    let entry = Entry { identity: record.identity.clone(), progress: receiver, cancel: Arc::new(cancel) };
    (Supervisor { folder, record, progress: sender, cancel: cancelled }, entry)
}

/// No change under these locks can be left incomplete by a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
