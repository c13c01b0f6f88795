//! Puts together what the plan step left, for the apply.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use job_spec::{
    StepType,
    attempt_api::{Bundle, Part},
};

use super::{baseline::in_background, is_skipped};
use crate::{
    api::{error::ApiError, retry::retry},
    archive::{ArchiveError, Limits, SOURCE_LIMITS, unpack::unpack},
    error_chain::chain,
    file_tree::{digest, digest_file, read_tree},
    phase::{
        context::Context,
        fetch::{self, Configuration, FetchError, plan::hex_digest},
    },
    work_paths::WorkDir,
};

/// What our own archives may hold: links of a source may lead anywhere.
const LIMITS: Limits = Limits { links_outside: true, ..SOURCE_LIMITS };

/// What the plan left cannot be restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error("could not get what the plan step left; nothing was applied")]
    Api(#[source] ApiError),
    #[error(
        "{what} has the SHA-256 digest {found}, expected {expected}, which is what was approved; nothing was \
         applied; start a new job"
    )]
    Digest { what: &'static str, found: String, expected: String },
    #[error(
        "the bundle of the plan cannot be read by this executor; use the same version for the plan and the \
         apply; nothing was applied"
    )]
    Form,
    #[error("could not unpack {what}; nothing was applied")]
    Archive { what: &'static str, source: ArchiveError },
    #[error("could not restore what the plan step left; nothing was applied")]
    Write(#[source] io::Error),
    #[error(
        "the source has changed since the plan, and it was too large to be kept; nothing was applied; start \
         a new job"
    )]
    SourceChanged,
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// Fetches the configuration of a step: for an apply of a plan, what the plan step used and left.
pub(crate) async fn configuration(
    context: &Context<'_>,
    dir: &WorkDir,
) -> Result<Configuration, RestoreError> {
    match download_bundle(context).await? {
        Some(bundle) => restore(context, dir, &bundle).await,
        None => Ok(fetch::configuration(context, dir).await?),
    }
}

/// Downloads the bundle that was approved; `None` if the step applies no plan, or one of an earlier release.
async fn download_bundle(context: &Context<'_>) -> Result<Option<Bundle>, RestoreError> {
    let Context { api, claim, stop, timeouts, .. } = *context;
    let expected = claim.plan.as_ref().and_then(|plan| plan.bundle.as_ref());
    let applies_plan = context.payload().step_type == StepType::TerraformApply && claim.plan_expected;
    let Some(expected) = expected.filter(|_| applies_plan) else { return Ok(None) };
    let bundle = retry(timeouts.transfer, stop.requested(), || api.get_bundle()).await;
    let bundle = bundle.map_err(|error| api_error(context, error))?;
    let found = hex_digest(&bundle);
    if !found.eq_ignore_ascii_case(expected) {
        let what = "the bundle of the plan";
        return Err(RestoreError::Digest { what, found, expected: expected.clone() });
    }
    let bundle: Bundle = serde_json::from_slice(&bundle).map_err(|_| RestoreError::Form)?;
    if bundle.version == Bundle::VERSION { Ok(Some(bundle)) } else { Err(RestoreError::Form) }
}

fn api_error(context: &Context<'_>, error: ApiError) -> RestoreError {
    context.fence_if_closed(&error);
    RestoreError::Api(error)
}

async fn restore(
    context: &Context<'_>,
    dir: &WorkDir,
    bundle: &Bundle,
) -> Result<Configuration, RestoreError> {
    let configuration = match (&bundle.source.commit, &bundle.source.part) {
        (Some(commit), part) => git_source(context, dir, commit, part.as_ref()).await?,
        (None, Some(part)) => stored_source(context, dir, part, None).await?,
        (None, None) => unchanged_source(context, dir, &bundle.source.key).await?,
    };
    let (root, deleted) = (configuration.root.clone(), bundle.deleted.clone());
    in_background(move || delete_all(&root, &deleted)).await.map_err(RestoreError::Write)?;
    if let Some(part) = &bundle.files {
        unpack_part(context, dir, part, "files", &configuration.root).await?;
        context.heading("restored the files of the plan step");
    }
    Ok(configuration)
}

