//! `cargo xtask e2e --full`: the main job with the whole product, from outside.
//!
//! What is played stands in [`mod@play`] and does not know where the api-server runs: on this machine with pods as executors, in
//! the cluster, or (`--local`) on this machine with a cluster in memory, which is how the play itself is tried out.
//! Reading order: [`mod@play`], [`director`], [`site`] (with [`front`] and [`repository`]), [`deployed`].

mod deployed;
mod director;
mod forward;
mod front;
mod play;
mod processes;
mod repository;
mod site;

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use serde_json::json;

use self::{
    deployed::Deployed,
    front::Front,
    play::Play,
    processes::Processes,
    repository::Repository,
    site::{Machine, Pods, Site},
};
use super::{
    Role,
    account::{Account, MARK},
    report::Outcome,
};
use crate::{
    deploy::kubectl::Kubectl,
    environment::Environment,
    interrupt::Interrupted,
    manifests::Settings,
    product::{
        settle,
        tool::{self, Tool},
    },
    test::{self, Programs},
};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The main job")]
#[group(id = "main-job")]
pub(crate) struct Args {
    /// Play the main job too: plan, approval, apply, cancel, restarts of the api-server, destroy
    #[arg(long)]
    pub(crate) full: bool,
    /// Play it alone, on this machine: the cluster is an API server in memory, its pods are processes
    #[arg(long, requires = "full", conflicts_with_all = ["listen", "deploy", "source"])]
    pub(crate) local: bool,
    /// Where this machine listens for pods: the api-server and the repository of the configuration (port 0: any)
    #[arg(long, requires = "full", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The address at which pods reach that [default: http:// and --listen]
    #[arg(long, requires = "listen", value_name = "URL")]
    api_url: Option<String>,
    /// Deploy the api-server to the cluster; without it, it runs on this machine
    #[arg(long, requires = "full")]
    deploy: bool,
    /// Image of the api-server to deploy [default: that of this version]
    #[arg(long, requires = "deploy", value_name = "IMAGE")]
    api_image: Option<String>,
    /// A Git repository within reach of pods with examples/hello-terraform at its root, in place of one made here
    #[arg(long, requires = "full", value_name = "URL")]
    source: Option<String>,
    /// Which program the executor's image has
    #[arg(long, requires = "full", value_enum, default_value_t = Tool::Terraform)]
    engine: Tool,
}

/// What pods need of this machine, as it was asked for.
struct Reach {
    /// Open, if something is served here.
    front: Option<Front>,
    /// The address of the front, as pods reach it.
    url: String,
    source: String,
    /// Lives as long as it is served.
    _repository: Option<Repository>,
}

impl Args {
    /// Refuses what cannot work, before anything is built or made.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if !self.full || self.local {
            return Ok(());
        }
        let Some(listen) = self.listen else {
            if self.deploy && self.source.is_some() {
                return Ok(());
            }
            bail!(
                "pods have to reach this machine: say where with --listen ADDRESS:PORT (and --api-url URL, if they reach it \
                 under another address); not needed with --deploy and --source URL"
            );
        };
        if self.api_url.is_none() && (listen.ip().is_unspecified() || listen.ip().is_loopback()) {
            bail!("--listen is {listen}, which is no address for pods: say with --api-url how they reach it");
        }
        match (&self.api_url, &self.source) {
            (Some(url), None) => site::source(url).map(drop),
            _ => Ok(()),
        }
    }

    fn reach(&self, environment: &Environment) -> anyhow::Result<Reach> {
        let Some(listen) = self.listen else {
            let source = self.source.clone().context("there is a source if nothing listens")?;
            return Ok(Reach { front: None, url: String::new(), source, _repository: None });
        };
        let repository = Repository::make(environment)?;
        let front = Front::open(listen, repository.path())?;
        let url = self.api_url.clone().unwrap_or_else(|| format!("http://{}", front.address()));
        let source = self.source.clone().map_or_else(|| site::source(&url), Ok)?;
        environment.ui.note(&format!("pods reach this machine at {url}, and the configuration at {source}"));
        Ok(Reach { front: Some(front), url, source, _repository: Some(repository) })
    }
}

/// Plays everything on this machine, with the Kubernetes backend and a cluster whose pods are processes.
pub(super) fn rehearse(environment: &Environment, programs: &Programs) -> anyhow::Result<Vec<Outcome>> {
    let tool = tool::find(environment)?;
    let cluster = Processes::start(programs)?;
    let repository = Repository::make(environment)?;
    let front = Front::open(([127, 0, 0, 1], 0).into(), repository.path())?;
    let url = format!("http://{}", front.address());
    let options = site::in_cluster(&cluster.kubeconfig(), processes::NAMESPACE, "localhost/executor:1", &url);
    environment.ui.title("Starting the api-server");
    let mut machine = Machine::start(environment, programs, front, options, None)?;
    play(environment, &mut machine, &site::source(&url)?, tool, Vec::new())
}

