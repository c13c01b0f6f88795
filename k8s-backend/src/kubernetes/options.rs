//! Options of the Kubernetes backend.

use std::time::Duration;

use crate::rules::JobRules;

/// Label by which Jobs are watched, unless [`KubeOptions::watch_label`] or [`KubeOptions::managed_by`] names
/// another one.
const DEFAULT_LABEL: (&str, &str) = ("k8s-backend/managed", "true");

/// The recommended label of Kubernetes for the program that manages an object.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Options of a [`KubeBackend`](crate::KubeBackend). None is required.
///
/// # Examples
/// ```
/// use k8s_backend::KubeOptions;
///
/// let options = KubeOptions::new().namespace("reports").managed_by("report-server");
/// assert_eq!(options.label_selector(), "app.kubernetes.io/managed-by=report-server");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KubeOptions {
    /// Namespace of the Jobs; `None` for the default namespace of the client (that of the kubeconfig or of
    /// the pod).
    pub namespace: Option<String>,
    /// Label that submitted Jobs and their pods get, and by which they are watched: key and value. A Job that
    /// has another value for this key is refused.
    pub watch_label: (String, String),
    /// Name under which the API server records changes (`metadata.managedFields`).
    pub field_manager: String,
    /// `User-Agent` of requests. Used only by [`KubeBackend::connect`](crate::KubeBackend::connect).
    pub user_agent: String,
    /// Rules for submitted Jobs.
    pub rules: JobRules,
    /// Timeouts of requests.
    pub timeouts: Timeouts,
}

/// Timeouts of requests to the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// To connect. Used only by [`KubeBackend::connect`](crate::KubeBackend::connect).
    pub connect: Duration,
    /// From a request to the head of its response. Used only by
    /// [`KubeBackend::connect`](crate::KubeBackend::connect).
    pub response: Duration,
    /// For a whole request with its retries; watches are not limited.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            response: Duration::from_secs(30),
            request: Duration::from_mins(1),
        }
    }
}

impl Timeouts {
    /// Sets the timeout to connect.
    #[must_use]
    pub const fn connect(mut self, timeout: Duration) -> Self {
        self.connect = timeout;
        self
    }

    /// Sets the timeout from a request to the head of its response.
    #[must_use]
    pub const fn response(mut self, timeout: Duration) -> Self {
        self.response = timeout;
        self
    }

    /// Sets the timeout of a whole request with its retries.
    #[must_use]
    pub const fn request(mut self, timeout: Duration) -> Self {
        self.request = timeout;
        self
    }
}

impl Default for KubeOptions {
    fn default() -> Self {
        let (key, value) = DEFAULT_LABEL;
        Self {
            namespace: None,
            watch_label: (key.to_owned(), value.to_owned()),
            field_manager: env!("CARGO_PKG_NAME").to_owned(),
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            rules: JobRules::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl KubeOptions {
    /// Returns the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the namespace of the Jobs.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets the label that submitted Jobs get and by which they are watched.
    #[must_use]
    pub fn watch_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.watch_label = (key.into(), value.into());
        self
    }

    /// Watches Jobs by the label `app.kubernetes.io/managed-by` with this value.
    #[must_use]
    pub fn managed_by(self, program: impl Into<String>) -> Self {
        self.watch_label(MANAGED_BY, program)
    }

    /// Sets the name under which the API server records changes.
    #[must_use]
    pub fn field_manager(mut self, name: impl Into<String>) -> Self {
        self.field_manager = name.into();
        self
    }

    /// Sets the `User-Agent` of requests.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Sets the rules for submitted Jobs.
    #[must_use]
    pub fn rules(mut self, rules: JobRules) -> Self {
        self.rules = rules;
        self
    }

    /// Sets the timeouts of requests.
    #[must_use]
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Returns the label selector of the watches.
    #[must_use]
    pub fn label_selector(&self) -> String {
        let (key, value) = &self.watch_label;
        format!("{key}={value}")
    }
}
