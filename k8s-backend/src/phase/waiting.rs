//! Why a Kubernetes Job does not run yet.

use std::fmt;

/// Why a Kubernetes Job does not run yet. Messages are those of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// It is accepted; nothing else is known yet.
    Accepted,
    /// No controller of the cluster has processed it yet.
    ControllerPending {
        /// The controller that it is left to (`spec.managedBy`); `None` for the Job controller of Kubernetes.
        controller: Option<String>,
    },
    /// It is suspended (`spec.suspend`).
    Suspended,
    /// It is suspended until a queue admits it (Kueue).
    AwaitingAdmission {
        /// Name of the queue, from the label `kueue.x-k8s.io/queue-name`.
        queue: String,
    },
    /// It, or its pod, is being terminated.
    Terminating,
    /// It has no pod, and the reason is not visible.
    NoPod,
    /// The cluster refuses to create its pod.
    NotCreated {
        /// What refuses.
        by: Refuser,
        /// The message of the cluster.
        message: String,
    },
    /// A scheduling gate holds the pod back.
    Gated {
        /// The message of the cluster.
        message: String,
    },
    /// The pod fits on no node.
    Unschedulable {
        /// The message of the scheduler.
        message: String,
    },
    /// Its pod exists and is not ready yet; no problem is known.
    Starting,
    /// The node cannot set up what the pod needs: a volume, its network.
    Setup {
        /// The message of the node.
        message: String,
    },
    /// The image cannot be pulled.
    ImagePull {
        /// The problem, as far as the message shows it.
        problem: ImageProblem,
        /// The message of the node or the registry.
        message: String,
    },
    /// Something that the container refers to is missing, or its settings contradict each other.
    ConfigError {
        /// The problem, as far as the message shows it.
        problem: ConfigProblem,
        /// The message of the node.
        message: String,
    },
    /// The container cannot be created for a reason that has no variant here.
    Other {
        /// The reason as the node names it.
        reason: String,
        /// The message of the node.
        message: String,
    },
}

/// What refuses to create a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refuser {
    /// A `ResourceQuota` is exceeded.
    Quota,
    /// The Pod Security level of the namespace.
    PodSecurity,
    /// The service account does not exist.
    ServiceAccount,
    /// The priority class does not exist.
    PriorityClass,
    /// An admission webhook or policy, or something else at admission.
    Admission,
}

/// Why an image cannot be pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageProblem {
    /// The registry does not have it.
    NotFound,
    /// The registry requires other credentials, or does not say whether it has the image.
    Unauthorized,
    /// The registry cannot be reached.
    Unreachable,
    /// It may not be pulled, and is not on the node.
    NeverPull,
    /// Its name is invalid.
    InvalidName,
    /// The message does not show it.
    Unclear,
}

/// Why a container cannot be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// A Secret does not exist.
    MissingSecret,
    /// A config map does not exist.
    MissingConfigMap,
    /// A Secret or config map lacks a key.
    MissingKey,
    /// The image runs as root, and the pod forbids that.
    RunsAsRoot,
    /// The message does not show it.
    Unclear,
}

