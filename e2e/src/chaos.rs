//! Chaos: a real api-server, executors and terraform, each killed at random moments while jobs run on several
//! workspaces.
//!
//! The resources keep books outside of terraform: each creation and each removal appends a line to a ledger
//! (`ledger`). At the end nothing is killed any more, one more job runs on each workspace, and the states
//! are compared with the ledgers: what was applied, was applied once, and what exists is in a state, or the
//! job that made it is `unknown`.

mod audit;
mod ledger;
mod victims;
mod workspace;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use api_server::{client::Client, model::JobStatus};
use clap::Parser;
use futures::future::try_join_all;
use tokio::time::{Instant, sleep, sleep_until};

use self::{
    audit::Findings,
    victims::Victim,
    workspace::{Template, Workspace},
};
use crate::{
    server::{self, Options, Server},
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
    /// Number of workspaces, each with one job at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    workspaces: u32,
    /// The program to run [default: terraform, else tofu]
    #[arg(long, value_enum)]
    engine: Option<Tool>,
}

/// The time between two kills, in milliseconds.
const KILL_INTERVAL: std::ops::Range<u64> = 100..1_500;
/// How long the server is away, in milliseconds.
const AWAY: std::ops::Range<u64> = 0..1_500;

/// How often each kind of process was killed.
type Kills = BTreeMap<Victim, u32>;

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

impl Run<'_> {
    async fn run(&self) -> anyhow::Result<()> {
        let ui = &self.session.ui;
        let data = self.folder.join("data");
        std::fs::create_dir(&data).context("cannot create the data folder")?;
        let mut options = Options::local(self.session)?;
        let server = Server::start(self.session, &data, &options).await?;
        let client = Client::new(server.address(), &server::admin_token(&data)?)?;
        options.listen_at(server.address());
        let template = Template::register(&client).await?;
        let tool = Tool::find(self.args.engine)?;
        let mut workspaces = Vec::new();
        for number in 0..self.args.workspaces {
            let folder = self.folder.join(format!("workspace-{number}"));
            workspaces.push(Workspace::register(&client, &template, number, folder, tool).await?);
        }

        let until = Instant::now() + Duration::from_secs(self.args.seconds);
        let jobs = try_join_all(workspaces.iter_mut().map(|workspace| workspace.run_jobs(until)));
        let killer = Killer { run: self, options, data, server, random: fastrand::Rng::with_seed(self.seed) };
        // The jobs that run at the end need the server: both are awaited.
        let (jobs, (kills, server)) = tokio::join!(jobs, killer.run(until));
        let mut server = server.context("the api-server could not be started again")?;
        let settled = async {
            jobs?;
            ui.note("nothing is killed any more; one last job on each workspace");
            try_join_all(workspaces.iter_mut().map(Workspace::run_last_job)).await
        };
        let findings = settled.await.map_err(|error| server.explain(error));
        if findings.is_err() {
            ui.note("the last lines of the server's log:");
            server.last_lines().iter().for_each(|line| ui.log(line));
        }
        server.stop().await;
        self.report(&kills, &workspaces, &findings?.into_iter().sum())
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
        ui.title("Result");
        ui.line(&format!("seed            {}", self.seed));
        ui.line(&format!("kills           {total} ({killed})"));
        ui.line(&format!("jobs            {} ({ended})", ends.values().sum::<u32>()));
        ui.line(&format!("creations       {}", findings.creations));
        ui.line(&format!("of unknown jobs {} not in the state", findings.unknown));
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

/// Kills processes until a time, and leaves a server that runs.
struct Killer<'a> {
    run: &'a Run<'a>,
    options: Options,
    data: PathBuf,
    server: Server,
    random: fastrand::Rng,
}

impl Killer<'_> {
    async fn run(mut self, until: Instant) -> (Kills, anyhow::Result<Server>) {
        let mut kills = Kills::new();
        loop {
            let next = Instant::now() + Duration::from_millis(self.random.u64(KILL_INTERVAL));
            sleep_until(next.min(until)).await;
            if Instant::now() >= until {
                return (kills, Ok(self.server));
            }
            let victim = Victim::choose(&mut self.random);
            let killed = match victim {
                Victim::Server => match self.kill_server().await {
                    Ok(()) => true,
                    Err(error) => return (kills, Err(error)),
                },
                Victim::Executor | Victim::Terraform => victim.kill_one(&self.data, &mut self.random),
            };
            if killed {
                *kills.entry(victim).or_default() += 1;
            }
        }
    }

    async fn kill_server(&mut self) -> anyhow::Result<()> {
        self.server.kill().await;
        sleep(Duration::from_millis(self.random.u64(AWAY))).await;
        self.server = Server::start(self.run.session, &self.data, &self.options).await?;
        Ok(())
    }
}

/// Returns whether a job waits for a user.
fn is_unknown(status: JobStatus) -> bool {
    status == JobStatus::Unknown
}
