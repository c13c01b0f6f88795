//! The source before anything runs in it.

use std::{io, path::PathBuf};

use job_spec::attempt_api::{BundledSource, Part};

use super::{MAX_SOURCE_BYTES, is_skipped, mebibytes};
use crate::{
    api::retry::retry,
    archive::pack::{Packed, pack},
    error_chain::chain,
    file_tree::{Tree, digest, read_tree},
    phase::{context::Context, fetch::Configuration},
    work_paths::WorkDir,
};

/// What a plan step starts from.
#[derive(Debug)]
pub(crate) struct Baseline {
    pub(super) root: PathBuf,
    pub(super) tree: Tree,
    pub(super) source: BundledSource,
    /// The archive of the source, if the api-server does not have it yet.
    pub(super) packed: Option<Packed>,
}

impl Baseline {
    /// Looks at the source. A source that the api-server does not have is packed now: later the step has
    /// changed it.
    ///
    /// An error does not stop the plan before its end: without a baseline, nothing can be kept for an apply.
    pub(crate) async fn take(
        context: &Context<'_>,
        dir: &WorkDir,
        configuration: &Configuration,
    ) -> Result<Self, String> {
        let (root, commit) = (configuration.root.clone(), configuration.commit_id.clone());
        let read = in_background(move || {
            let tree = read_tree(&root, is_skipped)?;
            let key = match &commit {
                Some(commit) => format!("git:{commit}"),
                None => format!("tree:{}", digest(&root, &tree)?),
            };
            Ok(Self { root, tree, source: BundledSource { key, commit, part: None }, packed: None })
        });
        let mut baseline = read.await.map_err(|error| format!("could not read the source: {error}"))?;
        baseline.find_or_pack(context, dir).await?;
        Ok(baseline)
    }

    async fn find_or_pack(&mut self, context: &Context<'_>, dir: &WorkDir) -> Result<(), String> {
        let Context { api, stop, timeouts, .. } = *context;
        let key = self.source.key.clone();
        match retry(timeouts.transfer, stop.requested(), || api.find_source(&key)).await {
            Ok(Some(part)) => {
                self.source.part = Some(part);
                return Ok(());
            }
            Ok(None) => {}
            Err(error) => {
                context.fence_if_closed(&error);
                return Err(chain(&error));
            }
        }
        let (root, file) = (self.root.clone(), dir.archive_file("source"));
        let paths: Vec<PathBuf> = self.tree.keys().cloned().collect();
        let packed = in_background(move || pack(&root, paths.iter().map(PathBuf::as_path), &file)).await;
        let packed = packed.map_err(|error| format!("could not pack the source: {error}"))?;
        if packed.size > MAX_SOURCE_BYTES {
            context.log.note(&self.too_large(packed.size));
            let removed = std::fs::remove_file(&packed.file);
            return removed.map_err(|error| format!("could not remove {:?}: {error}", packed.file));
        }
        self.source.part = Some(Part { digest: packed.digest.clone(), size: packed.size });
        self.packed = Some(packed);
        Ok(())
    }

    fn too_large(&self, bytes: u64) -> String {
        let then = match &self.source.commit {
            Some(commit) => format!("the apply fetches commit {commit} again"),
            None => "the apply reads it again, and stops if it has changed".to_owned(),
        };
        format!(
            "(the source is not kept for the apply: packed it has {}, the limit is {}; {then})",
            mebibytes(bytes),
            mebibytes(MAX_SOURCE_BYTES)
        )
    }
}

/// Runs code that blocks.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other).flatten()
}
