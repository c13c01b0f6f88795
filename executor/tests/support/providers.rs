//! Real providers in mirrors: `hashicorp/time`, which `e2e/engines/build` builds, and `hashicorp/aws`, on
//! machines that have it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{Bench, engine, find, releases::Releases};

pub(crate) const TIME_VERSION: &str = "0.14.2";

/// A mirror of terraform with `hashicorp/aws` 5.100.0, unpacked, where a machine has one.
const AWS_MIRROR: &str = "/opt/tf-plugins/registry.terraform.io";

/// The registry of the program under test.
pub(crate) fn registry() -> &'static str {
    if engine() == "tofu" { "registry.opentofu.org" } else { "registry.terraform.io" }
}

pub(crate) const TIME: &str = r#"
terraform {
  required_providers {
    time = {
      source  = "hashicorp/time"
      version = "0.14.2"
    }
  }
}
resource "time_offset" "later" {
  base_rfc3339 = "2026-01-01T00:00:00Z"
  offset_days  = 1
}
output "later" {
  value = time_offset.later.rfc3339
}
"#;

/// A configuration that is planned without an account.
pub(crate) const AWS: &str = r#"
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
  bucket = "one-of-the-tests"
}
"#;

/// Returns the built provider, or says that the test is skipped.
pub(crate) fn time_provider() -> Option<PathBuf> {
    let program = find("terraform-provider-time");
    if program.is_none() {
        eprintln!("SKIPPED: the provider hashicorp/time is not built; e2e/engines/build builds it with Go");
    }
    program
}

/// Creates a filesystem mirror with `hashicorp/time`.
pub(crate) fn time_mirror(folder: &Path) -> Option<()> {
    let program = time_provider()?;
    let package = folder.join(registry()).join("hashicorp/time").join(TIME_VERSION).join("linux_amd64");
    fs::create_dir_all(&package).unwrap();
    fs::copy(program, package.join(format!("terraform-provider-time_v{TIME_VERSION}"))).unwrap();
    Some(())
}

/// Creates a filesystem mirror with `hashicorp/aws`, or says that the test is skipped.
pub(crate) fn aws_mirror(folder: &Path) -> Option<()> {
    let package = Path::new(AWS_MIRROR).join("hashicorp/aws/5.100.0/linux_amd64");
    if !package.is_dir() {
        eprintln!("SKIPPED: there is no provider hashicorp/aws 5.100.0 in {AWS_MIRROR}");
        return None;
    }
    let version = folder.join(registry()).join("hashicorp/aws/5.100.0");
    fs::create_dir_all(&version).unwrap();
    symlink(package, version.join("linux_amd64")).unwrap();
    Some(())
}

/// Serves `hashicorp/time` as a network mirror does, below `/mirror/`.
pub(crate) fn serve_time(releases: &Releases) -> Option<()> {
    let program = fs::read(time_provider()?).unwrap();
    let name = format!("terraform-provider-time_{TIME_VERSION}_linux_amd64.zip");
    let zip = super::releases::zip(&[(&format!("terraform-provider-time_v{TIME_VERSION}"), &program)]);
    let root = format!("/mirror/{}/hashicorp/time", registry());
    releases.put(&format!("{root}/{name}"), zip);
    releases.put(&format!("{root}/index.json"), format!("{{\"versions\":{{\"{TIME_VERSION}\":{{}}}}}}"));
    let archives = format!("{{\"archives\":{{\"linux_amd64\":{{\"url\":\"{name}\"}}}}}}");
    releases.put(&format!("{root}/{TIME_VERSION}.json"), archives);
    Some(())
}

/// Lets terraform install providers by this method alone.
pub(crate) fn install_by(bench: &mut Bench, method: &str) {
    let file = bench.folder("home").join("providers.tfrc");
    fs::write(&file, format!("provider_installation {{\n  {method}\n}}\n")).unwrap();
    bench.extra_env.insert("TF_CLI_CONFIG_FILE".into(), file.to_str().unwrap().into());
}

pub(crate) fn filesystem(folder: &Path) -> String {
    format!("filesystem_mirror {{\n    path = {:?}\n  }}", folder.to_str().unwrap())
}

pub(crate) fn network(url: &str) -> String {
    format!("network_mirror {{\n    url = {url:?}\n  }}")
}
