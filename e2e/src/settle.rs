//! Ends every job that has not ended, so that no executor is left when the server stops.

use std::time::Duration;

use anyhow::{Context as _, bail};
use api_server::client::{Client, Job, List, Named};
use tokio::time::Instant;

use crate::ui::Ui;

/// Terraform saves its state and the executor reports it within this time.
const TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Cancels all jobs that run or wait, and waits for their end.
///
/// # Errors
/// The server does not answer, or a job did not end in time: its executor may still run.
pub(crate) async fn cancel_all_jobs(ui: &Ui, client: &Client) -> anyhow::Result<()> {
    let open = open_jobs(client).await.context("cannot find out whether a job is still running")?;
    for job in &open {
        ui.note(&format!("cancelling job {}", job.id));
        // The job may end at the same moment. Whether it did is checked below.
        if let Err(error) = client.post(&format!("/v1/jobs/{}/cancel", job.id)).await {
            ui.warning(&format!("{:#}", anyhow::Error::from(error)));
        }
    }
    let deadline = Instant::now() + TIMEOUT;
    for job in open {
        while !client.job(job.id).await?.status.is_final() {
            if Instant::now() > deadline {
                bail!("job {} has not ended: its executor may still run", job.id);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
    Ok(())
}

async fn open_jobs(client: &Client) -> anyhow::Result<Vec<Job>> {
    let mut open = Vec::new();
    for organization in client.get::<List<Named>>("/v1/organizations").await?.items {
        let workspaces = format!("/v1/organizations/{}/workspaces", organization.id);
        for workspace in client.get::<List<Named>>(&workspaces).await?.items {
            let jobs: List<Job> = client.get(&format!("/v1/workspaces/{}/jobs", workspace.id)).await?;
            open.extend(jobs.items.into_iter().filter(|job| !job.status.is_final()));
        }
    }
    Ok(open)
}
