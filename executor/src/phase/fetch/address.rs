//! Parses the address of a source and the credentials that belong to it.
//!
//! No I/O: whether a folder is a bare repository is answered by a closure.

use std::path::{Path, PathBuf};

use job_spec::EphemeralJobData;
use secrecy::SecretString;
use url::Url;

use super::error::FetchError;

/// Where the configuration comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A repository.
    Git(Repository),
    /// A tar.gz file of this machine.
    ArchiveFile(PathBuf),
    /// A tar.gz file of a server.
    ArchiveUrl(ArchiveUrl),
}

/// The address of a tar.gz file and its credential.
#[derive(Debug)]
pub(crate) struct ArchiveUrl {
    /// Without credentials, for logs.
    pub(crate) url: Url,
    pub(crate) access: ArchiveAccess,
}

/// How a server of archives authenticates.
#[derive(Debug)]
pub(crate) enum ArchiveAccess {
    /// Without credentials.
    Public,
    /// The token of the source.
    Bearer(SecretString),
    /// User name and password of the address.
    Basic { user: String, password: SecretString },
}

/// The branch of a source that was uploaded to a server.
const REMOTE_CONTENT: &str = "remote-content";

/// A repository and its credentials.
#[derive(Debug)]
pub(crate) struct Repository {
    /// The address without credentials, for arguments and logs.
    pub(crate) url: String,
    pub(crate) access: Access,
}

/// How git authenticates.
#[derive(Debug)]
pub(crate) enum Access {
    /// Without credentials.
    Public,
    /// User name and password, for this scheme and host alone.
    Password { scope: String, user: SecretString, password: SecretString },
    /// A private key.
    Key(SecretString),
}

/// Parses the source of a payload.
pub(crate) fn locate(
    payload: &EphemeralJobData,
    is_bare_repository: impl Fn(&Path) -> bool,
) -> Result<Source, FetchError> {
    let source = payload.source.trim();
    let is_upload = payload.branch.split(',').next().unwrap_or_default().trim() == REMOTE_CONTENT;
    let bad = || FetchError::Address { found: without_credentials(source) };
    if source.starts_with('/') {
        return Ok(local(PathBuf::from(source), is_bare_repository));
    }
    let is_archive = |url: &Url| is_upload || is_archive(Path::new(url.path()));
    if !source.contains("://") {
        // The short form of ssh, `git@host:path`: a colon before any slash.
        let host = source.split(['/', ':']).next().unwrap_or_default();
        let rest = &source[host.len()..];
        // Two colons would let git run any program (`ext::…`).
        let colon = rest.starts_with(':') && !rest.starts_with("::");
        let short = colon && !host.is_empty() && !host.starts_with('-');
        return if short { Ok(ssh(source.to_owned(), payload)) } else { Err(bad()) };
    }
    let url = Url::parse(source).map_err(|_| bad())?;
    match url.scheme() {
        "file" if !is_upload => Ok(local(url.to_file_path().map_err(|()| bad())?, is_bare_repository)),
        "ssh" if url.has_host() && !is_upload => Ok(ssh(source.to_owned(), payload)),
        "https" | "http" if url.has_host() && is_archive(&url) => Ok(archive(url, payload)),
        _ if is_upload => Err(FetchError::RemoteContent),
        "https" | "http" if url.has_host() => Ok(web(url, payload)),
        "git" if url.has_host() => {
            Ok(Source::Git(Repository { url: source.to_owned(), access: Access::Public }))
        }
        _ => Err(bad()),
    }
}

