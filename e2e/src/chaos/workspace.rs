//! One workspace: runs job after job as a user does, whether the server answers or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use api_server::{
    client::{Client, Job, List, Named},
    model::JobStatus,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    audit::{Findings, audit},
    is_unknown,
    ledger::{Ledger, configuration},
};
use crate::{state, tool::Tool};

const POLL_INTERVAL: Duration = Duration::from_millis(150);
/// Many times the duration of an undisturbed job.
const JOB_TIMEOUT: Duration = Duration::from_mins(4);

const PLAN_AND_APPLY: &str = "\
flow:
- {type: terraformPlan, name: Plan, step: 100}
- {type: approval, name: Approval, step: 150}
- {type: terraformApply, name: Apply, step: 200}
";

/// The template of all jobs.
#[derive(Debug)]
pub(super) struct Template {
    organization: String,
    id: String,
}

impl Template {
    pub(super) async fn register(client: &Client) -> anyhow::Result<Self> {
        let organization: Named = client.create("/v1/organizations", &json!({ "name": "chaos" })).await?;
        let path = format!("/v1/organizations/{}/templates", organization.id);
        let template: Named =
            client.create(&path, &json!({ "name": "plan-and-apply", "tcl": PLAN_AND_APPLY })).await?;
        Ok(Self { organization: organization.id, id: template.id })
    }
}

/// A workspace and the ends of its jobs.
#[derive(Debug)]
pub(super) struct Workspace<'a> {
    client: &'a Client,
    template: &'a str,
    id: String,
    name: String,
    folder: PathBuf,
    /// How each job ended, by its number in this workspace.
    rounds: BTreeMap<u32, JobStatus>,
}

impl<'a> Workspace<'a> {
    pub(super) async fn register(
        client: &'a Client,
        template: &'a Template,
        number: u32,
        folder: PathBuf,
        tool: Tool,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder.join("source")).context("cannot create the configuration")?;
        let name = format!("workspace-{number}");
        let path = format!("/v1/organizations/{}/workspaces", template.organization);
        let body = json!({ "name": name, "source": folder.join("source"), "iacType": tool.name() });
        let created: Named = client.create(&path, &body).await?;
        let (id, template) = (created.id, template.id.as_str());
        Ok(Self { client, template, id, name, folder, rounds: BTreeMap::new() })
    }

    /// Returns how the jobs ended.
    pub(super) fn ends(&self) -> impl Iterator<Item = JobStatus> {
        self.rounds.values().copied()
    }

    /// Runs jobs until a time; the last one is awaited.
    pub(super) async fn run_jobs(&mut self, until: Instant) -> anyhow::Result<()> {
        while Instant::now() < until {
            self.run_job().await?;
        }
        Ok(())
    }

    /// Runs one more job, which must complete, and compares the ledger with the state.
    pub(super) async fn run_last_job(&mut self) -> anyhow::Result<Findings> {
        let job = self.run_job().await?;
        if job.status != JobStatus::Completed {
            let Job { id, status, .. } = job;
            let reason = job.reason().unwrap_or("no message");
            bail!("{}: the last job {id}, which nothing disturbed, is {status}: {reason}", self.name);
        }
        let ledger = Ledger::read(&self.ledger())?;
        Ok(audit(&self.name, &ledger, &self.rounds, &self.resources().await?))
    }

    async fn run_job(&mut self) -> anyhow::Result<Job> {
        let round = self.rounds.keys().next_back().map_or(1, |last| last + 1);
        std::fs::write(self.folder.join("source/main.tf"), configuration(&self.ledger(), round))
            .context("cannot write the configuration")?;
        let deadline = Instant::now() + JOB_TIMEOUT;
        let id = self.create_job(deadline).await?;
        let job = self.wait_for_end(id, deadline).await?;
        self.rounds.insert(round, job.status);
        if is_unknown(job.status) {
            self.resolve(id, deadline).await?;
        }
        Ok(job)
    }

    fn ledger(&self) -> PathBuf {
        self.folder.join("ledger")
    }

    /// Creates a job. An answer may be lost with the server, so the list shows whether there is a new job.
    async fn create_job(&self, deadline: Instant) -> anyhow::Result<i64> {
        let path = format!("/v1/workspaces/{}/jobs", self.id);
        let newest = async || -> anyhow::Result<i64> {
            let jobs: List<Job> = self.client.get(&path).await?;
            Ok(jobs.items.iter().map(|job| job.id).max().unwrap_or_default())
        };
        let mut before = None;
        loop {
            let attempt = async {
                let known = newest().await?;
                match before {
                    Some(before) if known > before => return Ok(known),
                    _ => before = Some(known),
                }
                let job: Job = self.client.create(&path, &json!({ "templateId": self.template })).await?;
                anyhow::Ok(job.id)
            };
            match attempt.await {
                Ok(id) => return Ok(id),
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context(format!("{}: no job could be created", self.name)));
                }
                Err(_) => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// Approves the plan and waits for the end.
    async fn wait_for_end(&self, id: i64, deadline: Instant) -> anyhow::Result<Job> {
        let mut last = None;
        loop {
            match self.client.job(id).await {
                Ok(job) if job.status.is_final() => return Ok(job),
                Ok(job) => {
                    if job.status == JobStatus::WaitingApproval {
                        // An answer may be lost; whether the job goes on is seen below.
                        let _ = self.client.post(&format!("/v1/jobs/{id}/approve")).await;
                    }
                    last = Some(job);
                }
                // The server is away.
                Err(_) => {}
            }
            if Instant::now() > deadline {
                bail!("{}: job {id} has not ended within {JOB_TIMEOUT:?}; last seen: {last:#?}", self.name);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Closes an unknown job, as a user does who has looked at what exists.
    async fn resolve(&self, id: i64, deadline: Instant) -> anyhow::Result<()> {
        loop {
            // An answer may be lost, and a repeated request is refused: the lock of the workspace decides.
            let path = format!("/v1/jobs/{id}/abandon");
            let _ = self.client.create::<Value>(&path, &json!({})).await;
            let workspace = self.client.get::<Value>(&format!("/v1/workspaces/{}", self.id)).await;
            if workspace.is_ok_and(|workspace| workspace["lockedByJob"].is_null()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{}: job {id} is unknown, and abandoning it does not free the workspace", self.name);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the IDs of the resources in the state.
    async fn resources(&self) -> anyhow::Result<BTreeSet<String>> {
        let state: Value = self.client.get(&state::path(&self.id)).await?;
        let resources = state["resources"].as_array().into_iter().flatten();
        let instances = resources.flat_map(|resource| resource["instances"].as_array().into_iter().flatten());
        Ok(instances.filter_map(|one| Some(one["attributes"]["id"].as_str()?.to_owned())).collect())
    }
}