/// Plays everything with pods as executors, in a namespace that somebody else removes.
pub(super) fn on_cluster(
    kubectl: &Kubectl<'_>,
    args: &Args,
    namespace: &str,
    image: &str,
    role: Role,
) -> anyhow::Result<Vec<Outcome>> {
    let environment = kubectl.environment;
    let reach = args.reach(environment)?;
    let variables = pull_policy(image);
    if args.deploy {
        kubectl.tell(&["create", "namespace", namespace], None)?;
        kubectl.tell(&["label", "namespace", namespace, &format!("{MARK}=true")], None)?;
        let api_image = args.api_image.clone().unwrap_or_else(|| Settings::defaults().image);
        let extended = role == Role::Extended;
        let mut deployed = Deployed::start(kubectl, namespace, &api_image, image, extended)?;
        return play(environment, &mut deployed, &reach.source, args.engine, variables);
    }
    let account = Account::make(kubectl, namespace, role)?;
    environment.ui.title("Building the api-server and the executor");
    let programs = test::build_programs(environment)?;
    let options = site::in_cluster(account.kubeconfig(), namespace, image, &reach.url);
    let front = reach.front.context("a server on this machine listens")?;
    let pods = Some(Pods { kubectl, namespace });
    environment.ui.title("Starting the api-server");
    let mut machine = Machine::start(environment, &programs, front, options, pods)?;
    play(environment, &mut machine, &reach.source, args.engine, variables)
}

/// An image without a tag, or with `latest`, would be pulled anew although it lies on the node.
fn pull_policy(image: &str) -> Vec<serde_json::Value> {
    let name = image.rsplit('/').next().unwrap_or(image);
    let is_fixed = name.contains('@') || name.split_once(':').is_some_and(|(_, tag)| tag != "latest");
    let variable = json!({
        "key": "EPHEMERAL_CONFIG_IMAGE_PULL_POLICY", "value": "IfNotPresent", "category": "ENV",
    });
    if is_fixed { Vec::new() } else { vec![variable] }
}

/// Plays, and leaves no job running.
fn play(
    environment: &Environment,
    site: &mut dyn Site,
    source: &str,
    tool: Tool,
    variables: Vec<serde_json::Value>,
) -> anyhow::Result<Vec<Outcome>> {
    let mut play = Play { environment, site, source, tool, variables, outcomes: Vec::new() };
    let result = play.run();
    let outcomes = std::mem::take(&mut play.outcomes);
    environment.ui.quiet();
    if let Err(error) = &result {
        if error.is::<Interrupted>() {
            // Said by whoever stopped it.
        } else {
            environment.ui.warning(&format!("{error:#}"));
            environment.ui.note("the last lines of the server's log:");
            site.last_lines().iter().for_each(|line| environment.ui.log(line));
        }
        if let Err(error) = settle::all_jobs(&environment.undisturbed(), site.api()) {
            environment.ui.warning(&format!("{error:#}"));
        }
    }
    match result {
        // A story that failed is told by its outcome.
        Err(error) if error.is::<Interrupted>() || outcomes.iter().all(|outcome| outcome.passed) => {
            Err(error)
        }
        _ => Ok(outcomes),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Alone {
        #[command(flatten)]
        args: Args,
    }

    fn check(arguments: &str) -> Result<(), String> {
        let parsed = Alone::try_parse_from([""].into_iter().chain(arguments.split_whitespace()));
        parsed.map_err(|error| error.to_string())?.args.check().map_err(|error| error.to_string())
    }

    #[test]
    fn what_pods_could_not_reach_is_refused_at_once() {
        for good in [
            "",
            "--full --local",
            "--full --listen 10.0.0.5:8080",
            "--full --listen 0.0.0.0:0 --api-url http://10.0.0.5:8080",
            "--full --deploy --source https://git.example.com/hello.git",
            "--full --deploy --listen 10.0.0.5:0",
            "--full --listen 0.0.0.0:1 --api-url https://x --source https://git.example.com/hello.git",
        ] {
            check(good).unwrap();
        }
        for (bad, hint) in [
            ("--full", "--listen"),
            ("--full --deploy", "--listen"),
            ("--full --source https://x/y.git", "--listen"),
            ("--full --listen 0.0.0.0:8080", "--api-url"),
            ("--full --listen 127.0.0.1:8080", "--api-url"),
            ("--full --listen 0.0.0.0:8080 --api-url https://api.example.com", "--source"),
            ("--listen 10.0.0.5:8080", "--full"),
            ("--full --local --deploy", "--local"),
        ] {
            let error = check(bad).unwrap_err();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }

    #[test]
    fn an_image_that_would_be_pulled_anew_is_not() {
        for fixed in ["executor:1", "registry.example.com:5000/a/executor:1", "a/b@sha256:00"] {
            assert!(pull_policy(fixed).is_empty(), "{fixed}");
        }
        for moving in ["executor", "executor:latest", "registry.example.com:5000/a/executor"] {
            assert_eq!(pull_policy(moving).len(), 1, "{moving}");
        }
    }
}
