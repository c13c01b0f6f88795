//! Supervises one Job from its acceptance, or from the state that an earlier program left, to its end.
//!
//! One task per Job runs this. It alone writes the record and the progress of the Job, so there is one order
//! of events.

use std::{io, process::ExitStatus, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    process::Child,
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{
    blocking::blocking,
    environment::{CommandLine, HostEnvironment},
    leader::{Leader, is_free, until_free},
    mounts::Mount,
    plan::Plan,
    process::{self, ProcessTree},
    progress::Progress,
    record::{Folder, Record, Stage, StopReason},
};
use crate::{
    backend::{Cause, JobPhase},
    phase::{Waiting, termination},
};

/// How often a waiting Job checks for its Secrets.
const SECRET_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How often KILL is sent until all processes are gone; a process may start between listing and killing.
const KILL_INTERVAL: Duration = Duration::from_millis(200);

/// One Job under supervision.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) folder: Folder,
    pub(crate) record: Record,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) cancel: watch::Receiver<bool>,
}

impl Supervisor {
    /// Accepts a new Job and runs it.
    pub(crate) async fn run(mut self, plan: Plan, host: Arc<HostEnvironment>) {
        let folder = self.folder.clone();
        let accepted = match blocking(move || folder.create()).await {
            Ok(()) => self.save().await,
            Err(error) => Err(error),
        };
        let started = match accepted {
            Ok(()) => self.start(plan, &host).await,
            Err(error) => Err(Failed::Disk(error)),
        };
        match started {
            Ok(child) => {
                let cause = self.follow(Leader::Own(Box::new(child))).await;
                self.end(cause).await;
            }
            Err(Failed::Ended(cause)) => self.end(cause).await,
            Err(Failed::Disk(error)) if self.record.stage == Stage::Waiting => {
                // The submit has returned, so the Job cannot be refused any more.
                self.end(Cause::NotStarted { message: format!("its record cannot be written: {error}") })
                    .await;
            }
            Err(Failed::Disk(error)) => {
                // The submit has not returned: remove everything, so that it may be repeated.
                let folder = self.folder.clone();
                let _gone = blocking(move || folder.remove()).await;
                self.progress
                    .send_replace(Progress::Refused(format!("its record cannot be written: {error}")));
            }
        }
    }

    /// Continues with a Job whose process an earlier program has started.
    pub(crate) async fn adopt(mut self) {
        let cause = self.follow(Leader::Found).await;
        self.end(cause).await;
    }

    /// Waits for what the Job needs and starts its process.
    ///
    /// The plan, and with it the Secret of the Job, is dropped as soon as the process has started.
    async fn start(&mut self, plan: Plan, host: &Arc<HostEnvironment>) -> Result<Child, Failed> {
        let plan = Arc::new(plan);
        let mounts = self.folder.mounts();
        let line = loop {
            if let Some(reason) = self.stop_requested_now() {
                return Err(Failed::Ended(cause_of(reason)));
            }
            let (plan, host, mounts) = (Arc::clone(&plan), Arc::clone(host), mounts.clone());
            match blocking(move || Ok(host.command_line(&plan, &mounts))).await.map_err(Failed::Disk)? {
                Ok(line) => break line,
                Err(reason) => self.wait(reason).await?,
            }
        };
        let was = std::mem::replace(&mut self.record.stage, Stage::Starting);
        if let Err(error) = self.save().await {
            // A later program would not know that a process may run: so none may.
            self.record.stage = was;
            return Err(Failed::Disk(error));
        }
        let line = self.with_termination(line, host).await;
        let (line, written) = write_mounts(line).await?;
        let spawned = match written {
            Ok(()) => process::spawn(line, &self.folder, &notes(&plan)),
            Err(error) => Err(format!("a mounted Secret cannot be written: {error}")),
        };
        match spawned {
            Ok((child, process)) => {
                self.record.process = Some(process);
                self.record.stage = Stage::Running;
                self.save_or_warn().await;
                self.report(JobPhase::Running);
                Ok(child)
            }
            Err(message) => Err(Failed::Ended(Cause::NotStarted { message })),
        }
    }

