//! Ends every job that has not ended, so that stopping the server leaves no executor behind.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::environment::Environment;

use super::{
    api::Api,
    model::{Items, Job, Named},
};

/// How long terraform gets to save its state and the executor to report it.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Cancels all jobs that run or wait, and waits for their end. Asked to stop once more, it waits no longer.
///
/// # Errors
/// The server does not answer, or a job did not end in time: something may still run.
pub(crate) fn all_jobs(environment: &Environment, api: &Api) -> anyhow::Result<()> {
    let open = open_jobs(api).context("could not find out whether a job still runs")?;
    for job in &open {
        environment.ui.note(&format!("cancelling job {}", job.id));
        // It may end in the same moment, which is as good; whether it did is seen below.
        if let Err(error) = api.act(&format!("/v1/jobs/{}/cancel", job.id)) {
            environment.ui.warning(&format!("{error:#}"));
        }
    }
    let asked = environment.interrupt.count();
    let end = Instant::now() + SETTLED_WITHIN;
    for job in open {
        let path = format!("/v1/jobs/{}", job.id);
        while !api.get::<Job>(&path)?.status.is_final() {
            if environment.interrupt.count() > asked || Instant::now() > end {
                bail!("job {} has not ended: its executor may still run", job.id);
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
    Ok(())
}

fn open_jobs(api: &Api) -> anyhow::Result<Vec<Job>> {
    let mut open = Vec::new();
    for organization in api.get::<Items<Named>>("/v1/organizations")?.items {
        let workspaces = format!("/v1/organizations/{}/workspaces", organization.id);
        for workspace in api.get::<Items<Named>>(&workspaces)?.items {
            let jobs: Items<Job> = api.get(&format!("/v1/workspaces/{}/jobs", workspace.id))?;
            open.extend(jobs.items.into_iter().filter(|job| !job.status.is_final()));
        }
    }
    Ok(open)
}
