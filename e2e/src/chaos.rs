//! Chaos: a real api-server, executors and terraform, each killed at random moments while jobs run on several
//! workspaces.
//!
//! The resources keep books outside of terraform (`books`): a ledger, to which each creation and each
//! removal appends a line (`ledger`), or a cloud (`cloud`). A job whose outcome is `unknown` is resolved
//! as its evidence says (`resolve`). At the end nothing is killed any more, one more job and one more plan
//! run on each workspace, and the states are compared with the books: what was applied, was applied once, and
//! what exists is in a state.

mod audit;
mod balancer;
mod books;
mod cloud;
mod killer;
mod ledger;
mod resolve;
mod site;
mod source;
mod victims;
mod workspace;

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use api_server::model::JobStatus;
use clap::Parser;
use futures::future::try_join_all;
use tokio::time::Instant;

use self::{
    audit::Findings,
    balancer::serve_repositories,
    books::Books,
    cloud::{Cloud, CloudOptions},
    killer::{Killer, Kills},
    resolve::Resolved,
    site::Site,
    source::Source,
    workspace::{Common, Workspace},
};
use crate::{
    session::Session,
    signals::{self, until_signal},
    tool::Tool,
};

/// Kills server, executors and terraform at random moments, and counts what was applied.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
pub struct Args {
    /// How long to kill; the jobs that run then are awaited
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// The seed of all random decisions [default: a new one, which is printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Number of workspaces, each with one job at a time [default: 4, with --cloud 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    workspaces: Option<u32>,
    /// So many api-servers on one PostgreSQL database, of which one at a time is stopped and resumed, too
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8),
        conflicts_with = "cloud")]
    replicas: u32,
    /// Resources of the provider hashicorp/aws in a cloud on this machine
    #[arg(long)]
    cloud: bool,
    #[command(flatten)]
    cloud_options: CloudOptions,
    /// The program to run [default: terraform, else tofu]
    #[arg(long, value_enum)]
    engine: Option<Tool>,
}

/// Many times the duration of an undisturbed job, and the same in a cloud, where a queue takes 25 seconds.
const JOB_TIMEOUT: Duration = Duration::from_mins(4);
const CLOUD_JOB_TIMEOUT: Duration = Duration::from_mins(10);

/// Runs chaos with the programs beside this one.
///
/// # Errors
/// Something was applied twice, a state was lost, a job did not end, or a program failed.
pub fn run(args: &Args) -> anyhow::Result<()> {
    signals::block_on(until_signal(run_chaos(args)))
}

async fn run_chaos(args: &Args) -> anyhow::Result<()> {
    let session = Session::new()?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    session.ui.title(&format!("Chaos with seed {seed} for {} seconds", args.seconds));
    let folder = tempfile::Builder::new().prefix("ephemeral-agents-chaos-").tempdir();
    let folder = folder.context("cannot create a temporary folder")?;
    let result = Run { session: &session, args, seed, folder: folder.path() }.run().await;
    if result.is_err() {
        session.ui.note(&format!("the data is kept in {}", folder.keep().display()));
    }
    result
}

/// One run of chaos.
struct Run<'a> {
    session: &'a Session,
    args: &'a Args,
    seed: u64,
    folder: &'a Path,
}

