//! The files of an executor on its machine, and the record by which a state is found that terraform could not
//! store. The executor writes them; the server of the local backend looks for what a killed one has left.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Name of the file in which terraform leaves a state that it could not store.
pub const ERRORED_STATE: &str = "errored.tfstate";

/// Where terraform writes lineage and serial of a state.
const STATE_HEAD_BYTES: usize = 1024;

/// Returns a first state with a lineage; `None` if it has one already.
///
/// Terraform gives a first state its lineage when it stores it. Where it cannot reach the store, the file
/// that it leaves has none, and no store takes it.
///
/// ```
/// use job_spec::executor_files::with_lineage;
/// let left = br#"{"version": 4, "serial": 0, "lineage": "", "outputs": {}}"#;
/// let first = br#"{"version": 4, "serial": 1, "lineage": "l-1", "outputs": {}}"#;
/// assert_eq!(with_lineage(left, "l-1").unwrap(), first);
/// assert_eq!(with_lineage(first, "l-2"), None);
/// ```
#[must_use]
pub fn with_lineage(state: &[u8], lineage: &str) -> Option<Vec<u8>> {
    let head = &state[..state.len().min(STATE_HEAD_BYTES)];
    let head = &head[..find(head, b"\"outputs\"").unwrap_or(head.len())];
    let (serial, none) = (b"\"serial\": 0,", b"\"lineage\": \"\"");
    let (serial_at, none_at) = (find(head, serial)?, find(head, none)?);
    if serial_at > none_at {
        return None;
    }
    let between = &state[serial_at + serial.len()..none_at];
    let lineage = format!("\"lineage\": \"{lineage}\"");
    let rest = &state[none_at + none.len()..];
    Some([&state[..serial_at], b"\"serial\": 1,", between, lineage.as_bytes(), rest].concat())
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

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
