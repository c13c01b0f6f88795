//! Where the api-server runs that plays the main job, and how it goes away and comes back.

use std::{ffi::OsString, net::SocketAddr, path::Path};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use super::{front::Front, repository};
use crate::{
    deploy::kubectl::Kubectl,
    environment::Environment,
    product::{
        api::Api,
        server::{self, Options, Server},
    },
    test::Programs,
};

/// How a server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is told to stop.
    Told,
    /// It is killed.
    Killed,
}

/// An api-server somewhere.
pub(super) trait Site {
    /// A client for it; the address stays.
    fn api(&self) -> &Api;

    /// Ends it, and starts it again.
    ///
    /// # Errors
    /// It does not come back.
    fn restart(&mut self, how: Stop) -> anyhow::Result<()>;

    /// Why it cannot be restarted, if it cannot.
    fn stays(&self) -> Option<&'static str> {
        None
    }

    /// The pod that ran a Kubernetes Job; `None` where there are no pods.
    ///
    /// # Errors
    /// There is no such pod, or more than one.
    fn pod_of(&self, kubernetes_job: &str) -> anyhow::Result<Option<String>>;

    /// The end of its log.
    fn last_lines(&self) -> Vec<String>;
}

/// An api-server on this machine, behind a [`Front`].
#[derive(Debug)]
pub(super) struct Machine<'a> {
    environment: &'a Environment,
    programs: &'a Programs,
    options: Options,
    front: Front,
    server: Server,
    api: Api,
    pods: Option<Pods<'a>>,
    /// Goes last: the server writes to it.
    folder: TempDir,
}

/// Where executors are pods: the namespace, as the operator sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pods<'a> {
    pub(super) kubectl: &'a Kubectl<'a>,
    pub(super) namespace: &'a str,
}

impl Pods<'_> {
    /// The one pod of a Kubernetes Job.
    pub(super) fn of(&self, kubernetes_job: &str) -> anyhow::Result<String> {
        let selector = format!("--selector=batch.kubernetes.io/job-name={kubernetes_job}");
        let arguments = ["get", "pods", "--namespace", self.namespace, &selector, "-o", "name"];
        let answer = self.kubectl.ask(&arguments)?;
        let names: Vec<_> = answer.output.split_whitespace().collect();
        match names[..] {
            [name] => Ok(name.to_owned()),
            _ => bail!("{} pods ran for {kubernetes_job}: {names:?} {}", names.len(), answer.errors.trim()),
        }
    }
}

impl<'a> Machine<'a> {
    /// Starts the server on a port of its own, and lets the front lead to it.
    pub(super) fn start(
        environment: &'a Environment,
        programs: &'a Programs,
        front: Front,
        options: Options,
        pods: Option<Pods<'a>>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ephemeral-agents-e2e-").tempdir();
        let folder = folder.context("could not make a temporary folder")?;
        let server = Server::start(environment, programs, folder.path(), &options)?;
        front.lead_to(Some(address_of(&server)?));
        let api = Api::new(&format!("http://{}", from_here(front.address())), token(folder.path())?);
        Ok(Self { environment, programs, options, front, server, api, pods, folder })
    }
}

fn token(folder: &Path) -> anyhow::Result<String> {
    server::admin_token(folder)
}

fn address_of(server: &Server) -> anyhow::Result<SocketAddr> {
    let address = server.address().trim_start_matches("http://");
    address.parse().with_context(|| format!("the api-server listens on {address:?}"))
}

/// An address that is open for everybody is reached from this machine by way of itself.
fn from_here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            [0, 0, 0, 0, 0, 0, 0, 1].into()
        });
    }
    address
}

impl Site for Machine<'_> {
    fn api(&self) -> &Api {
        &self.api
    }

    fn restart(&mut self, how: Stop) -> anyhow::Result<()> {
        self.front.lead_to(None);
        match how {
            Stop::Told => self.server.stop(),
            Stop::Killed => self.server.kill(),
        }
        self.server = Server::start(self.environment, self.programs, self.folder.path(), &self.options)?;
        self.front.lead_to(Some(address_of(&self.server)?));
        Ok(())
    }

    fn pod_of(&self, kubernetes_job: &str) -> anyhow::Result<Option<String>> {
        self.pods.map(|pods| pods.of(kubernetes_job)).transpose()
    }

    fn last_lines(&self) -> Vec<String> {
        self.server.last_lines()
    }
}

/// The options of a server whose executors are pods.
pub(super) fn in_cluster(kubeconfig: &Path, namespace: &str, image: &str, api_url: &str) -> Options {
    let arguments = ["--listen", "127.0.0.1:0", "--backend", "kubernetes", "--api-url", api_url];
    let variable = |name, value: &str| (name, OsString::from(value));
    Options {
        arguments: arguments.map(str::to_owned).into(),
        variables: vec![
            ("KUBECONFIG", kubeconfig.into()),
            variable("ExecutorEphemeralNamespace", namespace),
            variable("ExecutorEphemeralImage", image),
            variable("ExecutorEphemeralSecret", crate::manifests::EXECUTOR_SECRET),
        ],
    }
}

/// The address of the repository behind a front that is reached at this address.
pub(super) fn source(api_url: &str) -> anyhow::Result<String> {
    let host = api_url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let host = host.filter(|host| !host.is_empty() && !host.contains('/'));
    let host = host.with_context(|| {
        format!(
            "the repository of the configuration is served at the same address as the api-server, which has to be \
             http://HOST:PORT for that, and --api-url is {api_url:?}; or name a repository that pods reach with --source"
        )
    })?;
    Ok(format!("git://{host}{}", repository::PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_where_the_api_server_is() {
        assert_eq!(source("http://10.0.0.5:8080/").unwrap(), "git://10.0.0.5:8080/hello-terraform");
        for other in ["https://api.example.com", "http://10.0.0.5/api", "http://", "10.0.0.5:8080"] {
            assert!(source(other).unwrap_err().to_string().contains("--source"), "{other}");
        }
    }

    #[test]
    fn an_address_for_everybody_is_reached_by_way_of_this_machine() {
        for (open, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.5:8080", "10.0.0.5:8080"),
        ] {
            assert_eq!(from_here(open.parse().unwrap()).to_string(), reached);
        }
    }
}