impl<'a> Run<'a> {
    async fn run(&self) -> anyhow::Result<()> {
        let skipped = |what: &str| self.session.ui.warning(&format!("SKIPPED: {what}"));
        let cloud = if self.args.cloud {
            match self.args.cloud_options.find(self.session) {
                Ok(found) => Some(Cloud::start(self.session, &found, self.folder).await?),
                Err(error) if self.args.cloud_options.are_default() => {
                    skipped(&format!("chaos with a cloud: {error:#}"));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        } else {
            None
        };
        let Some(site) = self.start_site().await? else {
            skipped("chaos with replicas: PostgreSQL is not installed (Debian package postgresql)");
            return Ok(());
        };
        let common = self.register(&site, cloud.as_ref()).await?;
        let mut workspaces = self.workspaces(&common, cloud.as_ref()).await?;
        self.disturb(site, &mut workspaces).await
    }

    async fn start_site(&self) -> anyhow::Result<Option<Site<'a>>> {
        if self.args.replicas > 1 {
            return Site::replicas(self.session, self.folder, self.args.replicas).await;
        }
        Site::single(self.session, self.folder).await.map(Some)
    }

    async fn register(&self, site: &Site<'_>, cloud: Option<&Cloud>) -> anyhow::Result<Common> {
        let timeout = if cloud.is_some() { CLOUD_JOB_TIMEOUT } else { JOB_TIMEOUT };
        let cli_config = cloud.map(|cloud| cloud.cli_config.clone());
        Common::register(&site.url(), site.admin_token()?, Tool::find(self.args.engine)?, timeout, cli_config)
            .await
    }

    async fn workspaces<'b>(
        &self,
        common: &'b Common,
        cloud: Option<&'b Cloud>,
    ) -> anyhow::Result<Vec<Workspace<'b>>> {
        let repositories = if self.args.replicas > 1 {
            Some(serve_repositories(self.folder.to_path_buf()).await?)
        } else {
            None
        };
        let count = self.args.workspaces.unwrap_or(if cloud.is_some() { 3 } else { 4 });
        let mut workspaces = Vec::new();
        for number in 0..count {
            let name = format!("workspace-{number}");
            let folder = self.folder.join(&name);
            let source = match &repositories {
                Some(address) => {
                    Source::repository(folder.join("source"), format!("{address}/{name}/source"))?
                }
                None => Source::folder(folder.join("source"))?,
            };
            let books = match cloud {
                Some(cloud) => Books::Cloud { cloud, prefix: format!("chaos-{number}") },
                None => Books::Ledger(folder.join("ledger")),
            };
            workspaces.push(Workspace::register(common, name, source, books).await?);
        }
        Ok(workspaces)
    }

    /// Runs jobs and kills what runs them, then looks at what is left.
    async fn disturb(&self, site: Site<'a>, workspaces: &mut [Workspace<'_>]) -> anyhow::Result<()> {
        let ui = &self.session.ui;
        let until = Instant::now() + Duration::from_secs(self.args.seconds);
        let jobs = try_join_all(workspaces.iter_mut().map(|workspace| workspace.run_jobs(until)));
        let killer = Killer::new(site, self.seed, self.args.cloud);
        // The jobs that run at the end need the server: both are awaited.
        let (jobs, (kills, site)) = tokio::join!(jobs, killer.run(until));
        let mut site = site.context("the api-server could not be started again")?;
        let settled = async {
            jobs?;
            ui.note("nothing is killed any more; one last job and a plan on each workspace");
            try_join_all(workspaces.iter_mut().map(Workspace::run_last_job)).await
        };
        let findings = settled.await.map_err(|error| site.explain(error));
        if findings.is_err() {
            ui.note("the last lines of the server's log:");
            site.last_lines().iter().for_each(|line| ui.log(line));
        }
        site.stop().await;
        self.report(&kills, workspaces, &findings?.into_iter().sum())
    }

    fn report(&self, kills: &Kills, workspaces: &[Workspace<'_>], findings: &Findings) -> anyhow::Result<()> {
        let ui = &self.session.ui;
        let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
        for status in workspaces.iter().flat_map(Workspace::ends) {
            *ends.entry(status.as_str()).or_default() += 1;
        }
        let list = |counts: Vec<String>| counts.join(", ");
        let killed = list(kills.iter().map(|(victim, count)| format!("{victim} {count}")).collect());
        let total: u32 = kills.values().sum();
        let ended = list(ends.iter().map(|(status, count)| format!("{status} {count}")).collect());
        let resolved: Resolved = workspaces.iter().map(|workspace| workspace.resolved).sum();
        let Resolved { named, without_id, rescued, imports } = resolved;
        ui.title("Result");
        ui.line(&format!("seed            {}", self.seed));
        ui.line(&format!("kills           {total} ({killed})"));
        ui.line(&format!("jobs            {} ({ended})", ends.values().sum::<u32>()));
        if !self.args.cloud {
            ui.line(&format!("creations       {}", findings.creations));
        }
        ui.line(&format!("orphans named   {named} ({without_id} by what to look for, the others by id)"));
        ui.line(&format!("resolved        {imports} import blocks, {rescued} rescued states stored"));
        ui.line(&format!("exist at last   {}, in their states", findings.things));
        ui.line(&format!("no changes      {} of {} workspaces", findings.no_changes, workspaces.len()));
        ui.line(&format!("double applies  {}", findings.double.len()));
        ui.line(&format!("lost states     {}", findings.lost.len()));
        if findings.is_clean() {
            ui.success("what was applied, was applied once; what exists, is known");
            return Ok(());
        }
        for finding in findings.double.iter().chain(&findings.lost).chain(&findings.other) {
            ui.warning(finding);
        }
        bail!("repeat with --seed {}", self.seed)
    }
}

/// Returns whether a job waits for a user.
fn is_unknown(status: JobStatus) -> bool {
    status == JobStatus::Unknown
}
