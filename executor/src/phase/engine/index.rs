//! The lists of releases: pure parsing.
//!
//! Three formats are known by their content: the `index.json` of `HashiCorp`, the releases of a GitHub
//! repository (which a stock Terrakube serves for tofu), and the `api.json` of OpenTofu. Entries that are not
//! understood are skipped, because such a list grows for years.

use semver::Version;
use serde_json::Value;
use url::Url;

use super::{Engine, version::parse_version};

/// A release for this platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) version: Version,
    /// The folders that may hold its files; the first that has them is used.
    pub(super) folders: Vec<Url>,
    /// Name of the zip file.
    pub(super) archive: String,
    /// Name of the file with its SHA-256 digest.
    pub(super) checksums: String,
    /// Names of the `OpenPGP` signatures of that file.
    pub(super) signatures: Vec<String>,
}

/// The platform in the names of Go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Platform {
    pub(super) os: &'static str,
    pub(super) arch: &'static str,
}

impl Platform {
    /// Returns the platform of this program.
    pub(super) fn current() -> Self {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            other => other,
        };
        let os = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
        Self { os, arch }
    }
}

/// Parses a list of releases that was read from `index`; `None` if it is in none of the known formats.
pub(super) fn parse(engine: Engine, platform: Platform, bytes: &[u8], index: &Url) -> Option<Vec<Release>> {
    let list = List { engine, platform, index };
    let value: Value = serde_json::from_slice(bytes).ok()?;
    match &value {
        Value::Array(releases) => Some(releases.iter().filter_map(|release| list.github(release)).collect()),
        Value::Object(fields) => match fields.get("versions")? {
            Value::Object(versions) => {
                Some(versions.iter().filter_map(|(name, entry)| list.hashicorp(name, entry)).collect())
            }
            Value::Array(versions) => {
                Some(versions.iter().filter_map(|version| list.opentofu(version)).collect())
            }
            _ => None,
        },
        _ => None,
    }
}

/// Returns the release whose archive has this name in a folder without a list.
pub(super) fn by_file_name(engine: Engine, platform: Platform, name: &str, folder: &Url) -> Option<Release> {
    let version = name
        .strip_prefix(engine.program())?
        .strip_prefix('_')?
        .strip_suffix(&format!("_{}_{}.zip", platform.os, platform.arch))?;
    let version = parse_version(version)?;
    Some(List { engine, platform, index: folder }.release(version, vec![folder.clone()]))
}

struct List<'a> {
    engine: Engine,
    platform: Platform,
    index: &'a Url,
}

impl List<'_> {
    /// Returns a release with the file names that both projects use.
    fn release(&self, version: Version, folders: Vec<Url>) -> Release {
        let program = self.engine.program();
        let Platform { os, arch } = self.platform;
        Release {
            archive: format!("{program}_{version}_{os}_{arch}.zip"),
            checksums: format!("{program}_{version}_SHA256SUMS"),
            // That of OpenTofu with the ending `sig` is none of OpenPGP.
            signatures: match self.engine {
                Engine::Terraform => vec![format!("{program}_{version}_SHA256SUMS.sig")],
                Engine::Tofu => vec![format!("{program}_{version}_SHA256SUMS.gpgsig")],
            },
            version,
            folders,
        }
    }

    /// A copy of the files beside the list comes first: the list of a mirror often still names the original.
    fn folders(&self, beside: &str, file: &str) -> Option<Vec<Url>> {
        let url = self.index.join(file).ok()?;
        let original = url.join(".").ok()?;
        let beside = self.index.join(beside).ok()?;
        let is_elsewhere = original.origin() != self.index.origin() || original.scheme() == "file";
        Some(if is_elsewhere && beside != original { vec![beside, original] } else { vec![original] })
    }

    fn hashicorp(&self, name: &str, entry: &Value) -> Option<Release> {
        let version = parse_version(name).filter(|version| version.build.is_empty())?;
        let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
        let build = entry["builds"].as_array()?.iter().find(|build| {
            build["os"].as_str() == Some(self.platform.os)
                && build["arch"].as_str() == Some(self.platform.arch)
        })?;
        let archive = text(build, "filename")?;
        let url = text(build, "url").unwrap_or_else(|| format!("{name}/{archive}"));
        let release = self.release(version, self.folders(&format!("{name}/"), &url)?);
        let mut signatures: Vec<String> = text(entry, "shasums_signature").into_iter().collect();
        let others = entry["shasums_signatures"].as_array().into_iter().flatten();
        for other in others.filter_map(Value::as_str) {
            if !signatures.iter().any(|known| known == other) {
                signatures.push(other.to_owned());
            }
        }
        let checksums = text(entry, "shasums").unwrap_or_else(|| release.checksums.clone());
        let signatures = if signatures.is_empty() { release.signatures.clone() } else { signatures };
        let are_names = [&archive, &checksums].into_iter().chain(&signatures).all(|name| is_file_name(name));
        are_names.then(|| Release { archive, checksums, signatures, ..release })
    }

    fn github(&self, entry: &Value) -> Option<Release> {
        let name = entry["tag_name"].as_str().or_else(|| entry["name"].as_str())?;
        let wanted = self.release(parse_version(name)?, Vec::new());
        let mut assets = entry["assets"].as_array()?.iter();
        let asset = assets.find(|asset| asset["name"].as_str() == Some(&wanted.archive))?;
        let folders = self.folders(&format!("{name}/"), asset["browser_download_url"].as_str()?)?;
        Some(Release { folders, ..wanted })
    }

    fn opentofu(&self, entry: &Value) -> Option<Release> {
        let id = entry["id"].as_str()?;
        let wanted = self.release(parse_version(id)?, Vec::new());
        let files = entry["files"].as_array()?;
        if !files.iter().any(|file| file.as_str() == Some(&wanted.archive)) {
            return None;
        }
        let original = format!(
            "https://github.com/opentofu/opentofu/releases/download/v{}/",
            id.trim_start_matches('v')
        );
        let is_original = self.index.host_str() == Some("get.opentofu.org");
        let original = Url::parse(&original).ok()?;
        let folders = if is_original {
            vec![original]
        } else {
            vec![self.index.join(&format!("{id}/")).ok()?, original]
        };
        Some(Release { folders, ..wanted })
    }
}

/// A name from a list becomes part of an address, and must not leave its folder.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\', '?', '#', ':']) && !name.starts_with('.')
}

#[cfg(test)]
mod tests;