/// Fetches the commit. If the repository does not have it any more, or cannot be reached, the stored source
/// is what was planned, too.
async fn git_source(
    context: &Context<'_>,
    dir: &WorkDir,
    commit: &str,
    part: Option<&Part>,
) -> Result<Configuration, RestoreError> {
    let fetched = fetch::configuration_at(context, dir, Some(commit)).await;
    match (fetched, part) {
        (Ok(configuration), _) if context.stop.is_requested() => Ok(configuration),
        // An address can name another kind of source by now.
        (Ok(configuration), _) if configuration.commit_id.as_deref() == Some(commit) => Ok(configuration),
        (Err(error), None) => Err(error.into()),
        (Ok(_), None) => Err(RestoreError::SourceChanged),
        (fetched, Some(part)) => {
            let reason = match fetched {
                Err(error) => chain(&error),
                Ok(_) => "the source is another one now".to_owned(),
            };
            context.log.note(&format!(
                "(commit {commit} cannot be fetched any more: {reason}; the source that the plan step stored \
                 is used, without its .git folder)"
            ));
            stored_source(context, dir, part, Some(commit)).await
        }
    }
}

async fn stored_source(
    context: &Context<'_>,
    dir: &WorkDir,
    part: &Part,
    commit: Option<&str>,
) -> Result<Configuration, RestoreError> {
    let root = dir.source();
    let empty = root.clone();
    let created = in_background(move || {
        match fs::remove_dir_all(&empty) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&empty)
    });
    created.await.map_err(RestoreError::Write)?;
    unpack_part(context, dir, part, "source", &root).await?;
    context.heading("restored the source of the plan step");
    Ok(Configuration { root, commit_id: commit.map(str::to_owned) })
}

/// Reads a source that was too large to be stored again, and compares it.
async fn unchanged_source(
    context: &Context<'_>,
    dir: &WorkDir,
    key: &str,
) -> Result<Configuration, RestoreError> {
    let configuration = fetch::configuration(context, dir).await?;
    let root = configuration.root.clone();
    let found = in_background(move || digest(&root, &read_tree(&root, is_skipped)?)).await;
    let found = found.map_err(RestoreError::Write)?;
    if format!("tree:{found}") == key { Ok(configuration) } else { Err(RestoreError::SourceChanged) }
}

/// Downloads a part, checks its digest and unpacks it.
async fn unpack_part(
    context: &Context<'_>,
    dir: &WorkDir,
    part: &Part,
    what: &'static str,
    root: &Path,
) -> Result<(), RestoreError> {
    let Context { api, stop, timeouts, .. } = *context;
    let file = dir.archive_file(what);
    let downloaded = retry(timeouts.transfer, stop.requested(), || api.get_part(part, &file)).await;
    downloaded.map_err(|error| api_error(context, error))?;
    let (root, expected) = (root.to_owned(), part.digest.clone());
    let unpacked = tokio::task::spawn_blocking(move || {
        let found = digest_file(&file).map_err(RestoreError::Write)?;
        if !found.eq_ignore_ascii_case(&expected) {
            return Err(RestoreError::Digest { what: "a part of the bundle", found, expected });
        }
        let stream = fs::File::open(&file).map_err(RestoreError::Write)?;
        unpack(stream, &root, &LIMITS).map_err(|source| RestoreError::Archive { what, source })?;
        fs::remove_file(&file).map_err(RestoreError::Write)
    });
    unpacked.await.map_err(|error| RestoreError::Write(io::Error::other(error)))?
}

/// Deletes files of the source that the plan step has deleted; what is not there is fine.
fn delete_all(root: &Path, paths: &[String]) -> io::Result<()> {
    let root = root.canonicalize()?;
    for path in paths {
        let inside = Path::new(path);
        if !inside.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(io::Error::other(format!("{path:?} is outside of the source")));
        }
        let place: PathBuf = root.join(inside);
        let Some(Ok(parent)) = place.parent().map(Path::canonicalize) else { continue };
        if !parent.starts_with(&root) {
            continue;
        }
        let removed = match fs::symlink_metadata(&place) {
            // Links in it are removed, not followed.
            Ok(found) if found.is_dir() => fs::remove_dir_all(&place),
            Ok(_) => fs::remove_file(&place),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletes_files_inside_of_the_source_only() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        for name in ["outside", "root/a/b/f", "root/a/kept"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        let delete = |paths: &[&str]| {
            delete_all(&root, &paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>())
        };
        std::os::unix::fs::symlink("../../..", root.join("a/b/up")).unwrap();
        delete(&["a/b", "a/b/f", "a/nothing", "up/outside"]).unwrap();
        assert!(!root.join("a/b").exists() && root.join("a/kept").exists());
        assert!(delete(&["../outside"]).is_err());
        assert!(folder.path().join("outside").exists());
    }
}
