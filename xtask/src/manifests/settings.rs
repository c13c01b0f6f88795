//! The options of a deployment, as options of the command line.

use std::{collections::BTreeMap, fs};

use anyhow::bail;
use clap::{Parser as _, ValueEnum};

use super::policy;

/// The Secret whose entries become environment variables of executors.
pub(crate) const EXECUTOR_SECRET: &str = "terrakube-executor-secrets";
/// The port of the api-server and of its Service.
pub(super) const PORT: u16 = 8080;

#[expect(clippy::doc_markdown, reason = "these comments are the text of --help")]
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Settings {
    /// Namespace of the api-server and of the executors
    #[arg(long, default_value = "terrakube")]
    pub(crate) namespace: String,
    /// Image of the api-server
    #[arg(long, default_value = concat!("ephemeral-agents/api-server:", env!("CARGO_PKG_VERSION")))]
    pub(crate) image: String,
    /// Image of the executors (ExecutorEphemeralImage)
    #[arg(long, default_value = concat!("ephemeral-agents/executor:", env!("CARGO_PKG_VERSION")))]
    pub(crate) executor_image: String,
    /// Further environment of the api-server: ExecutorEphemeralSecret, JAVA_TOOL_OPTIONS,
    /// RUST_LOG… (repeatable)
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) env: Vec<(String, String)>,
    /// Address of the api-server as executors reach it [default: that of its Service, by cluster DNS]
    #[arg(long, value_name = "URL")]
    pub(crate) api_url: Option<String>,
    /// Use the IP address of the Service in executors, for a cluster without DNS
    #[arg(long, conflicts_with = "api_url")]
    pub(crate) no_cluster_dns: bool,
    /// Allow more than the documented role: read pods and events (specific causes), one Secret per attempt
    #[arg(long)]
    pub(crate) extended_role: bool,
    /// File with the policy for workspaces (docs/reference/policy.md)
    /// [default: all but the service account and the claim of the api-server]
    #[arg(long, value_name = "FILE", value_parser = read_file, default_value = "", hide_default_value = true)]
    pub(crate) policy: String,
    /// Storage of the api-server's data
    #[arg(long, value_enum, default_value_t = Storage::Claim)]
    pub(crate) storage: Storage,
    /// Size of the claim
    #[arg(long, value_name = "QUANTITY", default_value = "10Gi")]
    pub(crate) storage_size: String,
    /// Storage class of the claim [default: that of the cluster]
    #[arg(long, value_name = "NAME")]
    pub(crate) storage_class: Option<String>,
    /// Image pull Secret of the api-server
    #[arg(long, value_name = "NAME")]
    pub(crate) image_pull_secret: Option<String>,
    /// Allow connections from this namespace too, such as that of an ingress controller (repeatable)
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) allow_from_namespace: Vec<String>,
}

/// The volume of store, logs, plans and states.
#[expect(clippy::doc_markdown, reason = "these comments are the text of --help")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Storage {
    /// A PersistentVolumeClaim
    Claim,
    /// An emptyDir: all data is lost with the pod; for a trial
    EmptyDir,
}

impl Settings {
    /// Returns the settings without options.
    pub(crate) fn defaults() -> Self {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            settings: Settings,
        }
        Alone::parse_from([""; 0]).settings
    }

    /// Returns the environment of the api-server, each name once: server-side apply rejects duplicates.
    pub(super) fn environment(&self) -> BTreeMap<&str, &str> {
        let ours = [
            ("ExecutorEphemeralNamespace", self.namespace.as_str()),
            ("ExecutorEphemeralImage", &self.executor_image),
            ("ExecutorEphemeralSecret", EXECUTOR_SECRET),
        ];
        let given = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        ours.into_iter().chain(given).collect()
    }

    /// Returns the URL of the api-server for executors.
    ///
    /// Without DNS the cluster expands a variable that it sets in every pod for each Service that is older
    /// than the pod
    /// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
    pub(super) fn api_url(&self) -> String {
        let of_service = || {
            if self.no_cluster_dns {
                let variable = super::SERVER.replace('-', "_").to_uppercase();
                format!("http://$({variable}_SERVICE_HOST):{PORT}")
            } else {
                format!("http://{}.{}.svc:{PORT}", super::SERVER, self.namespace)
            }
        };
        self.api_url.clone().unwrap_or_else(of_service)
    }

    /// Rejects settings that the cluster accepts, but that do not work.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let executors = self.environment()["ExecutorEphemeralNamespace"];
        if executors != self.namespace {
            bail!(
                "--env ExecutorEphemeralNamespace is {executors:?}, but the role of the api-server is in \
                 namespace {:?}; remove it, and choose the namespace of both with --namespace",
                self.namespace
            );
        }
        if let Some(url) = &self.api_url
            && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
        {
            bail!("--api-url is {url:?}, expected http://… or https://…");
        }
        Ok(())
    }
}

/// Reads a policy file; without a path, the policy of the chart.
fn read_file(path: &str) -> Result<String, String> {
    if path.is_empty() {
        return Ok(policy::DEFAULT.to_owned());
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_variable_replaces_ours_and_the_last_duplicate_wins() {
        let mut settings = Settings::defaults();
        let given = [("ExecutorEphemeralSecret", "a,b"), ("RUST_LOG", "info"), ("RUST_LOG", "debug")];
        settings.env = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let environment = settings.environment();
        assert_eq!(environment["ExecutorEphemeralSecret"], "a,b");
        assert_eq!(environment["RUST_LOG"], "debug");
        assert_eq!(environment["ExecutorEphemeralNamespace"], "terrakube");
    }

    #[test]
    fn rejects_executors_in_a_namespace_without_the_role() {
        let mut settings = Settings::defaults();
        settings.env = vec![name_and_value("ExecutorEphemeralNamespace=other").unwrap()];
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains("\"other\"") && error.contains("--namespace"), "{error}");
        settings.env[0].1 = "terrakube".to_owned();
        settings.check().unwrap();
    }

    #[test]
    fn rejects_api_url_without_scheme() {
        let settings = Settings { api_url: Some("api:8080".to_owned()), ..Settings::defaults() };
        assert!(settings.check().unwrap_err().to_string().contains("\"api:8080\""));
    }

    #[test]
    fn reports_policy_file_that_cannot_be_read() {
        assert!(read_file("no-such/policy.toml").unwrap_err().contains("No such file"));
        assert_eq!(Settings::defaults().policy, policy::DEFAULT);
    }

    #[test]
    fn rejects_variable_without_name() {
        assert_eq!(name_and_value("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(name_and_value("A").is_err() && name_and_value("=b").is_err());
    }
}