    /// Reports why the Job waits, and waits for some time.
    async fn wait(&mut self, reason: String) -> Result<(), Failed> {
        if self.record.stage != Stage::Waiting {
            self.record.stage = Stage::Waiting;
            if let Err(error) = self.save().await {
                self.record.stage = Stage::Accepted;
                return Err(Failed::Disk(error));
            }
        }
        self.report(JobPhase::Pending { waiting: Waiting::for_config(&reason) });
        tokio::select! {
            biased;
            reason = self.stop_requested() => Err(Failed::Ended(cause_of(reason))),
            () = sleep(SECRET_POLL_INTERVAL) => Ok(()),
        }
    }

    /// Follows the process until nothing of it runs, and stops it when the Job is cancelled or its deadline
    /// passes.
    async fn follow(&mut self, mut leader: Leader) -> Cause {
        let folder = self.folder.clone();
        let tree = ProcessTree::new(self.record.process, folder.output());
        let grace = Duration::from_secs(self.record.grace_seconds);
        let mut kill_at = None;
        let mut status = None;
        if self.record.stopping.is_none() {
            tokio::select! {
                biased;
                ended = leader.ended(&folder) => status = ended,
                reason = self.stop_requested() => {
                    self.record.stopping = Some(reason);
                    self.save_or_warn().await;
                }
            }
        }
        if self.record.stopping.is_some() {
            if !self.record.signalled {
                tree.terminate();
                self.record.signalled = true;
                self.save_or_warn().await;
            }
            let at = *kill_at.insert(Instant::now() + grace);
            status = match timeout_at(at, leader.ended(&folder)).await {
                Ok(status) => status,
                Err(_) => kill_until(&tree, leader.ended(&folder)).await,
            };
        }
        let was_killed = status.is_some_and(|status| status.code().is_none());
        self.end_leftovers(&tree, kill_at.unwrap_or_else(|| Instant::now() + grace), was_killed).await;
        match (self.record.stopping, status) {
            (Some(reason), _) => cause_of(reason),
            (None, Some(status)) => self.cause_of_exit(status).await,
            (None, None) => self.lost().await,
        }
    }

    /// Creates the file for the termination message, and tells the process where it is.
    async fn with_termination(&self, mut line: CommandLine, host: &HostEnvironment) -> CommandLine {
        let Some(name) = &host.termination_variable else { return line };
        let folder = self.folder.clone();
        match blocking(move || folder.create_termination()).await {
            Ok(()) => {
                line.environment.insert(name.into(), self.folder.termination().into());
            }
            Err(error) => {
                tracing::warn!(job = %self.record.name, %error, "no file for the termination message");
            }
        }
        line
    }

    async fn cause_of_exit(&self, status: ExitStatus) -> Cause {
        use std::os::unix::process::ExitStatusExt as _;
        match (status.code(), status.signal()) {
            (Some(0), _) => Cause::Completed,
            (Some(code), _) => termination::cause(code, &self.termination_message().await),
            (None, Some(signal)) => Cause::Signal(signal),
            (None, None) => Cause::ExitCode(None),
        }
    }

    async fn lost(&self) -> Cause {
        let text = "the process ended while the program that had started it was not running";
        let message = match termination::message(&self.termination_message().await) {
            Some(last) => format!("{text}; its last message: {last}"),
            None => text.to_owned(),
        };
        Cause::Lost { message }
    }

    async fn termination_message(&self) -> String {
        let folder = self.folder.clone();
        blocking(move || Ok(folder.read_termination())).await.ok().flatten().unwrap_or_default()
    }

