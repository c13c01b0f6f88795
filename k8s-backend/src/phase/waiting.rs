//! Why a Kubernetes Job does not run yet: typed for programs, in words for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a Kubernetes Job does not run yet. Messages are the cluster's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "detail", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Waiting {
    /// It is accepted; nothing else is known yet.
    Accepted,
    /// No controller of the cluster has looked at it yet.
    NotTakenUp,
    /// Somebody has suspended it, or a queue has not let it in yet.
    Suspended,
    /// It, or its pod, is being ended.
    BeingEnded,
    /// It has no pod, and why is not visible.
    NoPod,
    /// The cluster refuses to make its pod.
    NotCreated {
        /// Who refuses.
        by: Refuser,
        /// The cluster's words.
        message: String,
    },
    /// The pod is held back on purpose: a scheduling gate.
    Gated {
        /// The cluster's words.
        message: String,
    },
    /// No node takes the pod.
    Unschedulable {
        /// The scheduler's words.
        message: String,
    },
    /// Its pod is there and not ready yet; nothing is known to be wrong.
    Starting,
    /// The node cannot make ready what the pod needs: a volume, its network.
    Setup {
        /// The node's words.
        message: String,
    },
    /// The image is not there.
    ImagePull {
        /// What is the matter, as far as the words tell.
        problem: ImageProblem,
        /// The words of the node or the registry.
        message: String,
    },
    /// Something that the container refers to is missing, or its settings contradict each other.
    ConfigError {
        /// What is the matter, as far as the words tell.
        problem: ConfigProblem,
        /// The node's words.
        message: String,
    },
    /// The container cannot be made for a reason that has no kind of its own here.
    Other {
        /// The node's name for the reason.
        reason: String,
        /// The node's words.
        message: String,
    },
}

/// Who refuses to make a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Refuser {
    /// A `ResourceQuota` is used up.
    Quota,
    /// The namespace's Pod Security level.
    PodSecurity,
    /// The service account does not exist.
    ServiceAccount,
    /// The priority class does not exist.
    PriorityClass,
    /// A webhook or policy of the cluster, or something else at admission.
    Admission,
}

/// What is the matter with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ImageProblem {
    /// The registry does not have it.
    NotFound,
    /// The registry wants another login, or does not say whether it has it.
    Unauthorized,
    /// The registry cannot be reached.
    Unreachable,
    /// It may not be pulled, and is not on the node.
    NeverPull,
    /// Its name cannot be one.
    InvalidName,
    /// The words do not tell.
    Unclear,
}

/// What is the matter with the settings of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ConfigProblem {
    /// A Secret is not there.
    MissingSecret,
    /// A config map is not there.
    MissingConfigMap,
    /// A Secret or config map is there and lacks a key.
    MissingKey,
    /// The image runs as root, and the pod forbids that.
    RunsAsRoot,
    /// The words do not tell.
    Unclear,
}

impl Waiting {
    /// Makes the waiting of an image, which the kubelet tells in two forms by turns: `ErrImagePull` with the fault, and
    /// `ImagePullBackOff` with the fault behind other words.
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

    /// Makes the waiting of a container whose settings do not work out.
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

    /// Tells whether something is known to be wrong, in contrast to something that just takes its time.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        match self {
            Self::Accepted
            | Self::NotTakenUp
            | Self::Suspended
            | Self::BeingEnded
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

    /// Tells whether two are of one kind, whatever their words: those change while the trouble stays (numbers of nodes, say).
    #[must_use]
    pub fn is_same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Says what to change, in one sentence for people; `None` where nothing is known to be wrong.
    #[must_use]
    pub const fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Accepted | Self::NotTakenUp | Self::BeingEnded | Self::Starting => return None,
            Self::Suspended => "Resume the Kubernetes Job, or wait for the queue that holds it.",
            Self::Gated { .. } => "Wait for whoever set the scheduling gate, or take it away.",
            Self::NoPod => {
                "Read the events of the Kubernetes Job (kubectl describe job), or let this program read them."
            }
            Self::NotCreated { by, .. } => by.advice(),
            Self::Unschedulable { .. } => {
                "Ask for less CPU and memory, correct node selector, tolerations or volume claim, or add nodes."
            }
            Self::Setup { .. } => {
                "Make the volume, Secret or config map that the pod mounts, or correct its name."
            }
            Self::ImagePull { problem, .. } => problem.advice(),
            Self::ConfigError { problem, .. } => problem.advice(),
            Self::Other { .. } => {
                "Read the cluster's words, and the events of the pod (kubectl describe pod)."
            }
        })
    }
}

