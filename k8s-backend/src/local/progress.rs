//! The progress of a Job of the local backend, for its watchers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::sync::watch;

use crate::{
    backend::JobPhase,
    error::{Action, BackendError, ErrorKind},
};

/// The progress of a Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its record is being written.
    Accepting,
    /// Its record could not be written; nothing was started, and the name is free.
    Refused(String),
    /// It is accepted.
    In(JobPhase),
}

/// Whether the backend was closed, so that its Jobs are no longer supervised.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closed(Arc<AtomicBool>);

impl Closed {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The error of a Job whose supervising task is gone.
    pub(crate) fn error(&self, action: Action, job: &str) -> BackendError {
        if self.is_set() {
            let text = "the local backend was closed; the process runs on, and the next program finds it";
            BackendError::new(ErrorKind::Unavailable, action, job, text)
        } else {
            let text = "the task that supervises the process has panicked";
            BackendError::new(ErrorKind::Internal, action, job, text)
        }
    }
}

/// Follows a Job from now to its end.
pub(crate) fn follow(
    job: String,
    mut progress: watch::Receiver<Progress>,
    closed: Closed,
) -> BoxStream<'static, Result<JobPhase, BackendError>> {
    // A new watcher has seen nothing, in contrast to the receiver that it was cloned from.
    progress.mark_changed();
    let state = Some((job, progress, closed, None));
    stream::unfold(state, |state| async move {
        let (job, mut progress, closed, last) = state?;
        loop {
            let current = progress.borrow_and_update().clone();
            match current {
                Progress::In(phase) if last.as_ref() != Some(&phase) => {
                    let ended = phase.is_terminal();
                    let next = (!ended).then(|| (job, progress, closed, Some(phase.clone())));
                    return Some((Ok(phase), next));
                }
                Progress::Refused(reason) => {
                    let error = BackendError::new(ErrorKind::NotFound, Action::Watch, job, reason);
                    return Some((Err(error), None));
                }
                Progress::Accepting | Progress::In(_) => {}
            }
            if progress.changed().await.is_err() {
                return Some((Err(closed.error(Action::Watch, &job)), None));
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::Cause, phase::Waiting};

    fn pending() -> Progress {
        Progress::In(JobPhase::Pending { waiting: Waiting::Accepted })
    }

    #[tokio::test]
    async fn watcher_of_panicked_supervisor_gets_an_error() {
        let (sender, receiver) = watch::channel(pending());
        let mut phases = follow("job-1".to_owned(), receiver, Closed::default());
        assert!(phases.next().await.unwrap().is_ok());
        drop(sender);
        assert_eq!(phases.next().await.unwrap().unwrap_err().kind, ErrorKind::Internal);
        assert!(phases.next().await.is_none());
    }

    #[tokio::test]
    async fn watcher_of_closed_backend_gets_unavailable() {
        let (sender, receiver) = watch::channel(pending());
        let closed = Closed::default();
        let mut phases = follow("job-1".to_owned(), receiver, closed.clone());
        closed.set();
        drop(sender);
        assert!(phases.next().await.unwrap().is_ok());
        assert_eq!(phases.next().await.unwrap().unwrap_err().kind, ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn end_is_reported_after_the_supervisor_is_gone() {
        let (sender, receiver) = watch::channel(Progress::Accepting);
        let mut phases = follow("job-1".to_owned(), receiver, Closed::default());
        sender.send_replace(Progress::In(JobPhase::Ended(Cause::Completed)));
        drop(sender);
        assert_eq!(phases.next().await.unwrap().unwrap(), JobPhase::Ended(Cause::Completed));
        assert!(phases.next().await.is_none());
    }
}
