//! Observes a job and intervenes: cancels it, or restarts the api-server.

use super::site::{Site, Stop};
use crate::follow::Observer;
use api_server::model::JobStatus;

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intervention {
    /// Nothing; its plan is approved.
    None,
    /// It is cancelled in the middle of its apply.
    Cancel,
    /// The server is restarted while the plan waits for its approval, and killed in the middle of the apply.
    Restarts,
}

/// Intervenes once.
pub(super) struct Intervener<'a, S> {
    pub(super) site: &'a mut S,
    intervention: Intervention,
    /// A text of the log in the middle of the apply.
    marker: &'a str,
    log: String,
    /// Whether the job was running when the marker was received; `None` before.
    pub(super) was_live: Option<bool>,
}

impl<'a, S: Site> Intervener<'a, S> {
    pub(super) fn new(site: &'a mut S, intervention: Intervention, marker: &'a str) -> Self {
        Self { site, intervention, marker, log: String::new(), was_live: None }
    }
}

impl<S: Site> Observer for Intervener<'_, S> {
    async fn log_received(&mut self, job: i64, text: &str) -> anyhow::Result<()> {
        if self.was_live.is_some() {
            return Ok(());
        }
        self.log.push_str(text);
        if !self.log.contains(self.marker) {
            return Ok(());
        }
        let client = self.site.client();
        self.was_live = Some(client.job(job).await?.status == JobStatus::Running);
        match self.intervention {
            Intervention::None => Ok(()),
            Intervention::Cancel => Ok(client.post(&format!("/v1/jobs/{job}/cancel")).await?),
            Intervention::Restarts => self.site.restart(Stop::Kill).await,
        }
    }

    async fn decide(&mut self) -> anyhow::Result<Option<&'static str>> {
        if self.intervention == Intervention::Restarts {
            self.site.restart(Stop::Terminate).await?;
        }
        Ok(None)
    }
}
