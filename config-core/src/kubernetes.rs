//! The rules of Kubernetes for names and labels, checked locally.
//!
//! Only the form is checked. Where Kubernetes accepts a name that can never work (an image that the container
//! runtime cannot parse), the stricter rule is used.

/// A rule that a text must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// Name of a namespace or container: RFC 1123 label.
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names>
    DnsLabel,
    /// Name of a Secret, config map or service account: RFC 1123 subdomain.
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>
    DnsSubdomain,
    /// Key of a label, or of a taint.
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
    LabelKey,
    /// Value of a label, or of a taint.
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
    LabelValue,
    /// Key of an annotation: as of a label, but its prefix may have upper case.
    /// <https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set>
    AnnotationKey,
    /// Container image, as the container runtime reads it.
    /// <https://kubernetes.io/docs/concepts/containers/images/#image-names>
    ContainerImage,
    /// Path inside a container at which something can be mounted.
    /// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#volumes-1>
    MountPath,
    /// Name of an environment variable of a container.
    /// <https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/>
    EnvName,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 8] = [
        Self::DnsLabel,
        Self::DnsSubdomain,
        Self::LabelKey,
        Self::LabelValue,
        Self::AnnotationKey,
        Self::ContainerImage,
        Self::MountPath,
        Self::EnvName,
    ];

    /// Returns whether a text satisfies the rule.
    ///
    /// ```
    /// use config_core::kubernetes::Rule;
    /// assert!(Rule::LabelKey.holds("topology.kubernetes.io/zone"));
    /// assert!(!Rule::DnsLabel.holds("Terrakube"));
    /// ```
    #[must_use]
    pub fn holds(self, text: &str) -> bool {
        match self {
            Self::DnsLabel => dns_label(text),
            Self::DnsSubdomain => dns_subdomain(text),
            Self::LabelKey => qualified_name(text),
            Self::LabelValue => text.is_empty() || name_part(text),
            Self::AnnotationKey => qualified_name(&text.to_ascii_lowercase()),
            Self::ContainerImage => image::is_reference(text),
            Self::MountPath => mount_path(text),
            Self::EnvName => env_name(text),
        }
    }

    /// Describes the texts that satisfy the rule, as the object of "expected".
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::DnsLabel => {
                "a DNS label: 1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends"
            }
            Self::DnsSubdomain => {
                "a DNS subdomain: 1 to 253 lower-case letters, digits, `-` and `.`, with a letter or digit \
                 at both ends of each part"
            }
            Self::LabelKey => {
                "a label key: 1 to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both \
                 ends, after an optional DNS subdomain and `/`"
            }
            Self::LabelValue => {
                "a label value: at most 63 letters, digits, `-`, `_` and `.`, \
                 with a letter or digit at both ends"
            }
            Self::AnnotationKey => {
                "an annotation key: 1 to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at \
                 both ends, after an optional DNS subdomain and `/`"
            }
            Self::ContainerImage => {
                "a container image: [registry/]path[:tag][@digest], the path in lower case"
            }
            Self::MountPath => "an absolute path other than `/`, without `:` and `..`",
            Self::EnvName => {
                "the name of an environment variable: letters, digits, `_`, `-` and `.`, \
                 no digit first and no `..` first"
            }
        }
    }
}

const MAX_LABEL_LENGTH: usize = 63;
const MAX_SUBDOMAIN_LENGTH: usize = 253;

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn dns_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(is_lower_alphanumeric)
        && bytes.last().copied().is_some_and(is_lower_alphanumeric)
        && bytes.iter().all(|byte| is_lower_alphanumeric(*byte) || *byte == b'-')
}

fn dns_label(text: &str) -> bool {
    text.len() <= MAX_LABEL_LENGTH && dns_part(text)
}

fn dns_subdomain(text: &str) -> bool {
    text.len() <= MAX_SUBDOMAIN_LENGTH && text.split('.').all(dns_part)
}

fn name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= MAX_LABEL_LENGTH
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => dns_subdomain(prefix) && name_part(name),
        None => name_part(text),
    }
}

/// The rule of every version of Kubernetes; newer ones accept almost any character,
/// older ones reject the Job.
fn env_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| !byte.is_ascii_digit())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && text != "."
        && !text.starts_with("..")
}

fn mount_path(text: &str) -> bool {
    text.starts_with('/')
        && text.split('/').any(|part| !part.is_empty() && part != ".")
        && !text.split('/').any(|part| part == "..")
        && !text.contains(':')
        && !text.chars().any(char::is_control)
}

mod image;

#[cfg(test)]
mod tests;
