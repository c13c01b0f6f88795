//! A cloud on this machine that keeps its own books: the API of AWS by `moto_server`, used by the real
//! provider `hashicorp/aws`.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::books::CloudObject;
use crate::{
    environment::variable,
    server::discard,
    session::{Session, find_on_path},
};

/// The provider, with the version that configurations name.
const PROVIDER: &str = "registry.terraform.io/hashicorp/aws/5.100.0";
const START_TIMEOUT: Duration = Duration::from_mins(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";

/// Where the programs are.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct CloudOptions {
    /// The program of the cloud [default: the one on the PATH or in target/moto/bin]
    #[arg(long, value_name = "FILE", env = "MOTO_SERVER")]
    moto_server: Option<PathBuf>,
    /// A filesystem mirror of providers that has hashicorp/aws 5.100.0 [default: /opt/tf-plugins and the
    /// usual places of terraform]
    #[arg(long, value_name = "FOLDER", env = "PROVIDER_MIRROR")]
    mirror: Option<PathBuf>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct CloudPrograms {
    moto_server: PathBuf,
    mirror: PathBuf,
}

impl CloudOptions {
    /// Returns whether no place was chosen.
    pub(super) fn are_default(&self) -> bool {
        self.moto_server.is_none() && self.mirror.is_none()
    }

    /// Finds program and provider.
    ///
    /// # Errors
    /// One is missing; the message says which, and how to get it.
    pub(super) fn find(&self, session: &Session) -> anyhow::Result<CloudPrograms> {
        let installed = session.root.join("target/moto/bin/moto_server");
        let moto_server = self
            .moto_server
            .clone()
            .or_else(|| find_on_path("moto_server"))
            .or_else(|| installed.is_file().then_some(installed));
        let moto_server = moto_server.context(
            "there is no moto_server: `pip install 'moto[server]'`, or name it with --moto-server",
        )?;
        let home = PathBuf::from(variable("HOME"));
        let usual = [
            PathBuf::from("/opt/tf-plugins"),
            home.join(".terraform.d/plugins"),
            PathBuf::from("/usr/local/share/terraform/plugins"),
            PathBuf::from("/usr/share/terraform/plugins"),
        ];
        let mut mirrors =
            self.mirror.clone().map_or_else(|| usual.to_vec(), |chosen| vec![chosen]).into_iter();
        let mirror = mirrors.find(|folder| folder.join(PROVIDER).is_dir());
        let mirror = mirror
            .with_context(|| format!("no filesystem mirror has {PROVIDER}: name one with --mirror FOLDER"))?;
        Ok(CloudPrograms { moto_server, mirror })
    }
}

/// The running cloud; it is killed with this value.
#[derive(Debug)]
pub(super) struct Cloud {
    _child: Child,
    url: String,
    http: reqwest::Client,
    /// The configuration of terraform's command line: providers come from the mirror alone.
    pub(super) cli_config: PathBuf,
}

impl Cloud {
    /// Starts the cloud on a free port.
    pub(super) async fn start(
        session: &Session,
        found: &CloudPrograms,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let cli_config = folder.join("terraform.rc");
        let mirror = found.mirror.display();
        let text = format!("provider_installation {{\n  filesystem_mirror {{ path = \"{mirror}\" }}\n}}\n");
        fs::write(&cli_config, text).context("cannot write the configuration of terraform")?;
        let mut command = Command::new(&found.moto_server);
        command.args(["--host", "127.0.0.1", "--port", "0"]);
        // `pip install --target` puts the modules beside the folder of the programs.
        if let Some(modules) = found.moto_server.parent().and_then(Path::parent)
            && modules.join("moto").is_dir()
        {
            command.env("PYTHONPATH", modules);
        }
        session.ui.command(&format!("{} --port 0", found.moto_server.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start moto_server")?;
        let mut lines = BufReader::new(child.stderr.take().context("the output is piped")?).lines();
        let mut printed = Vec::new();
        let address = timeout(START_TIMEOUT, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(address) = address(&line) {
                    return Some(address);
                }
                printed.push(line);
            }
            None
        });
        let Ok(Some(address)) = address.await else {
            bail!("moto_server did not print its address: {}", printed.join("\n"));
        };
        tokio::spawn(discard(lines));
        // Fails if a provider was chosen already, which is as good. The cloud has no TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build()?;
        Ok(Self { _child: child, url: format!("http://{address}"), http, cli_config })
    }

    /// Returns a configuration with the things of this round and of the one before.
    pub(super) fn configuration(&self, prefix: &str, round: u32) -> String {
        let url = &self.url;
        let before = round.saturating_sub(1);
        let rounds = if before == 0 { format!("\"{round}\"") } else { format!("\"{before}\", \"{round}\"") };
        let services = ["iam", "s3", "sns", "sqs", "ssm", "sts"];
        let endpoints = services.map(|service| format!("    {service} = \"{url}\"\n")).concat();
        format!(
            r#"terraform {{
  required_providers {{
    aws = {{
      source  = "registry.terraform.io/hashicorp/aws"
      version = "5.100.0"
    }}
  }}
}}

provider "aws" {{
  region                      = "{REGION}"
  access_key                  = "test"
  secret_key                  = "test"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
  endpoints {{
{endpoints}  }}
}}

locals {{
  rounds = toset([{rounds}])
}}

resource "aws_sqs_queue" "queue" {{
  for_each = local.rounds
  name     = "{prefix}-${{each.key}}"
}}

resource "aws_s3_bucket" "bucket" {{
  for_each = local.rounds
  bucket   = "{prefix}-${{each.key}}"
}}

resource "aws_iam_user" "user" {{
  for_each = local.rounds
  name     = "{prefix}-${{each.key}}"
}}

resource "aws_sns_topic" "topic" {{
  for_each = local.rounds
  name     = "{prefix}-${{each.key}}"
}}

resource "aws_ssm_parameter" "parameter" {{
  for_each = local.rounds
  name     = "/{prefix}-${{each.key}}"
  type     = "String"
  value    = each.key
}}
"#
        )
    }

    /// Lists what exists and has a name with this prefix.
    pub(super) async fn things(&self, prefix: &str) -> anyhow::Result<Vec<CloudObject>> {
        let url = &self.url;
        let queues = tagged(&self.query("sqs", "Action=ListQueues").await?, "QueueUrl")?;
        let buckets = tagged(&self.answer("s3", self.http.get(format!("{url}/"))).await?, "Name")?;
        let users = tagged(&self.query("iam", "Action=ListUsers&MaxItems=1000").await?, "UserName")?;
        let topics = tagged(&self.query("sns", "Action=ListTopics").await?, "TopicArn")?;
        let parameters = self.parameters().await?;
        let mut things = Vec::new();
        let mut add =
            |address: &str, attribute: &'static str, ids: &[String], id_of: &dyn Fn(&str) -> String| {
                for id in ids {
                    let name = id.rsplit(['/', ':']).next().unwrap_or_default();
                    let round = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
                    let Some(round) = round else { continue };
                    let id = id_of(name);
                    // The name of a parameter is its id, with a slash.
                    let planned = if id.starts_with('/') { id.clone() } else { name.to_owned() };
                    let address = format!("{address}[\"{round}\"]");
                    things.push(CloudObject { address, id, attribute: (attribute, planned) });
                }
            };
        add("aws_sqs_queue.queue", "name", &queues, &|name| format!("{url}/{ACCOUNT}/{name}"));
        add("aws_s3_bucket.bucket", "bucket", &buckets, &str::to_owned);
        add("aws_iam_user.user", "name", &users, &str::to_owned);
        add("aws_sns_topic.topic", "name", &topics, &|name| format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}"));
        add("aws_ssm_parameter.parameter", "name", &parameters, &|name| format!("/{name}"));
        Ok(things)
    }

    async fn parameters(&self) -> anyhow::Result<Vec<String>> {
        let (mut names, mut next) = (Vec::new(), Value::Null);
        loop {
            let mut body = serde_json::json!({ "MaxResults": 50 });
            if !next.is_null() {
                body["NextToken"] = next;
            }
            let request = self.http.post(format!("{}/", self.url)).body(body.to_string());
            let request = request
                .header("X-Amz-Target", "AmazonSSM.DescribeParameters")
                .header("Content-Type", "application/x-amz-json-1.1");
            let answer: Value = serde_json::from_str(&self.answer("ssm", request).await?)?;
            let page = answer["Parameters"].as_array().context("the cloud lists no parameters")?;
            names.extend(page.iter().filter_map(|one| one["Name"].as_str()).map(str::to_owned));
            next = answer["NextToken"].clone();
            if next.is_null() {
                return Ok(names);
            }
        }
    }

    async fn query(&self, service: &str, form: &'static str) -> anyhow::Result<String> {
        let request = self.http.post(format!("{}/", self.url)).body(form);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        self.answer(service, request).await
    }

    /// Sends a request; the scope of the credential says for which service it is.
    async fn answer(&self, service: &str, request: reqwest::RequestBuilder) -> anyhow::Result<String> {
        let scope = format!("test/20260101/{REGION}/{service}/aws4_request");
        let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none");
        let answer = request.header("Authorization", signed).send().await;
        let answer = answer.with_context(|| format!("the cloud does not answer for {service}"))?;
        let status = answer.status();
        let text = answer.text().await.context("the cloud has sent no whole answer")?;
        ensure!(status.is_success(), "the cloud answers {status} for {service}: {text}");
        Ok(text)
    }
}

/// Finds the address in a line such as ` * Running on http://127.0.0.1:41561`.
fn address(line: &str) -> Option<SocketAddr> {
    line.split_once("Running on http://")?.1.trim().parse().ok()
}

/// Returns the texts of all elements of a name; an answer that has not everything is an error.
fn tagged(xml: &str, name: &str) -> anyhow::Result<Vec<String>> {
    ensure!(!xml.contains("<NextToken>") && !xml.contains("<IsTruncated>true"), "the list is cut: {xml}");
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(&open).skip(1).filter_map(|part| part.split(&close).next());
    Ok(parts.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_address_and_lists() {
        let line = " * Running on http://127.0.0.1:41561";
        assert_eq!(address(line).unwrap().to_string(), "127.0.0.1:41561");
        assert_eq!(address("Press CTRL+C to quit"), None);
        let xml = "<Buckets><Bucket><Name>a</Name></Bucket><Bucket><Name>b</Name></Bucket></Buckets>";
        assert_eq!(tagged(xml, "Name").unwrap(), ["a", "b"]);
        assert!(tagged("<NextToken>x</NextToken>", "Name").is_err());
    }
}
