//! The tools repository of an installation, and the shell scripts that others find on their search path.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use job_spec::EphemeralJobData;

use crate::{
    child::environment,
    error_chain::chain,
    phase::{
        context::Context,
        fetch::{
            address::{self, Source},
            git,
        },
    },
    work_paths::WorkDir,
};

/// How many files and folders are looked at.
const MAX_ENTRIES: usize = 20_000;

/// How deep folders are searched.
const MAX_DEPTH: usize = 12;

/// Where the tools are.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub(super) bin: PathBuf,
    pub(super) repository: PathBuf,
    /// Folders that are added to the search path.
    pub(super) folders: Vec<PathBuf>,
}

/// Fetches the tools repository, if the installation has one, and finds the folders with shell scripts.
pub(super) async fn prepare(context: &Context<'_>, dir: &WorkDir, folder: &Path) -> Tools {
    let root = dir.path().join("terrakube");
    let (bin, repository) = (root.join("tools"), root.join("toolsRepository"));
    // Scripts may put programs there.
    let _ = fs::create_dir_all(&bin);
    if let Some(payload) = tools_payload(context) {
        fetch(context, dir, &payload, &repository).await;
    }
    let mut folders = BTreeSet::new();
    let mut left = MAX_ENTRIES;
    for searched in [repository.as_path(), folder] {
        find_scripts(searched, MAX_DEPTH, &mut left, &mut folders);
    }
    // A variable separates folders by colons.
    let folders = folders.into_iter().filter(|folder| !folder.to_string_lossy().contains(':'));
    let folders = std::iter::once(bin.clone()).chain(folders).collect();
    Tools { bin, repository, folders }
}

/// Returns the address of the tools repository in the form of a payload. A value that was not replaced by its
/// installation counts as not set.
fn tools_payload(context: &Context<'_>) -> Option<EphemeralJobData> {
    let is_set = |value: &&str| !value.trim().is_empty() && !value.starts_with("${");
    let source = context.env.get("TerrakubeToolsRepository").filter(is_set)?;
    let mut payload = context.payload().clone();
    let credential = |name: &str| {
        let name = format!("TERRAKUBE_PRIVATE_EXTENSION_REPO_{name}");
        payload.environment_variables.get(&name).cloned()
    };
    let (vcs_type, token, token_type) = (credential("TYPE"), credential("TOKEN"), credential("TOKEN_TYPE"));
    source.clone_into(&mut payload.source);
    context
        .env
        .get("TerrakubeToolsBranch")
        .filter(is_set)
        .unwrap_or_default()
        .clone_into(&mut payload.branch);
    payload.vcs_type = vcs_type.unwrap_or_else(|| "PUBLIC".to_owned());
    payload.access_token = token;
    payload.connection_type = token_type;
    Some(payload)
}

/// Fetches the repository. As in Terrakube, scripts run without it where that fails: most need none.
async fn fetch(context: &Context<'_>, dir: &WorkDir, payload: &EphemeralJobData, target: &Path) {
    let result = match address::locate(payload, address::is_bare_repository) {
        Ok(Source::Git(repository)) => {
            let checkout = git::Checkout {
                repository: &repository,
                branch: &payload.branch,
                commit: None,
                target,
                key_file: dir.key_file("tools"),
            };
            let env = environment::inherited(context.env);
            git::checkout(&checkout, &env, context.log, context.stop).await.map(|_| ())
        }
        Ok(Source::Folder(_) | Source::ArchiveFile(_) | Source::ArchiveUrl(_)) => {
            context.log.note(
                "Warning: the tools repository is a folder or an archive, not a repository; scripts run \
                 without it",
            );
            return;
        }
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        context.log.note(&format!(
            "Warning: could not fetch the tools repository; scripts run without it: {}",
            chain(&error)
        ));
    }
}

/// Finds folders with `*.sh` files, and makes these executable. Links are not followed.
fn find_scripts(folder: &Path, depth: usize, left: &mut usize, found: &mut BTreeSet<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth > 0 && name != ".git" && name != ".terraform" {
            find_scripts(&path, depth - 1, left, found);
        } else if kind.is_file() && path.extension().is_some_and(|ending| ending == "sh") {
            if let Ok(known) = entry.metadata() {
                let mode = known.permissions().mode();
                let _ = fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o111));
            }
            found.insert(folder.to_owned());
        }
    }
}
