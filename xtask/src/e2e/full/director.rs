//! Looks on while a job runs, and does at the right moment what a story wants: nothing, a cancel, or restarts of the server.

use super::site::{Site, Stop};
use crate::product::{
    follow::Watcher,
    model::{Job, Status},
};

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plot {
    /// It is approved, and runs.
    Plain,
    /// It is cancelled in the middle of its apply.
    Cancel,
    /// The server is stopped and started while the plan waits for its approval, and killed in the middle of the apply.
    Restarts,
}

/// Does what the plot wants, once.
pub(super) struct Director<'a> {
    pub(super) site: &'a mut dyn Site,
    pub(super) plot: Plot,
    /// What the log says in the middle of the apply.
    marker: String,
    heard: String,
    /// Whether the job ran while its log was heard; `None` until the marker came.
    pub(super) was_live: Option<bool>,
}

impl<'a> Director<'a> {
    pub(super) fn new(site: &'a mut dyn Site, plot: Plot, marker: &str) -> Self {
        Self { site, plot, marker: marker.to_owned(), heard: String::new(), was_live: None }
    }
}

impl Watcher for Director<'_> {
    fn hears(&mut self, job: u64, text: &str) -> anyhow::Result<()> {
        if self.was_live.is_some() {
            return Ok(());
        }
        self.heard.push_str(text);
        if !self.heard.contains(&self.marker) {
            return Ok(());
        }
        let path = format!("/v1/jobs/{job}");
        let now: Job = self.site.api().get(&path)?;
        self.was_live = Some(now.status == Status::Running);
        match self.plot {
            Plot::Plain => Ok(()),
            Plot::Cancel => self.site.api().act(&format!("{path}/cancel")),
            Plot::Restarts => self.site.restart(Stop::Killed),
        }
    }

    fn decides(&mut self) -> anyhow::Result<Option<&'static str>> {
        if self.plot == Plot::Restarts {
            self.site.restart(Stop::Told)?;
        }
        Ok(None)
    }
}
