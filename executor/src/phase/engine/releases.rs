//! Makes a release available: from the cache, else by a verified download.

use std::{fs, io, path::PathBuf};

use semver::Version;
use url::Url;

use super::{
    Engine,
    cache::{Cache, Installation},
    checksum,
    download::{DownloadError, Downloads},
    index::{self, Platform, Release},
    settings::{self, Listing, SettingsError},
    signature::SignatureError,
    unpack::{UnpackError, unpack},
    version::Constraint,
};
use crate::{authorities::Authorities, network::Proxies, phase::context::Context};

/// The list of all releases since 2014 has a few megabytes.
const MAX_INDEX_BYTES: u64 = 64 * 1024 * 1024;
const MAX_CHECKSUMS_BYTES: u64 = 1024 * 1024;
const MAX_ARCHIVE_BYTES: u64 = 512 * 1024 * 1024;
/// How many other versions an error names.
const NAMED_VERSIONS: usize = 5;

/// A release cannot be made available.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(
        "{setting} is not set, so none is downloaded; set it to {public}, to a mirror, \
         or to a folder with releases"
    )]
    NoListing { setting: &'static str, public: &'static str },
    #[error("could not read the list of releases")]
    Index(#[source] DownloadError),
    #[error("{address} is no list of releases, expected that of HashiCorp, GitHub or OpenTofu")]
    Format { address: String },
    #[error("could not list folder {path:?}, which {setting} names")]
    Folder { setting: &'static str, path: PathBuf, source: io::Error },
    #[error("{place} has no {program} {wanted} for {os}_{arch}; {others}")]
    NoVersion {
        place: String,
        program: &'static str,
        wanted: String,
        os: &'static str,
        arch: &'static str,
        others: String,
    },
    #[error("could not download {program} {version}")]
    Download { program: &'static str, version: Version, source: DownloadError },
    #[error("{file} states no digest of {archive}")]
    NoChecksum { file: String, archive: String },
    #[error("{archive} has the SHA-256 digest {found}, but {file} states {stated}; the download was deleted")]
    WrongChecksum { archive: String, file: String, found: String, stated: String },
    #[error("could not verify the signature")]
    Signature(#[from] SignatureError),
    #[error("could not unpack {archive}")]
    Unpack { archive: String, source: UnpackError },
    #[error("could not write into the cache of programs")]
    Cache(#[from] io::Error),
}

/// How downloads reach other hosts.
#[derive(Debug)]
pub(super) struct Network<'a> {
    pub(super) proxies: &'a Proxies,
    pub(super) authorities: Option<Authorities>,
}

/// Finds or downloads the newest release that matches.
pub(super) async fn provide(
    context: &Context<'_>,
    engine: Engine,
    wanted: &Constraint,
    network: &Network<'_>,
) -> Result<PathBuf, ReleaseError> {
    let platform = Platform::current();
    let shared = settings::cache(context.env, &context.input.env.temp)?;
    let cache = Cache::new(shared, engine, platform);
    if let Some(program) = cached(&cache, wanted).await {
        return Ok(program);
    }
    let Some(listing) = settings::listing(engine, context.env)? else {
        let setting = engine.releases_setting();
        return Err(ReleaseError::NoListing { setting, public: engine.public_releases() });
    };
    let downloads = Downloads::new(network, context.log, context.stop).map_err(ReleaseError::Index)?;
    let work = Work { context, engine, platform, downloads };
    let releases = work.list(&listing).await?;
    let release = work.choose(releases, wanted, &listing)?;
    // Another executor may have installed the newest one meanwhile; a constraint is asked for above alone.
    if let Some(program) = cached(&cache, &Constraint::from(release.version.clone())).await {
        return Ok(program);
    }
    let (cache, installation) = match cache.begin() {
        Ok(installation) => (cache, installation),
        Err(error) => {
            // An image or a read-only volume; the program is then for this attempt alone.
            let own = context.paths.work().join("engines");
            context.log.note(&format!("(the cache of programs cannot be written: {error})"));
            let cache = Cache::new(own, engine, platform);
            let installation = cache.begin()?;
            (cache, installation)
        }
    };
    work.install(&release, &cache, installation).await
}

/// Looks for the newest matching program in the cache.
async fn cached(cache: &Cache, wanted: &Constraint) -> Option<PathBuf> {
    let (cache, wanted) = (cache.clone(), wanted.clone());
    let search = move || {
        if let Some(version) = wanted.exact() {
            return cache.get(version);
        }
        let mut versions = cache.versions().into_iter().filter(|version| wanted.matches(version));
        versions.find_map(|version| cache.get(&version))
    };
    // Reading a large program takes a moment.
    tokio::task::spawn_blocking(search).await.ok().flatten()
}

struct Work<'a> {
    context: &'a Context<'a>,
    engine: Engine,
    platform: Platform,
    downloads: Downloads<'a>,
}

impl Work<'_> {
    async fn list(&self, listing: &Listing) -> Result<Vec<Release>, ReleaseError> {
        let url = match listing {
            Listing::Index(url) => url.clone(),
            Listing::Folder(path) => match Url::from_file_path(path.join("index.json")) {
                Ok(url) if path.join("index.json").is_file() => url,
                _ => return self.list_folder(path),
            },
        };
        let bytes = self.downloads.bytes(&url, MAX_INDEX_BYTES).await.map_err(ReleaseError::Index)?;
        index::parse(self.engine, self.platform, &bytes, &url)
            .ok_or_else(|| ReleaseError::Format { address: shown(&url) })
    }

    /// Lists a folder of zip files, or of folders of them, one for each version.
    fn list_folder(&self, folder: &std::path::Path) -> Result<Vec<Release>, ReleaseError> {
        let names = |folder: &std::path::Path| -> io::Result<Vec<String>> {
            let entries = fs::read_dir(folder)?;
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        let setting = self.engine.releases_setting();
        let fail = |source| ReleaseError::Folder { setting, path: folder.to_owned(), source };
        let mut releases = Vec::new();
        for name in names(folder).map_err(fail)? {
            let inner = folder.join(&name);
            let files = if inner.is_dir() {
                names(&inner).unwrap_or_default().into_iter().map(|file| (inner.clone(), file)).collect()
            } else {
                vec![(folder.to_owned(), name)]
            };
            for (folder, file) in files {
                let Ok(url) = Url::from_directory_path(folder) else { continue };
                releases.extend(index::by_file_name(self.engine, self.platform, &file, &url));
            }
        }
        Ok(releases)
    }

    fn choose(
        &self,
        releases: Vec<Release>,
        wanted: &Constraint,
        listing: &Listing,
    ) -> Result<Release, ReleaseError> {
        let others = nearest(&releases, wanted);
        let matching = releases.into_iter().filter(|release| wanted.matches(&release.version));
        matching.max_by(|a, b| a.version.cmp(&b.version)).ok_or_else(|| ReleaseError::NoVersion {
            place: match listing {
                Listing::Index(url) => shown(url),
                Listing::Folder(path) => path.display().to_string(),
            },
            program: self.engine.program(),
            wanted: wanted.to_string(),
            os: self.platform.os,
            arch: self.platform.arch,
            others,
        })
    }

    async fn install(
        &self,
        release: &Release,
        cache: &Cache,
        installation: Installation,
    ) -> Result<PathBuf, ReleaseError> {
        let (version, log) = (&release.version, self.context.log);
        let fail = |source| ReleaseError::Download {
            program: self.engine.program(),
            version: version.clone(),
            source,
        };
        let mut folders = release.folders.iter();
        let (folder, checksums) = loop {
            let Some(folder) = folders.next() else {
                let (file, archive) = (release.checksums.clone(), release.archive.clone());
                return Err(ReleaseError::NoChecksum { file, archive });
            };
            let url = join(folder, &release.checksums);
            match self.downloads.bytes(&url, MAX_CHECKSUMS_BYTES).await {
                Ok(bytes) => break (folder, bytes),
                Err(error) if folders.len() > 0 && error.is_missing() => {}
                Err(error) => return Err(fail(error)),
            }
        };
        self.check_signature(release, folder, &checksums, &installation).await?;
        let archive = installation.file("archive.zip");
        let url = join(folder, &release.archive);
        log.note(&format!("downloading {} {version} from {}", self.engine.program(), shown(&url)));
        let found = self.downloads.file(&url, MAX_ARCHIVE_BYTES, &archive).await.map_err(fail)?;
        compare(release, &String::from_utf8_lossy(&checksums), found)?;

        let (engine, cache, release) = (self.engine, cache.clone(), release.clone());
        let installed = tokio::task::spawn_blocking(move || {
            let program = installation.entry(engine)?;
            unpack(&archive, engine.program(), &program)
                .map_err(|source| ReleaseError::Unpack { archive: release.archive.clone(), source })?;
            let program: Result<PathBuf, ReleaseError> = Ok(cache.finish(&installation, &release.version)?);
            program
        });
        let program = installed.await.map_err(io::Error::other)??;
        log.note(&format!("{} {version} is verified and installed", self.engine.program()));
        Ok(program)
    }

    /// Verifies the signature of the checksum file, if there is a key.
    async fn check_signature(
        &self,
        release: &Release,
        folder: &Url,
        checksums: &[u8],
        installation: &Installation,
    ) -> Result<(), ReleaseError> {
        let Some(key) = settings::key(self.engine, self.context.env) else { return Ok(()) };
        let file = installation.file(&release.checksums);
        fs::write(&file, checksums)?;
        let mut result = Ok(());
        // A release can have signatures by several keys.
        for name in &release.signatures {
            let download = self.downloads.bytes(&join(folder, name), MAX_CHECKSUMS_BYTES).await;
            let bytes = match download {
                Ok(bytes) => bytes,
                Err(source) => {
                    let (program, version) = (self.engine.program(), release.version.clone());
                    result = Err(ReleaseError::Download { program, version, source });
                    continue;
                }
            };
            let signature = installation.file("signature");
            fs::write(&signature, bytes)?;
            let path = self.context.env.get("PATH").unwrap_or_default();
            let (log, stop) = (self.context.log, self.context.stop);
            match key.verify(installation.folder(), (&file, &signature), path, log, stop).await {
                Ok(()) => return Ok(()),
                Err(error) => result = Err(error.into()),
            }
        }
        result
    }
}

fn compare(release: &Release, checksums: &str, found: String) -> Result<(), ReleaseError> {
    let (archive, file) = (release.archive.clone(), release.checksums.clone());
    let Some(stated) = checksum::stated(checksums, &archive) else {
        return Err(ReleaseError::NoChecksum { file, archive });
    };
    if stated.eq_ignore_ascii_case(&found) {
        return Ok(());
    }
    Err(ReleaseError::WrongChecksum { archive, file, found, stated: stated.to_owned() })
}

/// Appends a file name to the address of a folder.
fn join(folder: &Url, name: &str) -> Url {
    folder.join(name).unwrap_or_else(|_| folder.clone())
}

fn shown(url: &Url) -> String {
    if url.scheme() == "file" {
        url.path().to_owned()
    } else {
        crate::api::error::display_address(url.as_str())
    }
}

/// Names the versions nearest to the wanted one.
fn nearest(releases: &[Release], wanted: &Constraint) -> String {
    let mut versions: Vec<&Version> = releases.iter().map(|release| &release.version).collect();
    versions.sort();
    versions.dedup();
    let before =
        wanted.subject().map_or(versions.len(), |subject| versions.partition_point(|v| *v < subject));
    let end = (before + NAMED_VERSIONS.div_ceil(2)).clamp(NAMED_VERSIONS.min(versions.len()), versions.len());
    let named: Vec<_> =
        versions[end.saturating_sub(NAMED_VERSIONS)..end].iter().map(ToString::to_string).collect();
    if named.is_empty() {
        "it has no version for this platform".to_owned()
    } else {
        format!("the nearest are {}", named.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn releases(versions: &[&str]) -> Vec<Release> {
        let release = |version: &&str| Release {
            version: version.parse().unwrap(),
            folders: Vec::new(),
            archive: "a.zip".into(),
            checksums: "sums".into(),
            signatures: Vec::new(),
        };
        versions.iter().map(release).collect()
    }

    #[test]
    fn names_the_nearest_versions() {
        let all = releases(&["1.10.0", "1.9.7", "1.9.8", "1.8.5", "1.7.0", "1.6.0", "1.5.7"]);
        let near = |wanted: &str| nearest(&all, &wanted.parse().unwrap());
        assert_eq!(near("1.9.9"), "the nearest are 1.7.0, 1.8.5, 1.9.7, 1.9.8, 1.10.0");
        assert_eq!(near("9.0.0"), "the nearest are 1.7.0, 1.8.5, 1.9.7, 1.9.8, 1.10.0");
        assert_eq!(near("0.1.0"), "the nearest are 1.5.7, 1.6.0, 1.7.0, 1.8.5, 1.9.7");
        assert_eq!(nearest(&[], &"1.9.9".parse().unwrap()), "it has no version for this platform");
    }

    #[test]
    fn digests_are_compared_with_the_checksum_file() {
        let release = &releases(&["1.9.8"])[0];
        let digest = "ab".repeat(32);
        let text = format!("{}  a.zip", digest.to_uppercase());
        assert!(compare(release, &text, digest.clone()).is_ok());
        let error = compare(release, &text, "00".into()).unwrap_err().to_string();
        assert!(error.starts_with("a.zip has the SHA-256 digest 00, but sums states "), "{error}");
        let error = compare(release, "", digest).unwrap_err().to_string();
        assert_eq!(error, "sums states no digest of a.zip");
    }
}
