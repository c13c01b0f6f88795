//! Follows one job to its end: shows the live logs and the phases, and asks its watcher where a person must decide.

use std::{
    collections::BTreeMap,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::environment::Environment;

use super::{
    api::Api,
    log_lines::{LogLines, without_colours},
    log_stream::{self, LogEvent},
    model::{Job, Status, Step},
};

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// No step of the demo takes a tenth of this; it is for machines that hang.
const LONGEST_JOB: Duration = Duration::from_mins(15);
/// How long the last log lines may take after the end of a job.
const LAST_LINES_WITHIN: Duration = Duration::from_secs(15);

/// Whoever looks on, and has a say in it.
pub(crate) trait Watcher {
    /// Hears the next piece of a log of this job.
    ///
    /// # Errors
    /// Nothing that follows makes sense.
    fn hears(&mut self, _job: u64, _text: &str) -> anyhow::Result<()> {
        Ok(())
    }

    /// Decides about a plan; a text says why it is rejected.
    ///
    /// # Errors
    /// Nobody can decide any more.
    fn decides(&mut self) -> anyhow::Result<Option<&'static str>>;
}

/// A job that has ended, with all that its log said.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) job: Job,
    pub(crate) log: String,
    /// Why somebody here ended it.
    pub(crate) rejection: Option<&'static str>,
}

/// Follows a job to its end.
///
/// # Errors
/// The server cannot be asked any more, a log cannot be followed, the job takes far too long, or this process is
/// asked to stop.
pub(crate) fn follow(
    environment: &Environment,
    api: &Api,
    id: u64,
    watcher: &mut dyn Watcher,
) -> anyhow::Result<Followed> {
    let (sender, events) = mpsc::channel();
    let job = api.get(&format!("/v1/jobs/{id}"))?;
    let mut follower = Follower {
        environment,
        api,
        watcher,
        sender,
        events,
        logs: BTreeMap::new(),
        shown: BTreeMap::new(),
        decided: false,
        followed: Followed { job, log: String::new(), rejection: None },
    };
    follower.run_out()?;
    Ok(follower.followed)
}

struct Follower<'a> {
    environment: &'a Environment,
    api: &'a Api,
    watcher: &'a mut dyn Watcher,
    sender: Sender<LogEvent>,
    events: Receiver<LogEvent>,
    /// The logs that were opened, by attempt; `None` once a log is complete.
    logs: BTreeMap<String, Option<LogLines>>,
    /// The last status that was shown of each step.
    shown: BTreeMap<usize, Status>,
    decided: bool,
    followed: Followed,
}

impl Follower<'_> {
    fn run_out(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        self.look()?;
        let mut looked = Instant::now();
        while !self.followed.job.status.is_final() {
            if start.elapsed() > LONGEST_JOB {
                bail!("job {} has not ended in {LONGEST_JOB:?}", self.followed.job.id);
            }
            self.listen(LOOK_EVERY)?;
            if looked.elapsed() >= LOOK_EVERY {
                self.followed.job = self.api.get(&format!("/v1/jobs/{}", self.followed.job.id))?;
                self.look()?;
                looked = Instant::now();
            }
        }
        self.drain()
    }

    /// Looks at the job as it is now: opens logs, shows phases, decides.
    fn look(&mut self) -> anyhow::Result<()> {
        let steps = self.followed.job.steps.clone();
        for (number, step) in steps.iter().enumerate() {
            self.show(number, step)?;
            if !step.status.is_final() {
                // The turn of the later ones has not come.
                break;
            }
        }
        if self.followed.job.status == Status::WaitingApproval && !self.decided {
            self.decided = true;
            self.drain()?;
            self.decide()?;
        }
        Ok(())
    }

    fn show(&mut self, number: usize, step: &Step) -> anyhow::Result<()> {
        for attempt in &step.attempts {
            if !self.logs.contains_key(&attempt.id) {
                // The log before this one first, so that no line stands below the wrong heading.
                self.drain()?;
                self.environment
                    .ui
                    .note(&format!("{}: Kubernetes Job {}", step.name, attempt.kubernetes_job));
                self.logs.insert(attempt.id.clone(), Some(LogLines::default()));
                log_stream::follow(self.api.clone(), attempt.id.clone(), self.sender.clone());
            }
        }
        if self.shown.insert(number, step.status) == Some(step.status) {
            return Ok(());
        }
        self.environment.ui.quiet();
        if step.status.is_final() {
            self.drain()?;
            let why = step.message.as_deref().map(|message| format!(" ({message})")).unwrap_or_default();
            let line = format!("{}: {}{why}", step.name, step.status);
            match step.status {
                Status::NotExecuted => self.environment.ui.note(&line),
                status if status.is_good() => self.environment.ui.good(&line),
                _ => self.environment.ui.warning(&line),
            }
        } else {
            self.environment.ui.phase(&format!("{}: {}", step.name, step.status));
        }
        Ok(())
    }

    fn decide(&mut self) -> anyhow::Result<()> {
        let rejection = self.watcher.decides()?;
        self.followed.rejection = rejection;
        let answer = if rejection.is_none() { "approve" } else { "reject" };
        self.api.act(&format!("/v1/jobs/{}/{answer}", self.followed.job.id))
    }

    /// Takes the next piece of a log, if one comes in time.
    fn listen(&mut self, patience: Duration) -> anyhow::Result<()> {
        self.environment.interrupt.check()?;
        match self.events.recv_timeout(patience) {
            Ok(LogEvent::Text { attempt, text }) => {
                let lines = self.logs.get_mut(&attempt).and_then(Option::as_mut).map(|log| log.feed(&text));
                lines.into_iter().flatten().for_each(|line| self.print(&line));
                self.followed.log.push_str(&text);
                self.watcher.hears(self.followed.job.id, &text)
            }
            Ok(LogEvent::End { attempt }) => {
                let last = self.logs.insert(attempt, None).flatten().and_then(|mut log| log.finish());
                if let Some(line) = last {
                    self.print(&line);
                }
                Ok(())
            }
            Ok(LogEvent::Lost { attempt, error }) => {
                Err(error).with_context(|| format!("could not follow the log of attempt {attempt}"))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(()),
        }
    }

    /// Shows the rest of every log that is open, up to its end.
    fn drain(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + LAST_LINES_WITHIN;
        while self.logs.values().any(Option::is_some) {
            if Instant::now() > end {
                bail!("the log of a step that has ended does not end");
            }
            self.listen(LOOK_EVERY)?;
        }
        Ok(())
    }

    fn print(&self, line: &str) {
        let ui = &self.environment.ui;
        if ui.colours() { ui.log(line) } else { ui.log(&without_colours(line)) }
    }
}
