//! Closes a job with an unknown outcome as a user does: follows the advice of its evidence to the letter.

use std::{collections::BTreeSet, iter::Sum, path::Path};

use anyhow::{Context as _, bail};
use api_server::client::{Client, Job};
use serde_json::{Value, json};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{
    books::{CloudObject, find},
    workspace::{POLL_INTERVAL, Workspace},
};
use crate::state;

/// What import blocks have where the id is not known.
const UNKNOWN_ID: &str = "REPLACE-WITH-THE-ID";

/// What was done about unknown outcomes.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Resolved {
    /// Things that no state showed when the job had ended, all named by its evidence.
    pub(super) named: usize,
    /// Those of them whose id the evidence did not know, but by what to look for them.
    pub(super) without_id: usize,
    /// Rescued states that were stored.
    pub(super) rescued: usize,
    /// Import blocks that were added.
    pub(super) imports: usize,
}

impl Sum for Resolved {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum.named += one.named;
            sum.without_id += one.without_id;
            sum.rescued += one.rescued;
            sum.imports += one.imports;
            sum
        })
    }
}

type Resources = BTreeSet<(String, String)>;

impl Workspace<'_> {
    /// Follows the evidence of a job, and closes it.
    pub(super) async fn resolve(&mut self, job: i64, deadline: Instant) -> anyhow::Result<()> {
        let path = format!("/v1/jobs/{job}/evidence");
        let mut evidence: Value = self.persist(deadline, async || self.client().get(&path).await).await?;
        let things = self.books.things().await?;
        let state = self.resources().await?;
        self.check_named(job, &evidence, &things, &state);
        if self.store_rescued(&evidence, deadline).await? {
            evidence = self.persist(deadline, async || self.client().get(&path).await).await?;
            self.resolved.rescued += 1;
        }
        let state = self.resources().await?;
        let replaced = self.add_imports(&evidence, &things, &state);
        self.publish()?;
        let recheck = format!("/v1/jobs/{job}/recheck");
        let recheck = async || self.client().create::<Job>(&recheck, &json!({})).await;
        let recheck = self.persist(deadline, recheck).await?;
        self.wait_for_end(recheck.id, deadline).await?;
        if !replaced.is_empty() {
            self.remove_from_state(&replaced, deadline).await?;
        }
        self.close(job, deadline).await
    }

    fn client(&self) -> &Client {
        &self.common.client
    }

    /// Finds what exists and neither the state nor the evidence shows.
    fn check_named(&mut self, job: i64, evidence: &Value, things: &[CloudObject], state: &Resources) {
        let missing = evidence["missing"].as_array().map(Vec::as_slice).unwrap_or_default();
        for thing in things {
            if state.iter().any(|(_, id)| *id == thing.id) {
                continue;
            }
            let block_of =
                |address: &str| self.imports.get(address).is_some_and(|block| block.contains(&thing.id));
            let entry = missing.iter().find(|it| it["address"] == thing.address.as_str());
            let entry = entry.filter(|entry| entry["importBlock"].is_string());
            match entry {
                Some(entry) if entry["id"].is_string() => self.resolved.named += 1,
                Some(entry) if find(things, entry).is_some() => {
                    self.resolved.named += 1;
                    self.resolved.without_id += 1;
                }
                // The configuration has its import block since the job before.
                _ if block_of(&thing.address) => {}
                _ => self.findings.lost.push(format!(
                    "{}, job {job}: {} exists ({}), no state shows it, and the evidence does not name it: \
                     {missing:#?}",
                    self.name, thing.address, thing.id
                )),
            }
        }
    }

    /// Stores the rescued state as the evidence says. Returns whether there was one to store.
    async fn store_rescued(&self, evidence: &Value, deadline: Instant) -> anyhow::Result<bool> {
        let first = evidence["nextSteps"][0].as_str().unwrap_or_default();
        if !first.contains("send it to POST") {
            return Ok(false);
        }
        let attempt = evidence["attempt"].as_str().unwrap_or_default();
        let path = format!("/v1/attempts/{attempt}/rescued-state");
        let rescued: Value = self.persist(deadline, async || self.client().get(&path).await).await?;
        let lock = evidence["lock"]["ID"].as_str().map(|id| format!("?ID={id}")).unwrap_or_default();
        let path = format!("{}{lock}", state::path(&self.id));
        self.persist(deadline, async || self.client().send(&path, &rescued).await).await?;
        Ok(true)
    }

    /// Takes the import blocks over, with the ids that are found. Returns the addresses that have another
    /// object in the state.
    fn add_imports(&mut self, evidence: &Value, things: &[CloudObject], state: &Resources) -> Vec<String> {
        let mut replaced = Vec::new();
        for missing in evidence["missing"].as_array().into_iter().flatten() {
            let (Some(address), Some(block)) = (missing["address"].as_str(), missing["importBlock"].as_str())
            else {
                continue;
            };
            let id = match missing["id"].as_str() {
                Some(id) if !block.contains(UNKNOWN_ID) => Some(id.to_owned()),
                _ => find(things, missing).map(|thing| thing.id.clone()),
            };
            // It does not exist: the block is left out.
            let Some(id) = id.filter(|id| things.iter().any(|thing| thing.id == *id)) else {
                self.imports.remove(address);
                continue;
            };
            let has_object = state.iter().any(|(known, _)| known == address);
            if state.contains(&(address.to_owned(), id.clone())) {
                self.imports.remove(address);
                continue;
            }
            if has_object {
                replaced.push(address.to_owned());
            }
            self.imports.insert(address.to_owned(), block.replace(UNKNOWN_ID, &id));
            self.resolved.imports += 1;
        }
        replaced
    }

    /// Runs `terraform state rm`, as the advice says.
    async fn remove_from_state(&self, addresses: &[String], deadline: Instant) -> anyhow::Result<()> {
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        std::fs::write(folder.path().join("main.tf"), "terraform {\n  backend \"http\" {}\n}\n")?;
        let remove = ["state", "rm", "-lock-timeout=20s"];
        let remove: Vec<&str> = remove.into_iter().chain(addresses.iter().map(String::as_str)).collect();
        loop {
            let done = async {
                self.run_tool(folder.path(), &["init", "-input=false"]).await?;
                self.run_tool(folder.path(), &remove).await
            };
            match done.await {
                Ok(()) => return Ok(()),
                // The answer to the first try was lost.
                Err(error) if format!("{error:#}").contains("No matching objects found") => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => sleep(POLL_INTERVAL).await,
            }
        }
    }

    async fn run_tool(&self, folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(self.common.tool.name());
        let address = self.client().url(&state::path(&self.id));
        command.args(arguments).current_dir(folder).env("TF_IN_AUTOMATION", "1").kill_on_drop(true);
        for (name, value) in [
            ("TF_HTTP_ADDRESS", address.as_str()),
            ("TF_HTTP_LOCK_ADDRESS", &address),
            ("TF_HTTP_UNLOCK_ADDRESS", &address),
            ("TF_HTTP_LOCK_METHOD", "LOCK"),
            ("TF_HTTP_UNLOCK_METHOD", "UNLOCK"),
            ("TF_HTTP_USERNAME", "chaos"),
            ("TF_HTTP_PASSWORD", &self.common.token),
        ] {
            command.env(name, value);
        }
        match &self.common.cli_config {
            Some(path) => command.env("TF_CLI_CONFIG_FILE", path),
            None => command.env_remove("TF_CLI_CONFIG_FILE"),
        };
        let output = command.output().await.context("cannot start terraform")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{}: {} {arguments:?}: {errors}", self.name, self.common.tool.name());
        }
        Ok(())
    }

    /// Abandons the job, and waits until the workspace is free.
    async fn close(&self, job: i64, deadline: Instant) -> anyhow::Result<()> {
        loop {
            // An answer may be lost, and a repeated request is refused: the lock of the workspace decides.
            let _ = self.client().send(&format!("/v1/jobs/{job}/abandon"), &json!({})).await;
            let workspace = self.client().get::<Value>(&format!("/v1/workspaces/{}", self.id)).await;
            if workspace.is_ok_and(|workspace| workspace["lockedByJob"].is_null()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{}: job {job} is unknown, and abandoning it does not free the workspace", self.name);
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}
