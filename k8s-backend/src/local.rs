//! Runs Jobs as processes of this machine: for laptops, single servers and the demo.
//!
//! It differs from a cluster in this: the image is not used (without a `command` the configured entry point is run), nothing
//! is isolated, and whatever a process alone cannot honour (node selectors, volumes, resources, service accounts…) is named
//! once per Job in its output and otherwise left aside.
//!
//! # Processes outlive the program
//!
//! Like pods, processes are not ended when the backend is dropped or the program killed. The next [`LocalBackend::open`] on
//! the same directory finds them again, goes on with their deadlines, and can cancel them; only the exit code of a process that
//! ended without a parent is lost ([`Cause::Lost`](crate::Cause::Lost)).
//!
//! # What "ended" is worth
//!
//! [`JobPhase::Ended`] is told when the main process has been reaped and no process of the machine holds the Job's output
//! any more; what the main process leaves behind gets TERM, the grace period, and KILL. A process that has redirected both its
//! standard output and its standard error is seen only as long as it stays in the process group and something else holds the
//! output, so whoever starts a long-running child in a group of its own should let it inherit one of the two.
//!
//! # Secrets
//!
//! A Secret is looked for among what was submitted with the Job, then in the folder of Secrets. What goes into the environment
//! is never on disk. A mounted Secret is: its files lie in the Job's folder until the Job has ended, and since nothing can stand at the mount path
//! itself, values of `env`, `command` and `args` that are the mount path, or a path below it, are given to the process as
//! the path where the files are.
//!
//! # Files
//!
//! One folder per Job, readable for this user alone: `record.json` (never environment or arguments), `pod.log` (output),
//! `work` (working folder) and `mounts` (mounted Secrets), both removed at the end. They stay, so that a name is never used twice; `ttlSecondsAfterFinished` is
//! not honoured. To make the backend forget an ended Job, remove its folder while no program uses the directory.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    environment::Surroundings,
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
mod secrets;
mod supervise;

pub use self::{open_error::OpenError, options::LocalOptions};

/// Runs Jobs as processes of this machine.
///
/// Its processes outlive it: neither dropping it nor killing the program ends them, and the next [`open`](Self::open) on the
/// same directory goes on with them. Only a process that ends while no program watches loses its exit code.
/// A Job that still waited for its Secret when the program ended is [not started](crate::Cause::NotStarted), because what it would
/// have been started with was never written to disk.
#[derive(Debug)]
pub struct LocalBackend {
    directory: PathBuf,
    rules: JobRules,
    surroundings: Arc<Surroundings>,
    jobs: Mutex<BTreeMap<String, Entry>>,
    tasks: Mutex<JoinSet<()>>,
    closed: Closed,
    /// Held as long as this backend lives.
    _lock: File,
}

/// What is known of a Job besides its supervisor.
#[derive(Debug, Clone)]
struct Entry {
    identity: String,
    progress: watch::Receiver<Progress>,
    cancel: Arc<watch::Sender<bool>>,
}

impl LocalBackend {
    /// Opens the directory and goes on with every Job that an earlier program left there.
    ///
    /// Must be called inside a Tokio runtime with its I/O and time drivers on; the Jobs are supervised by tasks of that runtime.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if another program has the directory; [`OpenError::Unusable`] if a file cannot be made or read.
    /// A damaged record of a single Job is no error: its name stays taken.
    pub async fn open(options: LocalOptions) -> Result<Self, OpenError> {
        let LocalOptions { directory, secrets, entry_point, environment, rules } = options;
        // Processes start in a folder of their own, where relative paths would mean something else.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let directory = absolute(directory);
        let secrets = secrets.map_or_else(|| directory.join(".secrets"), absolute);
        let entry_point = entry_point.map(absolute);
        let lock = directory::lock(&directory).await?;
        let at = directory.clone();
        let found = blocking(move || directory::load(&at)).await;
        let found = found.map_err(|source| directory::unusable(&directory, source))?;
        let surroundings = Arc::new(Surroundings { secrets, entry_point, environment });
        let backend = Self {
            directory,
            rules,
            surroundings,
            jobs: Mutex::default(),
            tasks: Mutex::default(),
            closed: Closed::default(),
            _lock: lock,
        };
        for (record, folder) in found {
            backend.adopt(record, folder);
        }
        Ok(backend)
    }

