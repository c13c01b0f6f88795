//! One workspace: runs job after job as a user does, whether the server answers or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, bail};
use api_server::{
    client::{Client, ClientError, Job, List, Named},
    model::JobStatus,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    audit::{Findings, audit},
    books::Books,
    is_unknown,
    resolve::Resolved,
    source::Source,
};
use crate::{registration::set_variable, state, tool::Tool};

pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// The number of the apply in its template.
pub(super) const APPLY_STEP: u32 = 200;

const PLAN_AND_APPLY: &str = "\
flow:
- {type: terraformPlan, name: Plan, step: 100}
- {type: approval, name: Approval, step: 150}
- {type: terraformApply, name: Apply, step: 200}
";

const PLAN: &str = "\
flow:
- {type: terraformPlan, name: Plan, step: 100}
";

/// What all workspaces share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) client: Client,
    pub(super) tool: Tool,
    /// Many times the duration of an undisturbed job.
    pub(super) job_timeout: Duration,
    /// The command line configuration of terraform, where there is one.
    pub(super) cli_config: Option<PathBuf>,
    /// The token of the administrator.
    pub(super) token: String,
    organization: String,
    plan_and_apply: String,
    plan: String,
}

impl Common {
    pub(super) async fn register(
        address: &str,
        token: String,
        tool: Tool,
        job_timeout: Duration,
        cli_config: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let client = Client::new(address, &token)?;
        let organization: Named = client.create("/v1/organizations", &json!({ "name": "chaos" })).await?;
        let path = format!("/v1/organizations/{}/templates", organization.id);
        let template = async |name: &str, tcl: &str| {
            let template: Named = client.create(&path, &json!({ "name": name, "tcl": tcl })).await?;
            anyhow::Ok(template.id)
        };
        let plan_and_apply = template("plan-and-apply", PLAN_AND_APPLY).await?;
        let plan = template("plan", PLAN).await?;
        let organization = organization.id;
        Ok(Self { client, tool, job_timeout, cli_config, token, organization, plan_and_apply, plan })
    }
}

/// A workspace and the ends of its jobs.
#[derive(Debug)]
pub(super) struct Workspace<'a> {
    pub(super) common: &'a Common,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) books: Books<'a>,
    pub(super) source: Source,
    /// How each job ended, by its number in this workspace.
    rounds: BTreeMap<u32, JobStatus>,
    /// The round of the configuration.
    round: u32,
    /// Import blocks that evidence has advised, by their addresses, until they are applied.
    pub(super) imports: BTreeMap<String, String>,
    pub(super) resolved: Resolved,
    pub(super) findings: Findings,
}

impl<'a> Workspace<'a> {
    pub(super) async fn register(
        common: &'a Common,
        name: String,
        source: Source,
        books: Books<'a>,
    ) -> anyhow::Result<Self> {
        let path = format!("/v1/organizations/{}/workspaces", common.organization);
        let body = json!({ "name": name, "source": source.address(), "iacType": common.tool.name() });
        let created: Named = common.client.create(&path, &body).await?;
        if let Some(path) = &common.cli_config {
            let variable = json!({ "key": "TF_CLI_CONFIG_FILE", "value": path, "category": "ENV" });
            set_variable(&common.client, &created.id, &variable).await?;
        }
        Ok(Self {
            common,
            id: created.id,
            name,
            books,
            source,
            rounds: BTreeMap::new(),
            round: 0,
            imports: BTreeMap::new(),
            resolved: Resolved::default(),
            findings: Findings::default(),
        })
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

    /// Runs one more job, which must complete, and a plan, which must find no changes. Compares the books
    /// with the state.
    pub(super) async fn run_last_job(&mut self) -> anyhow::Result<Findings> {
        let job = self.run_job().await?;
        if !is_done(job.status) {
            let Job { id, status, .. } = job;
            let reason = job.reason().unwrap_or("no message");
            bail!("{}: the last job {id}, which nothing disturbed, is {status}: {reason}", self.name);
        }
        self.publish()?;
        let deadline = Instant::now() + self.common.job_timeout;
        let plan = self.create_job(&self.common.plan, deadline).await?;
        let plan = self.wait_for_end(plan, deadline).await?;
        let mut findings = std::mem::take(&mut self.findings);
        if plan.status == JobStatus::NoChanges {
            findings.no_changes += 1;
        } else {
            let text = format!("{}: the plan after the last job is {}", self.name, plan.status);
            findings.other.push(format!("{text}, expected noChanges"));
        }
        let things = self.books.things().await?;
        let ledger = match &self.books {
            Books::Ledger(path) => Some(super::ledger::Ledger::read(path)?),
            Books::Cloud { .. } => None,
        };
        let state = self.resources().await?.into_iter().map(|(_, id)| id).collect();
        let audited = audit(&self.name, ledger.as_ref(), &things, &self.rounds, &state);
        Ok([findings, audited].into_iter().sum())
    }

    async fn run_job(&mut self) -> anyhow::Result<Job> {
        let number = self.rounds.keys().next_back().map_or(1, |last| last + 1);
        let last_is_done = self.rounds.values().next_back().is_none_or(|status| is_done(*status));
        // A ledger has a line for each resource of each job; in a cloud, a job is repeated until it is done.
        if last_is_done || matches!(self.books, Books::Ledger(_)) {
            self.round += 1;
        }
        self.publish()?;
        let deadline = Instant::now() + self.common.job_timeout;
        let id = self.create_job(&self.common.plan_and_apply, deadline).await?;
        let job = self.wait_for_end(id, deadline).await?;
        self.rounds.insert(number, job.status);
        if is_unknown(job.status) {
            self.resolve(id, deadline + self.common.job_timeout).await?;
        } else if is_done(job.status) {
            self.imports.clear();
        } else {
            self.check_failure(&job, deadline).await?;
        }
        Ok(job)
    }

    /// Writes the configuration of the round with the pending import blocks.
    pub(super) fn publish(&self) -> anyhow::Result<()> {
        let blocks: Vec<&str> = self.imports.values().map(String::as_str).collect();
        self.source.publish(&self.books.configuration(self.round), &blocks.join("\n"))
    }

    /// A job that fails because something exists already has met what no state and no evidence showed, or
    /// was applied twice.
    async fn check_failure(&mut self, job: &Job, deadline: Instant) -> anyhow::Result<()> {
        let Some((_, attempt)) = job.attempts().last() else { return Ok(()) };
        let path = format!("/v1/attempts/{}/log", attempt.id);
        let log = self.persist(deadline, async || self.common.client.text(&path).await).await?;
        let exists = ["AlreadyExists", "AlreadyOwnedByYou", "already exists", "Resource already managed"];
        if exists.iter().any(|text| log.contains(text)) {
            let lines: Vec<&str> = log.lines().filter(|line| line.contains("Error")).collect();
            let text = format!("{}, job {}: created what exists: {}", self.name, job.id, lines.join("; "));
            self.findings.double.push(text);
        }
        Ok(())
    }

    /// Repeats a request until it succeeds: the server may be away.
    pub(super) async fn persist<T>(
        &self,
        deadline: Instant,
        request: impl AsyncFn() -> Result<T, ClientError>,
    ) -> anyhow::Result<T> {
        loop {
            match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() > deadline => {
                    let error = anyhow::Error::from(error);
                    return Err(error.context(format!("{}: no answer in time", self.name)));
                }
                Err(_) => sleep(POLL_INTERVAL).await,
            }
        }
    }