impl Waiting {
    /// Returns the texts that come from the cluster, as [`Cause::texts_mut`](super::Cause::texts_mut) does.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::ControllerPending { controller: Some(text) }
            | Self::AwaitingAdmission { queue: text }
            | Self::NotCreated { message: text, .. }
            | Self::Gated { message: text }
            | Self::Unschedulable { message: text }
            | Self::Setup { message: text }
            | Self::ImagePull { message: text, .. }
            | Self::ConfigError { message: text, .. } => vec![text],
            Self::Other { reason, message } => vec![reason, message],
            Self::Accepted
            | Self::ControllerPending { controller: None }
            | Self::Suspended
            | Self::Terminating
            | Self::NoPod
            | Self::Starting => Vec::new(),
        }
    }

    /// Returns the wait for an image. The kubelet alternates between two messages: `ErrImagePull` with the
    /// fault, and `ImagePullBackOff` with the fault behind other text.
    pub(super) fn for_image(message: &str) -> Self {
        let fault = message.rsplit_once("ErrImagePull: ").map_or(message, |(_, fault)| fault);
        let has = |parts: &[&str]| parts.iter().any(|part| fault.contains(part));
        let problem = if has(&[
            "access denied",
            "authorization failed",
            "unauthorized",
            "Unauthorized",
            "403 Forbidden",
        ]) {
            ImageProblem::Unauthorized
        } else if has(&[
            "dial tcp",
            "connection refused",
            "no such host",
            "i/o timeout",
            "TLS handshake",
            "context deadline",
        ]) {
            ImageProblem::Unreachable
        } else if has(&["not found", "manifest unknown"]) {
            ImageProblem::NotFound
        } else {
            ImageProblem::Unclear
        };
        Self::ImagePull { problem, message: fault.to_owned() }
    }

    /// Returns the wait of a container that cannot be configured.
    pub(crate) fn for_config(message: &str) -> Self {
        let problem = if message.contains("find key") {
            ConfigProblem::MissingKey
        } else if message.contains("will run as root") || message.contains("runAsNonRoot") {
            ConfigProblem::RunsAsRoot
        } else if message.starts_with("secret ") {
            ConfigProblem::MissingSecret
        } else if message.starts_with("configmap ") {
            ConfigProblem::MissingConfigMap
        } else {
            ConfigProblem::Unclear
        };
        Self::ConfigError { problem, message: message.to_owned() }
    }

    /// Returns whether a problem is known, as opposed to a wait that is part of every start or on purpose.
    #[must_use]
    pub const fn is_problem(&self) -> bool {
        match self {
            Self::Accepted
            | Self::ControllerPending { .. }
            | Self::Suspended
            | Self::AwaitingAdmission { .. }
            | Self::Terminating
            | Self::Gated { .. }
            | Self::Starting => false,
            Self::NoPod
            | Self::NotCreated { .. }
            | Self::Unschedulable { .. }
            | Self::Setup { .. }
            | Self::ImagePull { .. }
            | Self::ConfigError { .. }
            | Self::Other { .. } => true,
        }
    }

    /// Returns whether two waits are of one kind, whatever their messages: those change while the problem
    /// stays (the number of nodes, say).
    #[must_use]
    pub fn is_same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::ControllerPending { controller: None } => {
                f.write_str("the Job controller has not processed the Job yet")
            }
            Self::ControllerPending { controller: Some(controller) } => {
                write!(f, "controller {controller:?} (spec.managedBy) has not processed the Job yet")
            }
            Self::Suspended => f.write_str("the Job is suspended"),
            Self::AwaitingAdmission { queue } => {
                write!(f, "the Job is suspended until queue {queue:?} admits it")
            }
            Self::Terminating => f.write_str("the Job is terminating"),
            Self::NoPod => f.write_str("the Job has no pod"),
            Self::NotCreated { by, message } => write!(f, "the pod was rejected by {by}: {message}"),
            Self::Gated { message } => write!(f, "the pod has a scheduling gate: {message}"),
            Self::Unschedulable { message } => write!(f, "the pod is unschedulable: {message}"),
            Self::Starting => f.write_str("the pod is not ready yet"),
            Self::Setup { message } => write!(f, "the node cannot set up the pod: {message}"),
            Self::ImagePull { problem, message } => write!(f, "{problem}: {message}"),
            Self::ConfigError { message, .. } => write!(f, "the container cannot be configured: {message}"),
            Self::Other { reason, message } => write!(f, "{reason}: {message}"),
        }
    }
}

impl fmt::Display for Refuser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quota => "a ResourceQuota",
            Self::PodSecurity => "the Pod Security level of the namespace",
            Self::ServiceAccount => "a missing service account",
            Self::PriorityClass => "a missing priority class",
            Self::Admission => "admission control",
        })
    }
}

impl fmt::Display for ImageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "image not found in its registry",
            Self::Unauthorized => "the registry denies access to the image",
            Self::Unreachable => "the registry of the image is unreachable",
            Self::NeverPull => "the image is not on the node and may not be pulled",
            Self::InvalidName => "invalid image name",
            Self::Unclear => "the image cannot be pulled",
        })
    }
}
