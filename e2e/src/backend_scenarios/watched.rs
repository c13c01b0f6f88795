//! The watch of one Job, with timeouts, and with all earlier phases in every error message.

use std::{error::Error as _, fmt, time::Duration};

use anyhow::bail;
use futures::{StreamExt as _, stream::BoxStream};
use k8s_backend::{BackendError, Cause, ErrorKind, JobPhase};

/// For one phase, on a small and busy cluster.
const TIMEOUT: Duration = Duration::from_mins(3);

/// A watch with the phases that it has reported.
pub(crate) struct WatchedJob {
    watch: BoxStream<'static, Result<JobPhase, BackendError>>,
    phases: Vec<String>,
}

/// How a watch ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With this cause.
    Cause(Cause),
    /// The Job does not exist any more, and its end was not observed.
    NotFound,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cause(cause) => write!(f, "{cause}"),
            Self::NotFound => f.write_str("not found"),
        }
    }
}

impl WatchedJob {
    pub(crate) fn new(watch: BoxStream<'static, Result<JobPhase, BackendError>>) -> Self {
        Self { watch, phases: Vec::new() }
    }

    /// Waits for a phase whose description contains a text.
    pub(crate) async fn wait_for_phase(&mut self, text: &str) -> anyhow::Result<()> {
        loop {
            let phase = match self.next(text).await? {
                Ok(phase) => phase,
                Err(ended) => bail!("waited for {text:?}, but it ended: {ended}; before: {}", self.history()),
            };
            if phase.to_string().contains(text) {
                return Ok(());
            }
            if let JobPhase::Ended(cause) = phase {
                bail!("waited for {text:?}, but it ended: {cause}; before: {}", self.history());
            }
        }
    }

    /// Waits until the container is running.
    pub(crate) async fn wait_until_running(&mut self) -> anyhow::Result<()> {
        self.wait_for_phase(RUNNING).await
    }

    /// Waits for the end.
    pub(crate) async fn end(&mut self) -> anyhow::Result<Ended> {
        loop {
            match self.next("the end").await? {
                Ok(JobPhase::Ended(cause)) => return Ok(Ended::Cause(cause)),
                Ok(_) => {}
                Err(ended) => return Ok(ended),
            }
        }
    }

    async fn next(&mut self, wanted: &str) -> anyhow::Result<Result<JobPhase, Ended>> {
        match tokio::time::timeout(TIMEOUT, self.watch.next()).await {
            Err(_) => bail!("waited {} s for {wanted:?}; before: {}", TIMEOUT.as_secs(), self.history()),
            Ok(None) => bail!("the watch stopped before the Job ended; before: {}", self.history()),
            Ok(Some(Ok(phase))) => {
                self.phases.push(phase.to_string());
                Ok(Ok(phase))
            }
            Ok(Some(Err(error))) if error.kind == ErrorKind::NotFound => Ok(Err(Ended::NotFound)),
            Ok(Some(Err(error))) => bail!("the watch failed: {}; before: {}", chain(&error), self.history()),
        }
    }

    fn history(&self) -> String {
        if self.phases.is_empty() { "nothing".to_owned() } else { self.phases.join(", ") }
    }
}

const RUNNING: &str = "running";

/// An error with its sources, in one line.
pub(crate) fn chain(error: &BackendError) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn watched(phases: Vec<Result<JobPhase, BackendError>>) -> WatchedJob {
        WatchedJob::new(stream::iter(phases).boxed())
    }

    #[tokio::test]
    async fn skips_phases_before_the_expected_one() {
        let mut watched = watched(vec![Ok(JobPhase::Running), Ok(JobPhase::Ended(Cause::ExitCode(Some(7))))]);
        watched.wait_until_running().await.unwrap();
        assert_eq!(watched.end().await.unwrap().to_string(), "exit code 7");
    }

    #[tokio::test]
    async fn error_message_of_an_unexpected_end_lists_the_phases() {
        let mut watched = watched(vec![Ok(JobPhase::Running), Ok(JobPhase::Ended(Cause::Completed))]);
        let error = watched.wait_for_phase("a quota").await.unwrap_err().to_string();
        assert!(error.contains("\"a quota\"") && error.contains("running, ended: completed"), "{error}");
    }

    #[tokio::test]
    async fn watch_that_stops_without_an_end_is_an_error() {
        assert!(watched(vec![Ok(JobPhase::Running)]).end().await.is_err());
    }

    #[tokio::test]
    async fn not_found_is_an_end_and_other_errors_are_not() {
        let error = |kind| Err(BackendError::new(kind, k8s_backend::Action::Watch, "job-1", "why"));
        let ended = watched(vec![error(ErrorKind::NotFound)]).end().await.unwrap();
        assert!(matches!(ended, Ended::NotFound));
        let failed = watched(vec![error(ErrorKind::Forbidden)]).end().await.unwrap_err().to_string();
        assert!(failed.contains("why"), "{failed}");
    }
}