impl Refuser {
    const fn advice(self) -> &'static str {
        match self {
            Self::Quota => {
                "Wait until other pods have ended, ask for less, or raise the ResourceQuota of the namespace."
            }
            Self::PodSecurity => {
                "Change the security settings of the pod, or the Pod Security level of the namespace."
            }
            Self::ServiceAccount => {
                "Make the service account in the namespace, or correct its name in the workspace's settings."
            }
            Self::PriorityClass => {
                "Make the priority class, or correct its name in the workspace's settings."
            }
            Self::Admission => {
                "Change what the cluster's words name, or ask whoever runs the cluster's admission rules."
            }
        }
    }
}

impl ImageProblem {
    const fn advice(self) -> &'static str {
        match self {
            Self::NotFound => "Correct the image's name or tag, or push the image.",
            Self::Unauthorized => {
                "Give the pod an image pull secret that this registry accepts, or correct the image's name."
            }
            Self::Unreachable => "See whether the node reaches the registry: address, DNS, firewall, proxy.",
            Self::NeverPull => "Load the image onto the node, or allow it to be pulled.",
            Self::InvalidName => "Correct the image's name.",
            Self::Unclear => {
                "Read the registry's words; check the image's name and the node's way to the registry."
            }
        }
    }
}

impl ConfigProblem {
    const fn advice(self) -> &'static str {
        match self {
            Self::MissingSecret => "Make the Secret in the namespace, or correct its name in the settings.",
            Self::MissingConfigMap => {
                "Make the config map in the namespace, or correct its name in the settings."
            }
            Self::MissingKey => {
                "Add the key to the Secret or config map, or correct its name in the settings."
            }
            Self::RunsAsRoot => {
                "Set runAsUser to another user than 0, or use an image that does not run as root."
            }
            Self::Unclear => "Correct what the node's words name.",
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("it is accepted"),
            Self::NotTakenUp => f.write_str("the cluster has not taken the Job up yet"),
            Self::Suspended => f.write_str("the Job is suspended"),
            Self::BeingEnded => f.write_str("the Job is being ended"),
            Self::NoPod => f.write_str("the Job has no pod"),
            Self::NotCreated { by, message } => write!(f, "{by} forbids the pod: {message}"),
            Self::Gated { message } => write!(f, "the pod is held back: {message}"),
            Self::Unschedulable { message } => write!(f, "no node takes the pod: {message}"),
            Self::Starting => f.write_str("the pod is not ready yet"),
            Self::Setup { message } => write!(f, "the node cannot set the pod up: {message}"),
            Self::ImagePull { problem, message } => write!(f, "{problem}: {message}"),
            Self::ConfigError { message, .. } => write!(f, "the container cannot be configured: {message}"),
            Self::Other { reason, message } => write!(f, "{reason}: {message}"),
        }
    }
}

impl fmt::Display for Refuser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quota => "a quota",
            Self::PodSecurity => "the namespace's Pod Security level",
            Self::ServiceAccount => "a missing service account",
            Self::PriorityClass => "a missing priority class",
            Self::Admission => "the cluster",
        })
    }
}

impl fmt::Display for ImageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "the image is not in its registry",
            Self::Unauthorized => "the registry does not give the image out",
            Self::Unreachable => "the image's registry cannot be reached",
            Self::NeverPull => "the image is not on the node and may not be pulled",
            Self::InvalidName => "the image's name is invalid",
            Self::Unclear => "the image cannot be pulled",
        })
    }
}
