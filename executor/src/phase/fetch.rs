//! Phase 3: fetches the configuration of the workspace into the work directory, and the reviewed plan of an
//! apply.
//!
//! A folder of this machine is copied ([`folder`]), a commit of a repository is fetched ([`git`]), a tar.gz
//! file is unpacked ([`archive`]). Then what belongs to a run of terraform is left out ([`clean`]), whatever
//! the kind of source. Every failure ends the step: terraform in an empty folder would plan to destroy
//! everything.

pub(crate) mod address;
mod archive;
pub(crate) mod clean;
mod error;
mod folder;
pub(crate) mod git;
pub(crate) mod plan;
pub(crate) mod working_directory;

use std::path::PathBuf;

use self::address::Source;
pub(crate) use self::error::FetchError;
use super::context::Context;
use crate::{child::environment, work_paths::WorkDir};

/// The fetched configuration.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The root of the source.
    pub(crate) root: PathBuf,
    /// The commit that is checked out.
    pub(crate) commit_id: Option<String>,
}

/// Fetches the configuration. After a stop request the result may be incomplete.
pub(crate) async fn configuration(context: &Context<'_>, dir: &WorkDir) -> Result<Configuration, FetchError> {
    let commit = context.payload().commit_id.as_deref().filter(|commit| !commit.is_empty());
    configuration_at(context, dir, commit).await
}

/// Fetches the configuration, of this commit if the source is a repository.
pub(crate) async fn configuration_at(
    context: &Context<'_>,
    dir: &WorkDir,
    commit: Option<&str>,
) -> Result<Configuration, FetchError> {
    let payload = context.payload();
    let root = dir.source();
    let mut left_out = Vec::new();
    let commit_id = match address::locate(payload, address::is_bare_repository)? {
        Source::Folder(from) => {
            context.heading(&format!("copying {}", from.display()));
            let (to, work) = (root.clone(), dir.path().to_owned());
            let copied = tokio::task::spawn_blocking(move || folder::copy(&from, &to, &work)).await;
            let copied =
                copied.map_err(|error| FetchError::Copy { path: root.clone(), source: error.into() })?;
            left_out = copied?;
            None
        }
        Source::Git(repository) => {
            context.heading(&format!("fetching {}", repository.url));
            let checkout = git::Checkout {
                repository: &repository,
                branch: &payload.branch,
                commit,
                target: &root,
                key_file: dir.key_file("source"),
            };
            let mut env = environment::inherited(context.env);
            for note in git::add_settings(&mut env, &payload.environment_variables) {
                context.log.note(&note);
            }
            context.add_network(&mut env, dir)?;
            let commit = git::checkout(&checkout, &env, context.log, context.stop).await;
            let proxy = url::Url::parse(&repository.url).ok();
            let proxy = proxy.and_then(|url| context.proxies().shown_for(&url));
            let commit = match (commit, proxy) {
                (Err(source), Some(proxy)) => {
                    return Err(FetchError::Proxy { proxy, source: source.into() });
                }
                (commit, _) => commit?,
            };
            if let Some(commit) = &commit {
                context.heading(&format!("at commit {commit}"));
            }
            commit
        }
        Source::ArchiveFile(file) => {
            context.heading(&format!("unpacking {}", file.display()));
            archive::unpack_file(&file, &file.display().to_string(), &root).await?;
            None
        }
        Source::ArchiveUrl(address) => {
            context.heading(&format!("downloading {}", address.url));
            archive::download_and_unpack(&address, dir, &root, context).await?;
            None
        }
    };
    clean::clean(context.log, &root, left_out).await?;
    Ok(Configuration { root, commit_id })
}
