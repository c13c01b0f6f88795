//! Where the api-server of the main job runs, and how it is restarted.

use std::{ffi::OsString, net::SocketAddr, path::Path};

use anyhow::{Context as _, bail};
use api_server::client::Client;
use tempfile::TempDir;

use super::{gateway::Gateway, repository};
use crate::{
    kubectl::Kubectl,
    server::{self, Options, Server},
    session::Session,
};

/// The Secret whose entries become environment variables of executors.
pub(super) const EXECUTOR_SECRET: &str = "terrakube-executor-secrets";

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// With SIGTERM.
    Terminate,
    /// With SIGKILL.
    Kill,
}

/// An api-server somewhere.
pub(super) trait Site {
    /// Returns a client; the address stays the same after a restart.
    fn client(&self) -> &Client;

    /// Stops the server and starts it again.
    async fn restart(&mut self, stop: Stop) -> anyhow::Result<()>;

    /// Stops the server, unless it is removed with its namespace.
    async fn stop(&mut self);

    /// Returns why the server cannot be restarted, if it cannot.
    fn restart_obstacle(&self) -> Option<&'static str> {
        None
    }

    /// Returns the pod of a Kubernetes Job; `None` where there are no pods.
    ///
    /// # Errors
    /// There is no such pod, or more than one.
    async fn pod_of(&self, kubernetes_job: &str) -> anyhow::Result<Option<String>>;

    /// Returns the last lines of the server's log.
    async fn last_lines(&self) -> Vec<String>;
}

/// Returns the name of the only pod of a Kubernetes Job.
pub(super) async fn only_pod(kubectl: &Kubectl, kubernetes_job: &str) -> anyhow::Result<String> {
    let pods = kubectl.pods_of(kubernetes_job).await?;
    let names: Vec<_> = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
    match names[..] {
        [name] => Ok(name.to_owned()),
        _ => bail!("{kubernetes_job} had {} pods, expected one: {names:?}", names.len()),
    }
}

/// An api-server on this machine, behind a [`Gateway`].
#[derive(Debug)]
pub(super) struct LocalServer<'a> {
    session: &'a Session,
    options: Options,
    gateway: Gateway,
    server: Server,
    client: Client,
    /// Where executors are pods.
    kubectl: Option<Kubectl>,
    /// Removed last: the server writes to it.
    folder: TempDir,
}

impl<'a> LocalServer<'a> {
    /// Starts the server on a free port, and routes the gateway to it.
    pub(super) async fn start(
        session: &'a Session,
        gateway: Gateway,
        options: Options,
        kubectl: Option<Kubectl>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ephemeral-agents-e2e-").tempdir();
        let folder = folder.context("cannot create a temporary folder")?;
        let server = Server::start(session, folder.path(), &options).await?;
        gateway.route_to(Some(address_of(&server)?));
        let url = format!("http://{}", reachable(gateway.address()));
        let client = Client::new(&url, &server::admin_token(folder.path())?)?;
        Ok(Self { session, options, gateway, server, client, kubectl, folder })
    }
}

fn address_of(server: &Server) -> anyhow::Result<SocketAddr> {
    let address = server.address().trim_start_matches("http://");
    address.parse().with_context(|| format!("the api-server listens on {address:?}"))
}

/// Returns the address by which this machine reaches its own listener.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { loopback.into() });
    }
    address
}

impl Site for LocalServer<'_> {
    fn client(&self) -> &Client {
        &self.client
    }

    async fn restart(&mut self, stop: Stop) -> anyhow::Result<()> {
        self.gateway.route_to(None);
        match stop {
            Stop::Terminate => self.server.stop().await,
            Stop::Kill => self.server.kill().await,
        }
        self.server = Server::start(self.session, self.folder.path(), &self.options).await?;
        self.gateway.route_to(Some(address_of(&self.server)?));
        Ok(())
    }

    async fn stop(&mut self) {
        self.server.stop().await;
    }

    async fn pod_of(&self, kubernetes_job: &str) -> anyhow::Result<Option<String>> {
        match &self.kubectl {
            Some(kubectl) => only_pod(kubectl, kubernetes_job).await.map(Some),
            None => Ok(None),
        }
    }

    async fn last_lines(&self) -> Vec<String> {
        self.server.last_lines()
    }
}

/// Returns the options of a server whose executors are pods.
pub(crate) fn kubernetes_options(kubeconfig: &Path, namespace: &str, image: &str, api_url: &str) -> Options {
    let arguments = ["--listen", "127.0.0.1:0", "--backend", "kubernetes", "--api-url", api_url];
    let variable = |name, value: &str| (name, OsString::from(value));
    Options {
        arguments: arguments.map(str::to_owned).into(),
        environment: vec![
            ("KUBECONFIG", kubeconfig.into()),
            variable("ExecutorEphemeralNamespace", namespace),
            variable("ExecutorEphemeralImage", image),
            variable("ExecutorEphemeralSecret", EXECUTOR_SECRET),
        ],
    }
}

/// Returns the URL of the repository behind a gateway with this URL.
pub(super) fn source(api_url: &str) -> anyhow::Result<String> {
    let host = api_url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let host = host.filter(|host| !host.is_empty() && !host.contains('/'));
    let host = host.with_context(|| {
        format!(
            "the repository of the configuration is served at the address of the api-server, which must be \
             http://HOST:PORT, found --api-url {api_url:?}; or name a repository \
             that pods reach with --source"
        )
    })?;
    Ok(format!("git://{host}{}", repository::PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_is_at_the_address_of_the_api_server() {
        assert_eq!(source("http://10.0.0.5:8080/").unwrap(), "git://10.0.0.5:8080/hello-terraform");
        for other in ["https://api.example.com", "http://10.0.0.5/api", "http://", "10.0.0.5:8080"] {
            assert!(source(other).unwrap_err().to_string().contains("--source"), "{other}");
        }
    }

    #[test]
    fn unspecified_address_is_reached_by_the_loopback_address() {
        for (listen, expected) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.5:8080", "10.0.0.5:8080"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
        }
    }
}
