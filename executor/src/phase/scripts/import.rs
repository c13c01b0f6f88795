//! Reads the scripts of a step from the file `commands.yaml` of another repository.

use std::{fs, io};

use job_spec::{Command, ImportCommands};
use serde::Deserialize;

use crate::{
    child::environment,
    phase::{
        context::Context,
        fetch::{
            FetchError,
            address::{self, Source},
            git,
        },
    },
    work_paths::WorkDir,
};

/// Name of the file.
const FILE: &str = "commands.yaml";

/// The largest file.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The scripts could not be imported, or not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error("could not fetch {repository}")]
    Fetch { repository: String, source: FetchError },
    #[error("{repository:?} is a folder, expected the address of a repository")]
    Folder { repository: String },
    #[error("folder {folder:?} of {repository} is outside of the repository")]
    Outside { repository: String, folder: String },
    #[error("could not read {FILE} in folder {folder:?} of {repository}")]
    Read { repository: String, folder: String, source: io::Error },
    #[error("{FILE} of {repository} is not a list of scripts under the key \"commands\": {reason}")]
    Form { repository: String, reason: String },
    #[error("{0}")]
    Interpreter(String),
}

#[derive(Deserialize)]
struct Commands {
    commands: Vec<Command>,
}

/// Fetches the repository and reads its scripts.
pub(super) async fn commands(
    context: &Context<'_>,
    dir: &WorkDir,
    import: &ImportCommands,
) -> Result<Vec<Command>, ImportError> {
    let ImportCommands { repository, branch, folder } = import;
    context.heading(&format!("fetching scripts of {repository}"));
    let target = dir.path().join("imported");
    let mut payload = context.payload().clone();
    payload.source.clone_from(repository);
    // It is read without the credentials of the workspace.
    (payload.access_token, payload.vcs_type) = (None, "PUBLIC".to_owned());
    payload.branch.clone_from(branch);
    let found = match address::locate(&payload, address::is_bare_repository) {
        Ok(Source::Git(found)) => found,
        Ok(_) => return Err(ImportError::Folder { repository: repository.clone() }),
        Err(source) => return Err(ImportError::Fetch { repository: repository.clone(), source }),
    };
    let checkout = git::Checkout {
        repository: &found,
        branch,
        commit: None,
        target: &target,
        key_file: dir.key_file("imported"),
    };
    let env = environment::inherited(context.env);
    let repository = repository.clone();
    if let Err(source) = git::checkout(&checkout, &env, context.log, context.stop).await {
        return Err(ImportError::Fetch { repository, source });
    }
    let path = target.join(folder.trim_matches('/')).join(FILE);
    let folder = folder.clone();
    let read_text = |path| -> io::Result<String> {
        if fs::metadata(&path)?.len() > MAX_BYTES {
            return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
        }
        fs::read_to_string(path)
    };
    let real = path.canonicalize().and_then(|path| Ok((path, target.canonicalize()?)));
    let text = match real {
        Ok((path, root)) if path.starts_with(&root) => read_text(path),
        Ok(_) => return Err(ImportError::Outside { repository, folder }),
        Err(error) => Err(error),
    };
    let text = text.map_err(|source| ImportError::Read { repository: repository.clone(), folder, source })?;
    let file: Result<Commands, _> = serde_saphyr::from_str(&text);
    file.map(|file| file.commands).map_err(|error| {
        let reason = error.to_string().lines().next().unwrap_or_default().to_owned();
        ImportError::Form { repository, reason }
    })
}
