//! Where releases come from: settings of the operator, in the environment of the executor.
//!
//! Workspaces cannot change them: the cache is shared.

use std::path::{Path, PathBuf};

use config_core::EnvSnapshot;
use url::Url;

use super::{Engine, signature::Key};

/// Folder of downloaded programs.
const CACHE: &str = "EngineCacheFolder";
/// Address of the API of a stock Terrakube, which serves a list of tofu releases.
const STOCK_API: &str = "AzBuilderApiUrl";

/// A setting cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error(
        "{setting} is {found:?}, expected an http, https or file address, or the absolute path of a folder"
    )]
    Address { setting: &'static str, found: String },
    #[error("{CACHE} is {found:?}, expected an absolute path")]
    Cache { found: String },
}

/// Where releases are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listing {
    /// A document.
    Index(Url),
    /// A folder of this machine, which may have a document.
    Folder(PathBuf),
}

impl Engine {
    /// Returns the name of the setting that says where releases are listed.
    pub(super) const fn releases_setting(self) -> &'static str {
        match self {
            Self::Terraform => "CustomTerraformReleasesUrl",
            Self::Tofu => "CustomTofuReleasesUrl",
        }
    }

    /// Returns the name of the setting with the key of those who sign releases.
    const fn key_setting(self) -> &'static str {
        match self {
            Self::Terraform => "CustomTerraformReleasesKey",
            Self::Tofu => "CustomTofuReleasesKey",
        }
    }

    /// Returns the list that the project itself publishes.
    pub(super) const fn public_releases(self) -> &'static str {
        match self {
            Self::Terraform => "https://releases.hashicorp.com/terraform/index.json",
            Self::Tofu => "https://get.opentofu.org/tofu/api.json",
        }
    }
}

fn set<'a>(env: &'a EnvSnapshot, name: &str) -> Option<&'a str> {
    env.get(name).map(str::trim).filter(|value| !value.is_empty())
}

/// Returns where releases are listed, if that is set.
pub(super) fn listing(engine: Engine, env: &EnvSnapshot) -> Result<Option<Listing>, SettingsError> {
    let setting = engine.releases_setting();
    let Some(value) = set(env, setting) else {
        let api = set(env, STOCK_API).filter(|_| engine == Engine::Tofu);
        let list =
            api.and_then(|api| Url::parse(&format!("{}/tofu/index.json", api.trim_end_matches('/'))).ok());
        return Ok(list.map(Listing::Index));
    };
    if value.starts_with('/') {
        return Ok(Some(Listing::Folder(value.into())));
    }
    let error = || SettingsError::Address { setting, found: crate::api::error::display_address(value) };
    let url = Url::parse(value).map_err(|_| error())?;
    match url.scheme() {
        "file" => url.to_file_path().map(|path| Some(Listing::Folder(path))).map_err(|()| error()),
        "https" | "http" if url.has_host() => Ok(Some(Listing::Index(with_document(url)))),
        _ => Err(error()),
    }
}

/// The address of a folder stands for its `index.json`.
fn with_document(mut url: Url) -> Url {
    let is_document =
        Path::new(url.path()).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    if !is_document && url.query().is_none() {
        let path = format!("{}/index.json", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    url
}

/// Returns the key of those who sign releases, if that is set.
pub(super) fn key(engine: Engine, env: &EnvSnapshot) -> Option<Key<'_>> {
    let setting = engine.key_setting();
    set(env, setting).map(|value| Key { setting, value })
}

/// Returns the folder of downloaded programs. Without a setting it is beside the work folders.
pub(super) fn cache(env: &EnvSnapshot, temp: &Path) -> Result<PathBuf, SettingsError> {
    match set(env, CACHE) {
        None => Ok(temp.join("ephemeral-agents-engines")),
        Some(path) if path.starts_with('/') => Ok(path.into()),
        Some(other) => Err(SettingsError::Cache { found: other.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> EnvSnapshot {
        pairs.iter().copied().collect()
    }

    #[test]
    fn accepts_documents_folders_and_mirrors() {
        let index = |url: &str| Some(Listing::Index(Url::parse(url).unwrap()));
        let folder = |path: &str| Some(Listing::Folder(path.into()));
        let cases = [
            (
                "https://releases.example/terraform/index.json",
                index("https://releases.example/terraform/index.json"),
            ),
            ("http://mirror.example/terraform/", index("http://mirror.example/terraform/index.json")),
            ("http://mirror.example/terraform", index("http://mirror.example/terraform/index.json")),
            ("https://a.example/list?format=json", index("https://a.example/list?format=json")),
            ("/mirror/terraform", folder("/mirror/terraform")),
            ("file:///mirror/terraform", folder("/mirror/terraform")),
            (" ", None),
        ];
        for (value, expected) in cases {
            let env = env(&[("CustomTerraformReleasesUrl", value)]);
            assert_eq!(listing(Engine::Terraform, &env), Ok(expected), "{value}");
        }
        for value in ["mirror", "ftp://a/b", "https://", "./mirror"] {
            let env = env(&[("CustomTofuReleasesUrl", value)]);
            let error = listing(Engine::Tofu, &env).unwrap_err().to_string();
            assert!(error.starts_with("CustomTofuReleasesUrl is "), "{error}");
        }
    }

    #[test]
    fn stock_api_lists_tofu_alone() {
        let env = env(&[("AzBuilderApiUrl", "http://terrakube-api:8080/")]);
        let url = Url::parse("http://terrakube-api:8080/tofu/index.json").unwrap();
        assert_eq!(listing(Engine::Tofu, &env), Ok(Some(Listing::Index(url))));
        assert_eq!(listing(Engine::Terraform, &env), Ok(None));
    }

    #[test]
    fn cache_is_beside_the_work_folders_unless_set() {
        let temp = Path::new("/tmp");
        assert_eq!(cache(&env(&[]), temp).unwrap(), Path::new("/tmp/ephemeral-agents-engines"));
        assert_eq!(cache(&env(&[(CACHE, "/cache")]), temp).unwrap(), Path::new("/cache"));
        assert!(cache(&env(&[(CACHE, "cache")]), temp).is_err());
    }
}
