//! What a watch tells, up to a bound, with everything it told before in every complaint.

use std::{error::Error as _, fmt, time::Duration};

use anyhow::bail;
use futures::{StreamExt as _, stream::BoxStream};
use k8s_backend::{BackendError, Cause, ErrorKind, JobPhase};

/// No single piece of news takes longer, on a small and busy machine either.
const PATIENCE: Duration = Duration::from_mins(3);

/// A watch, and what it has told.
pub(crate) struct Story {
    watch: BoxStream<'static, Result<JobPhase, BackendError>>,
    told: Vec<String>,
}

/// How a watch ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With this cause.
    Cause(Cause),
    /// The Job is unknown: it is gone, and nobody saw how.
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

impl Story {
    pub(crate) fn new(watch: BoxStream<'static, Result<JobPhase, BackendError>>) -> Self {
        Self { watch, told: Vec::new() }
    }

    /// Waits for a phase whose words hold a text.
    pub(crate) async fn tells(&mut self, text: &str) -> anyhow::Result<()> {
        loop {
            let phase = match self.next(text).await? {
                Ok(phase) => phase,
                Err(ended) => bail!("waited for {text:?}, but it ended: {ended}; before: {}", self.history()),
            };
            if words(&phase).contains(text) {
                return Ok(());
            }
            if let JobPhase::Ended(cause) = phase {
                bail!("waited for {text:?}, but it ended: {cause}; before: {}", self.history());
            }
        }
    }

    /// Waits until the container runs.
    pub(crate) async fn runs(&mut self) -> anyhow::Result<()> {
        self.tells(RUNS).await
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
        match tokio::time::timeout(PATIENCE, self.watch.next()).await {
            Err(_) => bail!("waited {} s for {wanted:?}; before: {}", PATIENCE.as_secs(), self.history()),
            Ok(None) => bail!("the watch ended without an end; before: {}", self.history()),
            Ok(Some(Ok(phase))) => {
                self.told.push(words(&phase));
                Ok(Ok(phase))
            }
            Ok(Some(Err(error))) if error.kind == ErrorKind::NotFound => Ok(Err(Ended::NotFound)),
            Ok(Some(Err(error))) => bail!("the watch failed: {}; before: {}", chain(&error), self.history()),
        }
    }

    fn history(&self) -> String {
        if self.told.is_empty() { "nothing".to_owned() } else { self.told.join(", ") }
    }
}

const RUNS: &str = "it runs";

fn words(phase: &JobPhase) -> String {
    match phase {
        JobPhase::Running => RUNS.to_owned(),
        JobPhase::Ended(cause) => format!("it ended: {cause}"),
        JobPhase::Pending { waiting } => format!("it waits: {waiting}"),
    }
}

/// An error with its causes, in one line.
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

    fn story(phases: Vec<Result<JobPhase, BackendError>>) -> Story {
        Story::new(stream::iter(phases).boxed())
    }

    #[tokio::test]
    async fn news_before_the_wanted_one_is_skipped() {
        let mut story = story(vec![Ok(JobPhase::Running), Ok(JobPhase::Ended(Cause::ExitCode(Some(7))))]);
        story.runs().await.unwrap();
        assert_eq!(story.end().await.unwrap().to_string(), "exit code 7");
    }

    #[tokio::test]
    async fn a_story_that_ends_otherwise_tells_what_was_seen() {
        let mut story = story(vec![Ok(JobPhase::Running), Ok(JobPhase::Ended(Cause::Completed))]);
        let error = story.tells("a quota").await.unwrap_err().to_string();
        assert!(error.contains("\"a quota\"") && error.contains("it runs, it ended: completed"), "{error}");
    }

    #[tokio::test]
    async fn a_watch_that_just_stops_is_no_end() {
        assert!(story(vec![Ok(JobPhase::Running)]).end().await.is_err());
    }

    #[tokio::test]
    async fn an_unknown_job_is_an_end_and_any_other_error_is_not() {
        let error = |kind| Err(BackendError::new(kind, k8s_backend::Action::Watch, "job-1", "why"));
        let ended = story(vec![error(ErrorKind::NotFound)]).end().await.unwrap();
        assert!(matches!(ended, Ended::NotFound));
        let failed = story(vec![error(ErrorKind::Forbidden)]).end().await.unwrap_err().to_string();
        assert!(failed.contains("why"), "{failed}");
    }
}