fn is_archive(path: &Path) -> bool {
    let name = path.to_string_lossy().to_ascii_lowercase();
    [".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending))
}

fn archive(mut url: Url, payload: &EphemeralJobData) -> Source {
    let token = payload.access_token.as_deref().map(str::trim).filter(|token| !token.is_empty());
    let access = match (token, in_address(&url)) {
        (_, Some((user, password))) => ArchiveAccess::Basic { user, password: password.as_str().into() },
        (Some(token), None) => ArchiveAccess::Bearer(token.into()),
        (None, None) => ArchiveAccess::Public,
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Source::ArchiveUrl(ArchiveUrl { url, access })
}

fn local(path: PathBuf, is_bare_repository: impl Fn(&Path) -> bool) -> Source {
    if is_archive(&path) {
        return Source::ArchiveFile(path);
    }
    match Url::from_file_path(&path) {
        // As an address, because git ignores the depth of a clone from a path.
        Ok(url) if is_bare_repository(&path) => {
            Source::Git(Repository { url: url.into(), access: Access::Public })
        }
        _ => Source::Folder(path),
    }
}

fn ssh(url: String, payload: &EphemeralJobData) -> Source {
    let key = payload.access_token.as_deref().filter(|key| !key.trim().is_empty());
    let access = match key {
        Some(key) if payload.vcs_type.starts_with("SSH") => Access::Key(key.into()),
        _ => Access::Public,
    };
    Source::Git(Repository { url, access })
}

fn web(mut url: Url, payload: &EphemeralJobData) -> Source {
    let scope = format!("{}://{}", url.scheme(), &url[url::Position::BeforeHost..url::Position::AfterPort]);
    let in_address = in_address(&url);
    let token = payload.access_token.as_deref().map(str::trim).filter(|token| !token.is_empty());
    let by_type = token.and_then(|token| {
        credentials(&payload.vcs_type, payload.connection_type.as_deref(), token)
            .map(|(user, password)| (user.to_owned(), password.to_owned()))
    });
    let access = match by_type.or(in_address) {
        Some((user, password)) => {
            Access::Password { scope, user: user.as_str().into(), password: password.as_str().into() }
        }
        None => Access::Public,
    };
    // These cannot fail for an address that has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Source::Git(Repository { url: url.into(), access })
}

/// Returns the user name and password inside an address, decoded.
fn in_address(url: &Url) -> Option<(String, String)> {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let password = url.password().unwrap_or_default();
    (!url.username().is_empty() || !password.is_empty()).then(|| (decode(url.username()), decode(password)))
}

/// Length from which a name in front of `@host` is a token: those of all hosts are longer, names are shorter.
const MIN_TOKEN_CHARS: usize = 20;

/// Parameters of an address whose values are no secrets. The api-server has the same list.
const OPEN_PARAMETERS: &[&str] = &["ref", "branch", "tag", "depth", "archive", "version", "api-version"];

/// Returns the secrets that are part of the address itself: the password and the values of parameters, as
/// they are written and decoded. A name alone is none, except for a token that some
/// hosts accept in its place.
pub(crate) fn secrets_in_address(source: &str) -> Vec<String> {
    let Ok(url) = Url::parse(source.trim()) else { return Vec::new() };
    let is_web = matches!(url.scheme(), "https" | "http");
    let token = || Some(url.username()).filter(|name| is_web && name.chars().count() >= MIN_TOKEN_CHARS);
    let password = url.password().filter(|password| !password.is_empty()).or_else(token);
    // Hosts take tokens as parameters of any name, but for these.
    let parameters = url.query().unwrap_or_default().split('&').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (!OPEN_PARAMETERS.contains(&name)).then_some(value)
    });
    let raw = password.into_iter().chain(parameters).filter(|raw| !raw.is_empty());
    raw.flat_map(|raw| {
        let decoded = percent_encoding::percent_decode_str(raw).decode_utf8_lossy().into_owned();
        [raw.to_owned(), decoded]
    })
    .collect()
}

fn without_credentials(source: &str) -> String {
    match (source.find("://"), source.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}…{}", &source[..scheme + 3], &source[at..]),
        _ => source.to_owned(),
    }
}

/// Returns user name and password for the kind of version control system.
fn credentials<'t>(
    vcs_type: &str,
    connection_type: Option<&str>,
    token: &'t str,
) -> Option<(&'t str, &'t str)> {
    match vcs_type {
        "GITHUB" if connection_type == Some("OAUTH") => Some((token, "")),
        "GITHUB" => Some(("x-access-token", token)),
        "BITBUCKET" => Some(("x-token-auth", token)),
        "GITLAB" => Some(("oauth2", token)),
        "AZURE_DEVOPS" | "AZURE_SP_MI" => Some(("dummy", token)),
        _ => None,
    }
}

/// Returns whether a folder is a repository without working files.
pub(crate) fn is_bare_repository(path: &Path) -> bool {
    path.join("HEAD").is_file() && path.join("objects").is_dir() && path.join("refs").is_dir()
}

#[cfg(test)]
mod tests;