    /// Creates a job. An answer may be lost with the server, so the list shows whether there is a new job.
    async fn create_job(&self, template: &str, deadline: Instant) -> anyhow::Result<i64> {
        let client = &self.common.client;
        let path = format!("/v1/workspaces/{}/jobs", self.id);
        let newest = async || -> anyhow::Result<i64> {
            let jobs: List<Job> = client.get(&path).await?;
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
                let job: Job = client.create(&path, &json!({ "templateId": template })).await?;
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
    pub(super) async fn wait_for_end(&self, id: i64, deadline: Instant) -> anyhow::Result<Job> {
        let client = &self.common.client;
        let mut last = None;
        loop {
            match client.job(id).await {
                Ok(job) if job.status.is_final() => return Ok(job),
                Ok(job) => {
                    if job.status == JobStatus::WaitingApproval {
                        // An answer may be lost; whether the job goes on is seen below.
                        let _ = client.post(&format!("/v1/jobs/{id}/approve")).await;
                    }
                    last = Some(job);
                }
                // The server is away.
                Err(_) => {}
            }
            if Instant::now() > deadline {
                let limit = self.common.job_timeout;
                bail!("{}: job {id} has not ended within {limit:?}; last seen: {last:#?}", self.name);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the addresses and IDs of the resources in the state.
    pub(super) async fn resources(&self) -> anyhow::Result<BTreeSet<(String, String)>> {
        let deadline = Instant::now() + self.common.job_timeout;
        let path = state::path(&self.id);
        let text = self.persist(deadline, async || self.common.client.text(&path).await).await?;
        if text.is_empty() {
            return Ok(BTreeSet::new());
        }
        let state: Value = serde_json::from_str(&text).context("the state is not JSON")?;
        let resources = state["resources"].as_array().into_iter().flatten();
        let resources = resources.filter(|resource| resource["mode"] == "managed");
        Ok(resources.flat_map(instances).collect())
    }
}

fn instances(resource: &Value) -> Vec<(String, String)> {
    let instances = resource["instances"].as_array().into_iter().flatten();
    let (kind, name) = (resource["type"].as_str().unwrap_or("?"), resource["name"].as_str().unwrap_or("?"));
    let one = |instance: &Value| {
        let id = instance["attributes"]["id"].as_str()?;
        // Numbers and simple texts are in JSON what they are in an address.
        Some((format!("{kind}.{name}[{}]", instance["index_key"]), id.to_owned()))
    };
    instances.filter_map(one).collect()
}

/// Returns whether a job did all of its work.
pub(super) fn is_done(status: JobStatus) -> bool {
    matches!(status, JobStatus::Completed | JobStatus::NoChanges)
}
