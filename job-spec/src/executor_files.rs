//! The files of an executor on its machine, and the record by which a state is found that terraform could not
//! store. The executor writes them; the server of the local backend looks for what a killed one has left.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Name of the file in which terraform leaves a state that it could not store.
pub const ERRORED_STATE: &str = "errored.tfstate";

/// The longest id of an attempt in a record.
const MAX_ATTEMPT_CHARS: usize = 63;

/// The paths of one attempt.
///
/// ```text
/// <TMPDIR>/ephemeral-agents/<organization>/
///     <workspace>/                    work directory, emptied at the start, removed at the end
///     <workspace>/started.json        the record of a start of terraform
///     <workspace>.lock                held while the work directory is in use
///     <workspace>.<attempt>.log       masked log, locked until it is uploaded
///     <workspace>.<attempt>.kept.log  log of an attempt whose result could not be delivered
///     <workspace>.<attempt>.tfstate   a state that could not be stored
/// ```
///
/// ```
/// use std::path::Path;
/// use job_spec::executor_files::ExecutorFiles;
/// let files = ExecutorFiles::new(Path::new("/tmp"), "acme", "net", "a1");
/// assert_eq!(files.work(), Path::new("/tmp/ephemeral-agents/acme/net"));
/// assert_eq!(files.kept_state(), Path::new("/tmp/ephemeral-agents/acme/net.a1.tfstate"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorFiles {
    organization: PathBuf,
    workspace: String,
    attempt: String,
}

impl ExecutorFiles {
    /// Returns the folder of all executors below a folder for temporary files.
    #[must_use]
    pub fn root(temp: &Path) -> PathBuf {
        temp.join("ephemeral-agents")
    }

    /// Returns the paths of an attempt. The ids must be names of files.
    #[must_use]
    pub fn new(temp: &Path, organization: &str, workspace: &str, attempt: &str) -> Self {
        let organization = Self::root(temp).join(organization);
        Self { organization, workspace: workspace.to_owned(), attempt: attempt.to_owned() }
    }

    /// Returns the id of the attempt.
    #[must_use]
    pub fn attempt(&self) -> &str {
        &self.attempt
    }

    /// Returns the folder of the organization.
    #[must_use]
    pub fn organization(&self) -> &Path {
        &self.organization
    }

    /// Returns the work directory.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.organization.join(&self.workspace)
    }

    /// Returns the lock of the work directory.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.sibling("lock")
    }

    /// Returns the masked log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.sibling(&format!("{}.log", self.attempt))
    }

    /// Returns the place of the log if the result could not be delivered.
    #[must_use]
    pub fn kept_log(&self) -> PathBuf {
        self.sibling(&format!("{}.kept.log", self.attempt))
    }

    /// Returns the file for a state that could not be stored.
    #[must_use]
    pub fn kept_state(&self) -> PathBuf {
        self.sibling(&format!("{}.tfstate", self.attempt))
    }

    fn sibling(&self, suffix: &str) -> PathBuf {
        self.organization.join(format!("{}.{suffix}", self.workspace))
    }
}

/// The record that terraform has started to change infrastructure. The folder had no [`ERRORED_STATE`] then,
/// so one that is there later is of this run, and no other one is: a repository may hold such files, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRecord {
    /// Id of the attempt.
    pub attempt: String,
    /// The folder of terraform, relative to the work directory.
    pub folder: PathBuf,
}

impl StartRecord {
    /// Name of its file in the work directory.
    pub const FILE: &str = "started.json";

    /// Returns the path of terraform's unsaved state, relative to the work directory. Code of the step can
    /// write the record, so there is none for a folder outside of that directory, or for what is no id.
    ///
    /// ```
    /// use job_spec::executor_files::StartRecord;
    /// let record = |folder: &str| StartRecord { attempt: "a1".to_owned(), folder: folder.into() };
    /// assert_eq!(record("source/live").unsaved_state().unwrap().to_str(), Some("source/live/errored.tfstate"));
    /// assert_eq!(record("../other").unsaved_state(), None);
    /// assert_eq!(record("/etc").unsaved_state(), None);
    /// ```
    #[must_use]
    pub fn unsaved_state(&self) -> Option<PathBuf> {
        let inside = self.folder.components().all(|part| matches!(part, Component::Normal(_)));
        let plain = self.attempt.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let is_id = plain && !self.attempt.is_empty() && self.attempt.len() <= MAX_ATTEMPT_CHARS;
        (inside && is_id).then(|| self.folder.join(ERRORED_STATE))
    }
}