    /// Ends the processes that the main process has left behind. In a cluster they would be killed at once
    /// with the container; here they get the grace period, because they may have to write their state. The
    /// death of a process that was killed may have interrupted them already, so they get some time of it
    /// without a signal.
    async fn end_leftovers(&self, tree: &ProcessTree, kill_at: Instant, was_killed: bool) {
        if is_free(&self.folder).await {
            return;
        }
        let undisturbed = kill_at.saturating_duration_since(Instant::now()) * 3 / 4;
        if was_killed && timeout(undisturbed, until_free(&self.folder)).await.is_ok() {
            return;
        }
        tracing::warn!(job = %self.record.name, "the main process has ended and left others running, \
            ending them");
        tree.terminate();
        if timeout_at(kill_at, until_free(&self.folder)).await.is_err() {
            kill_until(tree, until_free(&self.folder)).await;
        }
    }

    async fn end(&mut self, cause: Cause) {
        self.record.stage = Stage::Ended { cause: cause.clone().into(), at: Timestamp::now() };
        let folder = self.folder.clone();
        let _removed = blocking(move || {
            folder.remove_scratch();
            Ok(())
        })
        .await;
        self.save_or_warn().await;
        tracing::info!(job = %self.record.name, %cause, "ended");
        self.report(JobPhase::Ended(cause));
    }

    /// Waits until the Job is to be stopped, and returns why. After a restart the reason is the same, because
    /// it is in the record.
    async fn stop_requested(&mut self) -> StopReason {
        let deadline = self.deadline();
        let overdue = async {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let cancelled = async {
            if self.cancel.wait_for(|cancelled| *cancelled).await.is_err() {
                // The sender was dropped: nothing can cancel the Job.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = cancelled => StopReason::Cancelled,
            () = overdue => StopReason::DeadlineExceeded,
        }
    }

    fn stop_requested_now(&self) -> Option<StopReason> {
        if *self.cancel.borrow() {
            Some(StopReason::Cancelled)
        } else {
            let overdue = self.deadline().is_some_and(|at| at <= Instant::now());
            overdue.then_some(StopReason::DeadlineExceeded)
        }
    }

    /// Returns the deadline on the monotonic clock. On disk it is a timestamp, so that it passes while no
    /// program runs.
    fn deadline(&self) -> Option<Instant> {
        let left = self.record.deadline_at?.duration_since(Timestamp::now());
        Instant::now().checked_add(Duration::try_from(left).unwrap_or_default())
    }

    fn report(&self, phase: JobPhase) {
        let next = Progress::In(phase);
        self.progress.send_if_modified(|current| {
            let differs = *current != next;
            *current = next;
            differs
        });
    }

    async fn save(&self) -> io::Result<()> {
        let (folder, record) = (self.folder.clone(), self.record.clone());
        blocking(move || folder.save(&record)).await
    }

    /// A full disk must not end the supervision of a running process.
    async fn save_or_warn(&self) {
        if let Err(error) = self.save().await {
            tracing::warn!(job = %self.record.name, %error, "could not write the record");
        }
    }
}

/// Why no process was started.
enum Failed {
    /// The Job has ended without one.
    Ended(Cause),
    /// Its record could not be written.
    Disk(io::Error),
}

const fn cause_of(reason: StopReason) -> Cause {
    match reason {
        StopReason::Cancelled => Cause::Deleted,
        StopReason::DeadlineExceeded => Cause::DeadlineExceeded,
    }
}

/// Writes the files of the mounts before a process starts.
async fn write_mounts(line: CommandLine) -> Result<(CommandLine, io::Result<()>), Failed> {
    let work = move || {
        let written = line.mounts.iter().try_for_each(Mount::write);
        Ok((line, written))
    };
    blocking(work).await.map_err(Failed::Disk)
}

fn notes(plan: &Plan) -> Vec<String> {
    if plan.not_honoured.is_empty() {
        return Vec::new();
    }
    let fields = plan.not_honoured.join(", ");
    tracing::info!(job = %plan.name, %fields, "the local backend does not honour these fields");
    vec![format!("not honoured by a local process: {fields}")]
}

/// Sends KILL repeatedly until a future is ready.
async fn kill_until<T>(tree: &ProcessTree, ended: impl Future<Output = T>) -> T {
    tokio::pin!(ended);
    loop {
        tree.kill();
        tokio::select! {
            biased;
            result = &mut ended => return result,
            () = sleep(KILL_INTERVAL) => {}
        }
    }
}
