//! The main job with the whole product: plan, approval, apply, cancel, restarts of the api-server, destroy.
//!
//! The [`scenarios`] are the same wherever the api-server runs ([`site`]): on this machine with pods as
//! executors, in the cluster ([`deployed`]), or on this machine with a cluster in
//! memory (`--local`, [`process_cluster`]).

mod deployed;
mod gateway;
mod intervention;
mod port_forward;
pub(crate) mod process_cluster;
mod repository;
mod scenarios;
pub(crate) mod site;

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use self::{
    deployed::Deployed,
    gateway::Gateway,
    process_cluster::ProcessCluster,
    repository::Repository,
    scenarios::Scenarios,
    site::{LocalServer, Site},
};
use crate::{
    account::{Account, LABEL},
    kubectl::Kubectl,
    report::Outcome,
    role::Role,
    session::Session,
    settle,
    signals::{Interrupted, until_signal},
    tool::Tool,
};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The main job")]
#[group(id = "main-job")]
pub(crate) struct Args {
    /// Run the main job too: plan, approval, apply, cancel, restarts of the api-server, destroy
    #[arg(long)]
    pub(crate) full: bool,
    /// Run it alone, on this machine: the cluster is an API server in memory, its pods are processes
    #[arg(long, requires = "full", conflicts_with_all = ["listen", "deploy", "source"])]
    pub(crate) local: bool,
    /// Where this machine listens for pods: the api-server and the repository of
    /// the configuration (port 0: any)
    #[arg(long, requires = "full", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The URL by which pods reach that address [default: http:// and --listen]
    #[arg(long, requires = "listen", value_name = "URL")]
    api_url: Option<String>,
    /// Deploy the api-server to the cluster; without it, it runs on this machine
    #[arg(long, requires = "full")]
    deploy: bool,
    /// Image of the api-server to deploy [default: that of this version]
    #[arg(long, requires = "deploy", value_name = "IMAGE")]
    api_image: Option<String>,
    /// A Git repository that pods reach, with examples/hello-terraform at its root,
    /// instead of one on this machine
    #[arg(long, requires = "full", value_name = "URL")]
    source: Option<String>,
    /// The program in the executor's image [default: terraform], or on this machine [default: terraform, else
    /// tofu]
    #[arg(long, requires = "full", value_enum)]
    engine: Option<Tool>,
}

/// What pods need of this machine.
struct Served {
    /// Open, if this machine serves anything.
    gateway: Option<Gateway>,
    /// The URL of the gateway for pods.
    url: String,
    source: String,
    /// Served as long as this value exists.
    _repository: Option<Repository>,
}

impl Args {
    /// Rejects options that cannot work, before anything is created.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if !self.full || self.local {
            return Ok(());
        }
        let Some(listen) = self.listen else {
            if self.deploy && self.source.is_some() {
                return Ok(());
            }
            bail!(
                "pods have to reach this machine: choose an address with --listen ADDRESS:PORT (and \
                 --api-url URL, if pods reach it by another one); not needed with --deploy and --source URL"
            );
        };
        if self.api_url.is_none() && (listen.ip().is_unspecified() || listen.ip().is_loopback()) {
            bail!("--listen is {listen}, which pods cannot reach: choose the URL for pods with --api-url");
        }
        match (&self.api_url, &self.source) {
            (Some(url), None) => site::source(url).map(drop),
            _ => Ok(()),
        }
    }

    fn serve(&self, session: &Session) -> anyhow::Result<Served> {
        let Some(listen) = self.listen else {
            let source = self.source.clone().context("without --listen there is a --source")?;
            return Ok(Served { gateway: None, url: String::new(), source, _repository: None });
        };
        let repository = Repository::create(session)?;
        let gateway = Gateway::open(listen, repository.path())?;
        let url = self.api_url.clone().unwrap_or_else(|| format!("http://{}", gateway.address()));
        let source = self.source.clone().map_or_else(|| site::source(&url), Ok)?;
        session.ui.note(&format!("pods reach this machine at {url}, and the configuration at {source}"));
        Ok(Served { gateway: Some(gateway), url, source, _repository: Some(repository) })
    }
}