    /// Stops supervising, and returns when nothing of this backend touches its directory any more.
    ///
    /// Processes go on. Watchers get an error of kind [`Unavailable`](ErrorKind::Unavailable), as does every later call.
    /// Dropping the backend does the same without waiting.
    pub async fn close(&self) {
        self.closed.set();
        let mut tasks = std::mem::take(&mut *locked(&self.tasks));
        tasks.shutdown().await;
    }

    /// Returns the file that holds what the processes of a Job print, if the name can be one.
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
        tracing::info!(job = %record.name, ?phase, "found");
        let (supervisor, entry) = entry(record, folder, Progress::In(phase.clone()));
        if supervisor.folder.is_cancelled() {
            entry.cancel.send_replace(true);
        }
        locked(&self.jobs).insert(supervisor.record.name.clone(), entry);
        if !phase.is_terminal() {
            locked(&self.tasks).spawn(supervisor.adopt());
        }
    }

    /// Finds the Job of a plan, or takes it in.
    fn find_or_take(&self, submission: &Submission, plan: Plan) -> (Entry, Submitted) {
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
            process: None,
            stopping: None,
            stage: Stage::Accepted,
        };
        let folder = Folder::new(&self.directory, &plan.name);
        let (supervisor, entry) = entry(record, folder, Progress::Accepting);
        jobs.insert(plan.name.clone(), entry.clone());
        let mut tasks = locked(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(supervisor.run(plan, Arc::clone(&self.surroundings)));
        (entry, Submitted::Created)
    }
}

#[async_trait]
impl JobBackend for LocalBackend {
    async fn submit(&self, submission: &Submission) -> Result<Submitted, BackendError> {
        let given = submission.name().to_owned();
        let error =
            |kind, source: crate::BoxError| BackendError::new(kind, Action::Submit, given.as_str(), source);
        let plan = Plan::new(submission, &self.rules, self.surroundings.entry_point.is_some());
        let plan = plan.map_err(|problems| error(ErrorKind::Invalid, problems.into()))?;
        if self.closed.is_set() {
            return Err(self.closed.error(Action::Submit, &given));
        }
        let (mut entry, submitted) = self.find_or_take(submission, plan);
        let submitted_identity = self.rules.identity(&submission.job);
        if entry.identity != submitted_identity {
            return Err(error(
                ErrorKind::Conflict,
                NameTaken::new(&entry.identity, &submitted_identity).into(),
            ));
        }
        // Not before it is on disk.
        let settled =
            entry.progress.wait_for(|progress| *progress != Progress::Accepting).await.map(|it| it.clone());
        match settled {
            Ok(Progress::Refused(reason)) => {
                // A name that was refused is free again, unless somebody has taken it meanwhile.
                let mut jobs = locked(&self.jobs);
                if jobs.get(&given).is_some_and(|there| there.progress.same_channel(&entry.progress)) {
                    jobs.remove(&given);
                }
                Err(error(ErrorKind::Unavailable, reason.into()))
            }
            Ok(_) => Ok(submitted),
            Err(_) => Err(self.closed.error(Action::Submit, &given)),
        }
    }

    fn watch(&self, name: &str) -> BoxStream<'static, Result<JobPhase, BackendError>> {
        if let Some(entry) = locked(&self.jobs).get(name) {
            return progress::follow(name.to_owned(), entry.progress.clone(), self.closed.clone());
        }
        let text = "no Job of this name was submitted here";
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

/// Nothing that is done under these locks can leave the data half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
