//! Eight `init` and `plan` at once with a large provider: through the executor with one plugin cache, and by
//! terraform alone with one cache, and with a cache for each.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use job_spec::StepType;
use tokio::process::{Child, Command};

use crate::{Outcome, attempt, server::Server};

/// Steps that run at once.
const STEPS: usize = 8;

/// The provider in a mirror, below the name of its registry.
const PACKAGE: &str = "registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64";

/// A configuration that is planned without an account.
const CONFIGURATION: &str = r#"
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}
provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "fake"
  secret_key                  = "fake"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
}
resource "aws_s3_bucket" "one" {
  bucket = "one-of-the-benchmark"
}
"#;

/// Measures all of it, and fails when a step through the executor does.
pub(crate) async fn run(executor: &Path, mirror: &Path) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let bench = Bench { executor, root: folder.path(), path: crate::search_path()? };
    bench.pack(&mirror.join(PACKAGE)).await?;
    let failed = bench.measure("executor, one cache").await?;
    for kind in ["terraform alone, one cache", "terraform alone, a cache each"] {
        bench.measure(kind).await?;
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} steps of the executor failed").into()) }
}

struct Bench<'a> {
    executor: &'a Path,
    root: &'a Path,
    path: String,
}

impl Bench<'_> {
    /// Makes a mirror with a packed provider, as a network has it, and the source of the steps.
    async fn pack(&self, package: &Path) -> Outcome<()> {
        let mirror = self.root.join("mirror/registry.terraform.io/hashicorp/aws");
        fs::create_dir_all(&mirror)?;
        let zip = mirror.join("terraform-provider-aws_5.100.0_linux_amd64.zip");
        let mut command = Command::new("zip");
        command.args(["-q", "-1", "-r"]).arg(zip).arg(".").current_dir(package);
        let packed = command.status().await.map_err(|error| format!("could not run zip: {error}"))?;
        if !packed.success() {
            return Err(format!("zip could not pack {}: {packed}", package.display()).into());
        }
        let from = self.root.join("mirror");
        let settings =
            format!("provider_installation {{\n  filesystem_mirror {{\n    path = {from:?}\n  }}\n}}\n");
        fs::write(self.settings(), settings)?;
        fs::create_dir(self.source())?;
        Ok(fs::write(self.source().join("main.tf"), CONFIGURATION)?)
    }

    fn settings(&self) -> PathBuf {
        self.root.join("providers.tfrc")
    }

    fn source(&self) -> PathBuf {
        self.root.join("source")
    }

    /// Runs all steps at once, with empty caches and again with full ones. Returns how many steps failed.
    async fn measure(&self, kind: &str) -> Outcome<usize> {
        let caches = self.root.join("caches");
        let mut all_failed = 0;
        for temperature in ["cold", "warm"] {
            let mut servers = Vec::new();
            for _ in 0..STEPS {
                servers.push(Server::start().await?);
            }
            let begin = Instant::now();
            let children: Vec<Child> = servers
                .iter()
                .enumerate()
                .map(|(step, server)| {
                    let cache = caches.join(if kind.ends_with("each") { step } else { 0 }.to_string());
                    fs::create_dir_all(&cache)?;
                    let work = self.root.join(format!("work/{temperature}/{step}"));
                    fs::create_dir_all(&work)?;
                    self.command(kind, server, &work)?
                        .env("TF_PLUGIN_CACHE_DIR", cache)
                        .spawn()
                        .map_err(Into::into)
                })
                .collect::<Outcome<_>>()?;
            let mut failed = 0;
            for mut child in children {
                failed += usize::from(!child.wait().await?.success());
            }
            println!(
                "{kind:<30} {temperature}: {:>6.1} s, {} MiB in caches, {failed} of {STEPS} failed",
                begin.elapsed().as_secs_f64(),
                mebibytes(&caches).await?
            );
            all_failed += failed;
        }
        for folder in ["caches", "work"] {
            fs::remove_dir_all(self.root.join(folder))?;
        }
        Ok(all_failed)
    }

    fn command(&self, kind: &str, server: &Server, work: &Path) -> Outcome<Command> {
        let mut command = if kind.starts_with("executor") {
            attempt::command(self.executor, server, StepType::TerraformPlan, &self.source())?
        } else {
            fs::copy(self.source().join("main.tf"), work.join("main.tf"))?;
            let mut command = Command::new("sh");
            command.args(["-c", "terraform init -input=false && terraform plan -input=false"]).env_clear();
            command.env("TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE", "true");
            command
        };
        command
            .current_dir(work)
            .envs([("PATH", self.path.as_ref()), ("HOME", work), ("TMPDIR", work)])
            .env("TF_CLI_CONFIG_FILE", self.settings())
            .stdin(Stdio::null())
            .stdout(fs::File::create(work.join("output"))?)
            .stderr(fs::File::create(work.join("errors"))?);
        Ok(command)
    }
}

/// Returns the space that a folder takes on the disk, each file once.
async fn mebibytes(folder: &Path) -> Outcome<u64> {
    let output = Command::new("du").args(["-s", "-B1M"]).arg(folder).output().await?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().next().ok_or("du printed nothing")?.parse()?)
}
