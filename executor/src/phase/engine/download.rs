//! Reads files of releases: over HTTP, or from a folder of this machine.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use reqwest::{Client, Response, StatusCode, redirect};
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};
use url::Url;

use super::{checksum::hex, releases::Network};
use crate::{api::error::display_address, log::Log, network::Proxies, stop::Stop};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that sends nothing for this long sends nothing any more.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two lines about the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);
/// The pauses before further tries, when the server or the network fails.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// Redirects of one download.
const MAX_REDIRECTS: usize = 10;
const MIB: u64 = 1024 * 1024;

/// A file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownloadError {
    #[error("could not build the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("could not reach {address}{}", through(.proxy.as_deref()))]
    Unreachable { address: String, proxy: Option<String>, source: reqwest::Error },
    #[error("{address} answered with {status}{}", through(.proxy.as_deref()))]
    Status { address: String, proxy: Option<String>, status: StatusCode },
    #[error("could not read {address}")]
    File { address: String, source: io::Error },
    #[error("{address} is larger than {limit} bytes")]
    TooLarge { address: String, limit: u64 },
    #[error("could not write the download")]
    Write(#[source] io::Error),
    #[error("the download was cancelled")]
    Cancelled,
}

fn through(proxy: Option<&str>) -> String {
    proxy.map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"))
}

impl DownloadError {
    /// Returns whether the file is not there, so that it may be in another place.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            // Object stores answer with 403 where listing is not allowed.
            Self::Status { status, .. } => {
                matches!(*status, StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN)
            }
            Self::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            _ => false,
        }
    }
}

/// Where the bytes of a download go.
enum Target<'a> {
    Memory(&'a mut Vec<u8>),
    File { file: &'a mut File, hasher: &'a mut Sha256, progress: Progress<'a> },
}

/// Downloads files.
#[derive(Debug)]
pub(super) struct Downloads<'a> {
    client: Client,
    proxies: &'a Proxies,
    log: &'a Log,
    stop: &'a Stop,
}

impl<'a> Downloads<'a> {
    /// Builds the client.
    pub(super) fn new(network: &'a Network<'_>, log: &'a Log, stop: &'a Stop) -> Result<Self, DownloadError> {
        let proxies = network.proxies;
        // Fails if this process has a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = match &network.authorities {
            Some(own) => Client::builder().tls_certs_only(own.certificates().map_err(DownloadError::Client)?),
            None => Client::builder(),
        };
        let client = builder
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(redirect::Policy::limited(MAX_REDIRECTS))
            .proxy(proxies.for_client())
            .user_agent(concat!("ephemeral-agents-executor/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(DownloadError::Client)?;
        Ok(Self { client, proxies, log, stop })
    }

    /// Reads a small file.
    pub(super) async fn bytes(&self, url: &Url, limit: u64) -> Result<Vec<u8>, DownloadError> {
        let mut pauses = PAUSES.iter();
        loop {
            let mut bytes = Vec::new();
            let done = self.copy(url, limit, &mut Target::Memory(&mut bytes)).await;
            match (done, pauses.next()) {
                (Ok(()), _) => return Ok(bytes),
                (Err(error), Some(pause)) if error.may_pass() => self.pause(*pause).await?,
                (Err(error), _) => return Err(error),
            }
        }
    }

    /// Downloads a file, and returns its SHA-256 digest. The log shows the progress.
    pub(super) async fn file(&self, url: &Url, limit: u64, to: &Path) -> Result<String, DownloadError> {
        let mut pauses = PAUSES.iter();
        loop {
            let mut file = File::create(to).await.map_err(DownloadError::Write)?;
            let mut hasher = Sha256::new();
            let mut target = Target::File {
                file: &mut file,
                hasher: &mut hasher,
                progress: Progress { log: self.log, next: Instant::now() + PROGRESS_INTERVAL },
            };
            let done = match self.copy(url, limit, &mut target).await {
                Ok(()) => file.flush().await.map_err(DownloadError::Write),
                Err(error) => Err(error),
            };
            match (done, pauses.next()) {
                (Ok(()), _) => return Ok(hex(&hasher.finalize())),
                (Err(error), Some(pause)) if error.may_pass() => self.pause(*pause).await?,
                (Err(error), _) => return Err(error),
            }
        }
    }

    async fn pause(&self, pause: Duration) -> Result<(), DownloadError> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.stop.requested() => Err(DownloadError::Cancelled),
        }
    }

    async fn copy(&self, url: &Url, limit: u64, target: &mut Target<'_>) -> Result<(), DownloadError> {
        let copy = async {
            if url.scheme() == "file" {
                copy_file(url, limit, target).await
            } else {
                self.get(url, limit, target).await
            }
        };
        tokio::select! {
            done = copy => done,
            () = self.stop.requested() => Err(DownloadError::Cancelled),
        }
    }

    async fn get(&self, url: &Url, limit: u64, target: &mut Target<'_>) -> Result<(), DownloadError> {
        let address = || display_address(url.as_str());
        let unreachable = |source: reqwest::Error| DownloadError::Unreachable {
            address: address(),
            proxy: self.proxies.shown_for(url),
            source: source.without_url(),
        };
        let mut answer: Response = self.client.get(url.clone()).send().await.map_err(unreachable)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(DownloadError::Status {
                address: address(),
                proxy: self.proxies.shown_for(url),
                status,
            });
        }
        let total = answer.content_length();
        let mut length = 0;
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            length += chunk.len() as u64;
            if length > limit {
                return Err(DownloadError::TooLarge { address: address(), limit });
            }
            target.write(&chunk, length, total).await?;
        }
        Ok(())
    }
}

async fn copy_file(url: &Url, limit: u64, target: &mut Target<'_>) -> Result<(), DownloadError> {
    let address = || url.path().to_owned();
    let fail = |source| DownloadError::File { address: address(), source };
    let path = url.to_file_path().map_err(|()| fail(io::ErrorKind::InvalidInput.into()))?;
    let mut file = File::open(path).await.map_err(fail)?;
    let total = file.metadata().await.map_err(fail)?.len();
    let (mut buffer, mut length) = (vec![0; 256 * 1024], 0);
    loop {
        let read = file.read(&mut buffer).await.map_err(fail)?;
        if read == 0 {
            return Ok(());
        }
        length += read as u64;
        if length > limit {
            return Err(DownloadError::TooLarge { address: address(), limit });
        }
        target.write(&buffer[..read], length, Some(total)).await?;
    }
}

impl Target<'_> {
    /// Adds a piece; `length` is what there is of `total` with it.
    async fn write(&mut self, piece: &[u8], length: u64, total: Option<u64>) -> Result<(), DownloadError> {
        match self {
            Self::Memory(bytes) => bytes.extend_from_slice(piece),
            Self::File { file, hasher, progress } => {
                hasher.update(piece);
                file.write_all(piece).await.map_err(DownloadError::Write)?;
                progress.show(length, total);
            }
        }
        Ok(())
    }
}

/// Writes a line from time to time.
struct Progress<'a> {
    log: &'a Log,
    next: Instant,
}

impl Progress<'_> {
    fn show(&mut self, length: u64, total: Option<u64>) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + PROGRESS_INTERVAL;
        let length = length / MIB;
        self.log.note(&match total {
            Some(total) if total > 0 => format!("  {length} of {} MiB", total.div_ceil(MIB)),
            _ => format!("  {length} MiB"),
        });
    }
}
