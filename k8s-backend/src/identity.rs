//! Who a Job is: its name and the hash that tells it from another one.
//!
//! Whether the rest of the Job makes sense is left to each backend.

use std::{fmt, fmt::Write as _};

use job_spec::labels;
use k8s_openapi::api::batch::v1::Job;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Everything that is wrong with a Job.
#[derive(Debug)]
pub(crate) struct Problems(pub(crate) Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for Problems {}

/// The name is taken by a Job with another hash.
#[derive(Debug, thiserror::Error)]
#[error("the name belongs to another Kubernetes Job: spec hash {there} is there, {asked} was submitted")]
pub(crate) struct OtherJob {
    there: String,
    asked: String,
}

impl OtherJob {
    /// Names both hashes, each by its head: enough to compare with an annotation, short enough to read.
    pub(crate) fn new(there: &str, asked: &str) -> Self {
        let head = |hash: &str| match hash.char_indices().nth(12) {
            Some((end, _)) => format!("{}…", &hash[..end]),
            None => hash.to_owned(),
        };
        Self { there: head(there), asked: head(asked) }
    }
}

/// Returns the name of a Job, or what is wrong with it.
///
/// A name is a DNS label: it becomes a label value of the pods, part of their names, and a folder of the local backend,
/// so nothing that could lead out of that folder is let through.
pub(crate) fn name_of(job: &Job) -> Result<&str, String> {
    let Some(name) = job.metadata.name.as_deref().filter(|name| !name.is_empty()) else {
        return Err("metadata.name is not set".to_owned());
    };
    if is_dns_label(name) {
        Ok(name)
    } else {
        Err(format!(
            "metadata.name {name:?} is no DNS label, expected at most 63 of a-z, 0-9 and -, starting and ending with a letter or digit"
        ))
    }
}

/// Tells whether a text is a DNS label after RFC 1123.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Returns the spec hash of a Job: the annotation if it has one, else a hash over the whole object.
pub(crate) fn spec_hash(job: &Job) -> String {
    annotated_hash(job).map_or_else(|| content_hash(job), str::to_owned)
}

/// Returns the spec hash annotation of a Job.
pub(crate) fn annotated_hash(job: &Job) -> Option<&str> {
    let hash = job.metadata.annotations.as_ref()?.get(labels::SPEC_HASH)?;
    (!hash.is_empty()).then_some(hash)
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
    fn names_that_could_leave_a_folder_are_refused() {
        for bad in ["", "..", "../up", "a/b", "A", "-a", "a-", "a.b", "job 1", &"a".repeat(64)] {
            assert!(name_of(&named(bad)).is_err(), "{bad:?}");
        }
        for good in ["a", "job-17-100-1", &"a".repeat(63)] {
            assert_eq!(name_of(&named(good)), Ok(good));
        }
        assert_eq!(name_of(&Job::default()).unwrap_err(), "metadata.name is not set");
    }

    #[test]
    fn the_annotation_decides_and_the_content_stands_in_for_it() {
        let plain = named("job-1");
        assert_eq!(spec_hash(&plain), spec_hash(&plain.clone()));
        assert_ne!(spec_hash(&plain), spec_hash(&named("job-2")));
        let mut annotated = plain;
        annotated.metadata.annotations = Some([(labels::SPEC_HASH.to_owned(), "abc".to_owned())].into());
        assert_eq!(spec_hash(&annotated), "abc");
    }

    #[test]
    fn a_conflict_shows_the_heads_of_both_hashes() {
        let text = OtherJob::new("0123456789abcdef", "short").to_string();
        assert_eq!(
            text,
            "the name belongs to another Kubernetes Job: spec hash 0123456789ab… is there, short was submitted"
        );
    }
}
