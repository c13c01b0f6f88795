//! Follows one job to its end: prints its live logs and the status of its steps, and answers its approval.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use api_server::{
    client::{Attempt, Client, ClientError, Job, Step},
    model::{JobStatus, StepStatus},
};
use futures::{StreamExt as _, stream::BoxStream};
use tokio::time::Instant;

use crate::{
    log_lines::{LogLines, without_escape_sequences},
    ui::Ui,
};

const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Ten times the longest step.
const JOB_TIMEOUT: Duration = Duration::from_mins(15);
/// From the end of a step to the end of its log.
const LOG_END_TIMEOUT: Duration = Duration::from_secs(15);

/// Observes a job and decides about its plan.
pub(crate) trait Observer {
    /// Called with each piece of the log of this job.
    async fn log_received(&mut self, _job: i64, _text: &str) -> anyhow::Result<()> {
        Ok(())
    }

    /// Decides about the plan: `None` approves it, a text says why it is rejected.
    async fn decide(&mut self) -> anyhow::Result<Option<&'static str>>;
}

/// A job that has ended.
#[derive(Debug)]
pub(crate) struct FollowedJob {
    pub(crate) job: Job,
    /// The logs of all its attempts, as they were received live.
    pub(crate) log: String,
    /// Why the observer rejected the plan.
    pub(crate) rejection: Option<&'static str>,
}

/// Follows a job to its end.
///
/// # Errors
/// The server cannot be reached, a log cannot be followed, the job exceeds its timeout,
/// or the observer fails.
pub(crate) async fn follow(
    ui: &Ui,
    client: &Client,
    id: i64,
    observer: &mut impl Observer,
) -> anyhow::Result<FollowedJob> {
    let job = client.job(id).await?;
    let mut follower = Follower {
        ui,
        client,
        observer,
        open_log: None,
        attempts: Vec::new(),
        printed: BTreeMap::new(),
        is_decided: false,
        followed: FollowedJob { job, log: String::new(), rejection: None },
    };
    follower.run().await?;
    Ok(follower.followed)
}

struct OpenLog {
    attempt: String,
    texts: BoxStream<'static, Result<String, ClientError>>,
    lines: LogLines,
}

struct Follower<'a, O> {
    ui: &'a Ui,
    client: &'a Client,
    observer: &'a mut O,
    /// At most one: a step starts after the one before has ended.
    open_log: Option<OpenLog>,
    /// The attempts whose log was opened.
    attempts: Vec<String>,
    /// The status that was printed last, by step.
    printed: BTreeMap<usize, StepStatus>,
    is_decided: bool,
    followed: FollowedJob,
}

impl<O: Observer> Follower<'_, O> {
    async fn run(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + JOB_TIMEOUT;
        loop {
            self.handle_status().await?;
            if self.followed.job.status.is_final() {
                return self.read_log_to_its_end().await;
            }
            if Instant::now() > deadline {
                bail!("job {} has not ended within {JOB_TIMEOUT:?}", self.followed.job.id);
            }
            let next_poll = Instant::now() + POLL_INTERVAL;
            self.read_log(next_poll).await?;
            tokio::time::sleep_until(next_poll).await;
            self.followed.job = self.client.job(self.followed.job.id).await?;
        }
    }

    /// Opens logs, prints statuses and decides, for the job as it is now.
    async fn handle_status(&mut self) -> anyhow::Result<()> {
        let steps = self.followed.job.steps.clone();
        for (number, step) in steps.iter().enumerate() {
            self.handle_step(number, step).await?;
            if !is_final(step.status) {
                break;
            }
        }
        if self.followed.job.status == JobStatus::WaitingApproval && !self.is_decided {
            self.is_decided = true;
            self.read_log_to_its_end().await?;
            let rejection = self.observer.decide().await?;
            self.followed.rejection = rejection;
            let answer = if rejection.is_none() { "approve" } else { "reject" };
            self.client.post(&format!("/v1/jobs/{}/{answer}", self.followed.job.id)).await?;
        }
        Ok(())
    }

    async fn handle_step(&mut self, number: usize, step: &Step) -> anyhow::Result<()> {
        for attempt in &step.attempts {
            if !self.attempts.contains(&attempt.id) {
                self.open_log(step, attempt).await?;
            }
        }
        if self.printed.insert(number, step.status) == Some(step.status) {
            return Ok(());
        }
        self.ui.clear_progress();
        let line = format!("{}: {}", step.name, spaced(step.status));
        if !is_final(step.status) {
            self.ui.progress(&line);
            return Ok(());
        }
        self.read_log_to_its_end().await?;
        let reason = step.message.as_deref().map(|message| format!(" ({message})")).unwrap_or_default();
        let line = format!("{line}{reason}");
        match step.status {
            StepStatus::NotExecuted => self.ui.note(&line),
            StepStatus::Completed => self.ui.success(&line),
            _ => self.ui.warning(&line),
        }
        Ok(())
    }

    async fn open_log(&mut self, step: &Step, attempt: &Attempt) -> anyhow::Result<()> {
        self.read_log_to_its_end().await?;
        self.ui.note(&format!("{}: Kubernetes Job {}", step.name, attempt.kubernetes_job));
        self.attempts.push(attempt.id.clone());
        let texts = self.client.follow_log(&attempt.id).boxed();
        self.open_log = Some(OpenLog { attempt: attempt.id.clone(), texts, lines: LogLines::default() });
        Ok(())
    }

    async fn read_log_to_its_end(&mut self) -> anyhow::Result<()> {
        self.read_log(Instant::now() + LOG_END_TIMEOUT).await?;
        match &self.open_log {
            Some(log) => bail!("the log of attempt {} does not end", log.attempt),
            None => Ok(()),
        }
    }

    /// Reads and prints the open log until it ends or the deadline passes.
    async fn read_log(&mut self, deadline: Instant) -> anyhow::Result<()> {
        while let Some(log) = &mut self.open_log {
            match tokio::time::timeout_at(deadline, log.texts.next()).await {
                Err(_) => return Ok(()),
                Ok(Some(text)) => {
                    let text = text.with_context(|| format!("cannot follow the log of {}", log.attempt))?;
                    let lines = log.lines.push(&text);
                    for line in &lines {
                        self.print(line);
                    }
                    self.followed.log.push_str(&text);
                    self.observer.log_received(self.followed.job.id, &text).await?;
                }
                Ok(None) => {
                    let last = log.lines.finish();
                    self.open_log = None;
                    if let Some(line) = last {
                        self.print(&line);
                    }
                }
            }
        }
        Ok(())
    }

    fn print(&self, line: &str) {
        if self.ui.colors { self.ui.log(line) } else { self.ui.log(&without_escape_sequences(line)) }
    }
}

fn is_final(status: StepStatus) -> bool {
    !matches!(status, StepStatus::Pending | StepStatus::Running | StepStatus::WaitingApproval)
}

/// Returns a status as words: `waiting approval`.
pub(crate) fn spaced(status: impl std::fmt::Display) -> String {
    let mut words = String::new();
    for character in status.to_string().chars() {
        if character.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(character.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_printed_as_words() {
        assert_eq!(spaced(JobStatus::WaitingApproval), "waiting approval");
        assert_eq!(spaced(StepStatus::Completed), "completed");
    }
}
