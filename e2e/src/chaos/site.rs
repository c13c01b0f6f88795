//! What is killed: one api-server or several, with the executors of its backend.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rustix::process::Signal;

use super::balancer::Balancer;
use crate::{
    main_job::{
        process_cluster::{NAMESPACE, ProcessCluster},
        site::kubernetes_options,
    },
    postgres,
    server::{self, Options, Server},
    session::Session,
};

/// Servers that share their data.
#[derive(Debug)]
pub(super) struct Site<'a> {
    session: &'a Session,
    options: Options,
    data: PathBuf,
    servers: Vec<Server>,
    /// The records of the executors.
    executors: PathBuf,
    /// What several servers need besides.
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    balancer: Balancer,
    _cluster: ProcessCluster,
}

impl<'a> Site<'a> {
    /// Starts one server with the local backend and SQLite.
    pub(super) async fn single(session: &'a Session, folder: &Path) -> anyhow::Result<Self> {
        let data = data_folder(folder)?;
        let mut options = Options::local(session)?;
        let server = Server::start(session, &data, &options).await?;
        // Its executors know the address.
        options.listen_at(server.address());
        let executors = data.join("local-backend");
        Ok(Self { session, options, data, servers: vec![server], executors, shared: None })
    }

    /// Starts several servers on a new database of PostgreSQL, with executors as pods of a cluster of
    /// processes. `None` if PostgreSQL is not installed.
    pub(super) async fn replicas(
        session: &'a Session,
        folder: &Path,
        count: u32,
    ) -> anyhow::Result<Option<Self>> {
        let Some(database) = tokio::task::spawn_blocking(postgres::new_database).await? else {
            return Ok(None);
        };
        let data = data_folder(folder)?;
        let cluster = ProcessCluster::start(session).await?;
        let balancer = Balancer::listen().await?;
        let image = "localhost/executor:1";
        let mut options = kubernetes_options(&cluster.kubeconfig(), NAMESPACE, image, balancer.url());
        options.environment.push(("API_SERVER_DATABASE", database.into()));
        let executors = cluster.jobs();
        let shared = Some(Shared { balancer, _cluster: cluster });
        let mut site = Self { session, options, data, servers: Vec::new(), executors, shared };
        for _ in 0..count {
            let server = Server::start(session, &site.data, &site.options).await?;
            site.route(&server, true)?;
            site.servers.push(server);
        }
        Ok(Some(site))
    }

    /// Returns the URL for clients and executors.
    pub(super) fn url(&self) -> String {
        match &self.shared {
            Some(shared) => shared.balancer.url().to_owned(),
            None => self.servers[0].address().to_owned(),
        }
    }

    pub(super) fn admin_token(&self) -> anyhow::Result<String> {
        server::admin_token(&self.data)
    }

    /// Returns the folder with the records of the executors.
    pub(super) fn executors(&self) -> &Path {
        &self.executors
    }

    /// Returns how many servers there are.
    pub(super) fn count(&self) -> usize {
        self.servers.len()
    }

    /// Kills a server.
    pub(super) async fn kill(&mut self, index: usize) -> anyhow::Result<()> {
        self.route(&self.servers[index], false)?;
        self.servers[index].kill().await;
        Ok(())
    }

    /// Starts a server that was killed.
    pub(super) async fn start(&mut self, index: usize) -> anyhow::Result<()> {
        let server = Server::start(self.session, &self.data, &self.options).await?;
        self.route(&server, true)?;
        self.servers[index] = server;
        Ok(())
    }

    /// Stops a server with SIGSTOP. Requests that it has got, and those that still reach it, are answered
    /// late.
    pub(super) fn freeze(&self, index: usize) {
        self.servers[index].signal(Signal::STOP);
    }

    /// Breaks the connections to a server that does not answer, as a Service does whose readiness probe
    /// fails.
    pub(super) fn cut_off(&self, index: usize) -> anyhow::Result<()> {
        self.route(&self.servers[index], false)
    }

    /// Resumes a stopped server.
    pub(super) fn resume(&self, index: usize) -> anyhow::Result<()> {
        self.servers[index].signal(Signal::CONT);
        self.route(&self.servers[index], true)
    }

    /// Ends all servers.
    pub(super) async fn stop(&mut self) {
        for server in &mut self.servers {
            server.stop().await;
        }
    }

    /// Adds to an error that a server has ended, if one has.
    pub(super) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        self.servers.iter_mut().fold(error, |error, server| server.explain(error))
    }

    /// Returns the last lines of their log.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.servers.first().map(Server::last_lines).unwrap_or_default()
    }

    fn route(&self, server: &Server, is_ready: bool) -> anyhow::Result<()> {
        if let Some(shared) = &self.shared {
            let address = server.address().trim_start_matches("http://");
            let address: SocketAddr = address.parse().context("the api-server listens nowhere")?;
            shared.balancer.route(address, is_ready);
        }
        Ok(())
    }
}

fn data_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    let data = folder.join("data");
    fs::create_dir(&data).context("cannot create the data folder")?;
    Ok(data)
}
