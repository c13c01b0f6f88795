//! Sources that are tar.gz files: of this machine, or of a server.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, StatusCode, redirect};
use secrecy::ExposeSecret as _;
use tokio::io::AsyncWriteExt as _;

use super::{
    address::{ArchiveAccess, ArchiveUrl},
    error::FetchError,
};
use crate::{
    archive::{SOURCE_LIMITS, unpack::unpack},
    authorities::Authorities,
    network::Proxies,
    phase::context::Context,
    work_paths::WorkDir,
};

/// The largest archive, before it is unpacked.
const MAX_DOWNLOAD_BYTES: u64 = 512 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time without a byte.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

const MAX_REDIRECTS: usize = 5;

/// How servers are reached.
#[derive(Clone, Copy)]
struct Network<'a> {
    proxies: &'a Proxies,
    authorities: Option<&'a Authorities>,
}

/// Unpacks a file into a new folder.
pub(super) async fn unpack_file(file: &Path, name: &str, root: &Path) -> Result<(), FetchError> {
    let (file, root, name) = (file.to_owned(), root.to_owned(), name.to_owned());
    let copy_error = |path: &Path| {
        let path = path.to_owned();
        move |source| FetchError::Copy { path, source }
    };
    let at = root.clone();
    let unpacked = tokio::task::spawn_blocking(move || {
        let stream = match File::open(&file) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FetchError::MissingArchive { path: file });
            }
            Err(error) => return Err(copy_error(&file)(error)),
        };
        fs::create_dir(&root).map_err(copy_error(&root))?;
        unpack(stream, &root, &SOURCE_LIMITS).map_err(|source| FetchError::Archive { name, source })
    });
    unpacked.await.map_err(|error| FetchError::Copy { path: at, source: error.into() })?
}

/// Downloads an archive and unpacks it into a new folder.
pub(super) async fn download_and_unpack(
    address: &ArchiveUrl,
    dir: &WorkDir,
    root: &Path,
    context: &Context<'_>,
) -> Result<(), FetchError> {
    let stop = context.stop;
    let file = dir.archive_file("download");
    let (proxies, authorities) = (context.proxies(), context.authorities()?);
    let network = Network { proxies: &proxies, authorities: authorities.as_ref() };
    tokio::select! {
        downloaded = download(address, &file, network) => downloaded?,
        // The caller looks whether the step was stopped.
        () = stop.requested() => return Ok(()),
    }
    unpack_file(&file, address.url.as_str(), root).await?;
    fs::remove_file(&file).map_err(|source| FetchError::Copy { path: file, source })
}

async fn download(address: &ArchiveUrl, file: &PathBuf, network: Network<'_>) -> Result<(), FetchError> {
    let url = || address.url.to_string();
    let failed = |source: reqwest::Error| FetchError::Download { url: url(), source: source.without_url() };
    let request = client(address, network).map_err(failed)?.get(address.url.clone());
    let request = match &address.access {
        ArchiveAccess::Public => request,
        ArchiveAccess::Bearer(token) => request.bearer_auth(token.expose_secret()),
        ArchiveAccess::Basic { user, password } => request.basic_auth(user, Some(password.expose_secret())),
    };
    let mut answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(FetchError::DownloadStatus { url: url(), status, advice: advice(status) });
    }
    let too_large = || FetchError::ArchiveTooLarge { url: url(), limit: MAX_DOWNLOAD_BYTES };
    if answer.content_length().is_some_and(|length| length > MAX_DOWNLOAD_BYTES) {
        return Err(too_large());
    }
    let write_error = |source| FetchError::Copy { path: file.clone(), source };
    let mut target = tokio::fs::File::create(file).await.map_err(write_error)?;
    let mut left = MAX_DOWNLOAD_BYTES;
    while let Some(piece) = answer.chunk().await.map_err(failed)? {
        left = left.checked_sub(piece.len() as u64).ok_or_else(too_large)?;
        target.write_all(&piece).await.map_err(write_error)?;
    }
    target.flush().await.map_err(write_error)
}

fn client(address: &ArchiveUrl, network: Network<'_>) -> Result<Client, reqwest::Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let is_secure = address.url.scheme() == "https";
    // The client itself sends the credential to no other host.
    let policy = redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS || (is_secure && attempt.url().scheme() != "https") {
            attempt.stop()
        } else {
            attempt.follow()
        }
    });
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(policy)
        .proxy(network.proxies.for_client())
        .user_agent(concat!("ephemeral-agents-executor/", env!("CARGO_PKG_VERSION")));
    // Reading the certificates of the system takes time, and fails in an image that has none.
    let builder = match network.authorities {
        _ if !is_secure => builder.tls_certs_only([]),
        Some(own) => builder.tls_certs_only(own.certificates()?),
        None => builder,
    };
    builder.build()
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "check the credential of the workspace for this server"
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => "check the address, or upload the source again",
        _ if status.is_redirection() => {
            "expected the file itself, at most 5 redirects, none from https to http"
        }
        _ => "expected 200",
    }
}
