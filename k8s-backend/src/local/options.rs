//! Options of the local backend.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use crate::rules::JobRules;

/// Options of a [`LocalBackend`](crate::LocalBackend). Only the directory is required.
///
/// # Examples
/// ```
/// use k8s_backend::LocalOptions;
///
/// let options = LocalOptions::new("data/jobs").environment([("PATH", "/usr/bin:/bin")]);
/// assert!(options.entry_point.is_none());
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct LocalOptions {
    /// Folder of the backend, created if it does not exist. One program at a time can use it.
    pub directory: PathBuf,
    /// Folder of the Secrets that are not submitted with a Job: `<secrets>/<name of the Secret>/<key>`, one
    /// file per key. It need not exist: a Job that reads a missing Secret waits for it. `None` for the folder
    /// `.secrets` in the directory.
    pub secrets: Option<PathBuf>,
    /// The program of containers without a `command`, in place of the entry point of an image. `None`: a Job
    /// with such a container is refused.
    pub entry_point: Option<PathBuf>,
    /// A snapshot of the environment. Processes get only `PATH`, `HOME`, `USER`, `TMPDIR`, `LANG`, `LC_ALL`,
    /// `TZ`, `SSH_AUTH_SOCK`, `SSL_CERT_FILE` and `SSL_CERT_DIR` of it.
    pub environment: BTreeMap<String, String>,
    /// Rules for submitted Jobs.
    pub rules: JobRules,
    /// How long the folder of an ended Job is kept; `None` for ever. From then on the Job is unknown, and its
    /// name is free.
    pub retention: Option<Duration>,
    /// Name of the variable that tells a process where to write its termination message, which in a cluster
    /// is the `terminationMessagePath` of its container; `None` for none.
    pub termination_variable: Option<String>,
}

impl LocalOptions {
    /// Returns options with this directory and no environment.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            secrets: None,
            entry_point: None,
            environment: BTreeMap::new(),
            rules: JobRules::default(),
            retention: None,
            termination_variable: None,
        }
    }

    /// Sets how long the folder of an ended Job is kept.
    #[must_use]
    pub const fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Sets the name of the variable with the path for the termination message.
    #[must_use]
    pub fn termination_variable(mut self, name: impl Into<String>) -> Self {
        self.termination_variable = Some(name.into());
        self
    }

    /// Sets the folder of Secrets.
    #[must_use]
    pub fn secrets(mut self, folder: impl Into<PathBuf>) -> Self {
        self.secrets = Some(folder.into());
        self
    }

    /// Sets the program of containers without a `command`.
    #[must_use]
    pub fn entry_point(mut self, program: impl Into<PathBuf>) -> Self {
        self.entry_point = Some(program.into());
        self
    }

    /// Adds variables to the snapshot of the environment.
    #[must_use]
    pub fn environment<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        self.environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Sets the rules for submitted Jobs.
    #[must_use]
    pub fn rules(mut self, rules: JobRules) -> Self {
        self.rules = rules;
        self
    }
}

impl fmt::Debug for LocalOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An environment contains secrets.
        f.debug_struct("LocalOptions")
            .field("directory", &self.directory)
            .field("secrets", &self.secrets)
            .field("entry_point", &self.entry_point)
            .field("rules", &self.rules)
            .field("retention", &self.retention)
            .field("termination_variable", &self.termination_variable)
            .finish_non_exhaustive()
    }
}
