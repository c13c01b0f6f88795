//! Names and content hashes of Jobs.
//!
//! Whether the rest of a Job makes sense is left to each backend.

use std::{fmt, fmt::Write as _};

use k8s_openapi::api::batch::v1::Job;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Everything that is wrong with a Job. The source of an error of kind [`Invalid`](crate::ErrorKind::Invalid)
/// that a backend found itself.
#[derive(Debug)]
pub struct InvalidJob {
    problems: Vec<String>,
}

impl InvalidJob {
    /// Creates the error.
    #[must_use]
    pub const fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    /// Returns the problems, one text each.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for InvalidJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

impl std::error::Error for InvalidJob {}

/// The name belongs to a Job with another identity. The source of an error of kind
/// [`Conflict`](crate::ErrorKind::Conflict).
#[derive(Debug, thiserror::Error)]
#[error("the name belongs to another Kubernetes Job: found identity {found}, submitted {submitted}")]
pub struct NameTaken {
    found: String,
    submitted: String,
}

impl NameTaken {
    /// Creates the error. Long identities are cut: a hash can be compared with an annotation by its first
    /// characters.
    #[must_use]
    pub fn new(found: &str, submitted: &str) -> Self {
        let shorten = |identity: &str| match identity.char_indices().nth(12) {
            Some((end, _)) => format!("{}…", &identity[..end]),
            None => identity.to_owned(),
        };
        Self { found: shorten(found), submitted: shorten(submitted) }
    }
}

/// Returns the name of a Job, or what is wrong with it.
///
/// Kubernetes accepts DNS subdomains, and no more than 63 characters because the name becomes a label value
/// of the pods. Such a name is also a safe name of a folder: it contains no slash and starts with a letter or
/// digit.
pub(crate) fn name_of(job: &Job) -> Result<&str, String> {
    let Some(name) = job.metadata.name.as_deref().filter(|name| !name.is_empty()) else {
        let generated = job.metadata.generate_name.as_ref();
        return Err(match generated {
            Some(_) => "metadata.name is not set; metadata.generateName is not supported, because a Job is \
                        identified by its name"
                .to_owned(),
            None => "metadata.name is not set".to_owned(),
        });
    };
    if is_job_name(name) {
        Ok(name)
    } else {
        Err(format!(
            "metadata.name {name:?} is not a valid Job name, expected at most 63 of a-z, 0-9, - and ., where \
             every part between dots starts and ends with a letter or digit"
        ))
    }
}

/// Returns whether a text is a valid name of a Job.
pub(crate) fn is_job_name(text: &str) -> bool {
    text.len() <= 63 && is_dns_subdomain(text)
}

/// Returns whether a text is a DNS subdomain as defined in RFC 1123.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// Returns whether a text is a DNS label as defined in RFC 1123.
fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Returns a hash over a whole object. Maps inside are ordered, so equal objects give equal bytes.
pub(crate) fn content_hash(object: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(object).expect("an object has only text keys, so it is always JSON");
    Sha256::digest(&bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Job {
        let mut job = Job::default();
        job.metadata.name = Some(name.to_owned());
        job
    }

    #[test]
    fn rejects_names_that_could_leave_a_folder() {
        for bad in ["", "..", ".", ".a", "a..b", "../up", "a/b", "A", "-a", "a-", "job 1", &"a".repeat(64)] {
            assert!(name_of(&named(bad)).is_err(), "{bad:?}");
        }
        for good in ["a", "a.b", "job-17-100-1", &"a".repeat(63)] {
            assert_eq!(name_of(&named(good)), Ok(good));
        }
        assert_eq!(name_of(&Job::default()).unwrap_err(), "metadata.name is not set");
        let mut generated = Job::default();
        generated.metadata.generate_name = Some("job-".to_owned());
        assert!(name_of(&generated).unwrap_err().contains("metadata.generateName is not supported"));
    }

    #[test]
    fn conflict_shows_the_start_of_both_identities() {
        let text = NameTaken::new("0123456789abcdef", "short").to_string();
        assert_eq!(
            text,
            "the name belongs to another Kubernetes Job: found identity 0123456789ab…, submitted short"
        );
    }
}