/// Runs all scenarios on this machine, with the Kubernetes backend and a cluster whose pods are processes.
pub(crate) async fn run_locally(session: &Session, args: &Args) -> anyhow::Result<Vec<Outcome>> {
    let tool = Tool::find(args.engine)?;
    let cluster = ProcessCluster::start(session).await?;
    let repository = Repository::create(session)?;
    let gateway = Gateway::open(([127, 0, 0, 1], 0).into(), repository.path())?;
    let url = format!("http://{}", gateway.address());
    let namespace = process_cluster::NAMESPACE;
    let options = site::kubernetes_options(&cluster.kubeconfig(), namespace, "localhost/executor:1", &url);
    session.ui.title("Starting the api-server");
    let mut server = LocalServer::start(session, gateway, options, None).await?;
    run(session, &mut server, &site::source(&url)?, tool, &[]).await
}

/// Runs all scenarios with pods as executors, in the namespace of `kubectl`, which the caller removes.
pub(crate) async fn run_on_cluster(
    session: &Session,
    kubectl: &Kubectl,
    args: &Args,
    image: &str,
    role: Role,
) -> anyhow::Result<Vec<Outcome>> {
    let served = args.serve(session)?;
    let engine = args.engine.unwrap_or(Tool::Terraform);
    let (variables, namespace) = (pull_policy(image), kubectl.namespace.as_str());
    if args.deploy {
        let start = async {
            kubectl.run_printed(&session.ui, &["create", "namespace", namespace], None).await?;
            let label = format!("{LABEL}=true");
            kubectl.run_printed(&session.ui, &["label", "namespace", namespace, &label], None).await?;
            Deployed::start(session, kubectl, args.api_image.as_deref(), image, role).await
        };
        let mut deployed = until_signal(start).await?;
        return run(session, &mut deployed, &served.source, engine, &variables).await;
    }
    let account = until_signal(Account::create(session, kubectl, role)).await?;
    let options = site::kubernetes_options(account.kubeconfig(), namespace, image, &served.url);
    let gateway = served.gateway.context("a server on this machine listens")?;
    session.ui.title("Starting the api-server");
    let start = LocalServer::start(session, gateway, options, Some(kubectl.clone()));
    let mut local = until_signal(start).await?;
    run(session, &mut local, &served.source, engine, &variables).await
}

/// Without this variable, an image without a tag or with `latest` is pulled although the node has it.
fn pull_policy(image: &str) -> Vec<Value> {
    let name = image.rsplit('/').next().unwrap_or(image);
    let is_fixed = name.contains('@') || name.split_once(':').is_some_and(|(_, tag)| tag != "latest");
    let variable = json!({
        "key": "EPHEMERAL_CONFIG_IMAGE_PULL_POLICY", "value": "IfNotPresent", "category": "ENV",
    });
    if is_fixed { Vec::new() } else { vec![variable] }
}

/// Runs the scenarios, and leaves no job running.
async fn run(
    session: &Session,
    site: &mut impl Site,
    source: &str,
    tool: Tool,
    variables: &[Value],
) -> anyhow::Result<Vec<Outcome>> {
    let ui = &session.ui;
    let mut outcomes = Vec::new();
    let mut scenarios = Scenarios { ui, site, source, tool, variables, outcomes: &mut outcomes };
    let result = until_signal(scenarios.run()).await;
    ui.clear_progress();
    let Err(error) = result else {
        site.stop().await;
        return Ok(outcomes);
    };
    if !error.is::<Interrupted>() {
        ui.warning(&format!("{error:#}"));
        ui.note("the last lines of the server's log:");
        site.last_lines().await.iter().for_each(|line| ui.log(line));
    }
    if let Err(error) = until_signal(settle::cancel_all_jobs(ui, site.client())).await {
        ui.warning(&format!("{error:#}"));
    }
    site.stop().await;
    // The failure of a scenario is part of its outcome.
    if error.is::<Interrupted>() || outcomes.iter().all(Outcome::is_passed) {
        Err(error)
    } else {
        Ok(outcomes)
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
    fn rejects_addresses_that_pods_cannot_reach() {
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
    fn images_with_a_moving_tag_are_not_pulled_again() {
        for fixed in ["executor:1", "registry.example.com:5000/a/executor:1", "a/b@sha256:00"] {
            assert!(pull_policy(fixed).is_empty(), "{fixed}");
        }
        for moving in ["executor", "executor:latest", "registry.example.com:5000/a/executor"] {
            assert_eq!(pull_policy(moving).len(), 1, "{moving}");
        }
    }
}
