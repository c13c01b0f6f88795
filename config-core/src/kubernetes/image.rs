//! The form of a container image: `[host[:port]/]path[:tag][@algorithm:hex]`.
//!
//! The grammar of <https://github.com/distribution/reference>; nothing is normalised.

/// Maximum length of host and path together in container runtimes.
const MAX_NAME_LENGTH: usize = 255;
const MAX_TAG_LENGTH: usize = 128;
const MIN_DIGEST_LENGTH: usize = 32;

pub(super) fn is_reference(text: &str) -> bool {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash belongs to the port of the registry.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
}

fn is_name(name: &str) -> bool {
    let path = match name.split_once('/') {
        Some((host, path)) if looks_like_host(host) => {
            if !is_host(host) {
                return false;
            }
            path
        }
        _ => name,
    };
    name.len() <= MAX_NAME_LENGTH && path.split('/').all(is_component)
}

/// The first part is a host if it could not be a part of the path.
fn looks_like_host(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':']) || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host(text: &str) -> bool {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host_is_fine, port) = match bracketed {
        Some((address, rest)) => {
            let fine = !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            (fine && (rest.is_empty() || rest.starts_with(':')), rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (is_domain(host), Some(port)),
            None => (is_domain(text), None),
        },
    };
    host_is_fine && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_domain(host: &str) -> bool {
    host.split('.').all(|part| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// Lower-case letters and digits, joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_are_words =
        bytes.first().copied().is_some_and(is_word) && bytes.last().copied().is_some_and(is_word);
    ends_are_words
        && bytes
            .split(|byte| is_word(*byte))
            .all(|joint| matches!(joint, b"" | b"." | b"_" | b"__") || joint.iter().all(|byte| *byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let bytes = tag.as_bytes();
    bytes.len() <= MAX_TAG_LENGTH
        && bytes.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.split(['+', '.', '-', '_']).all(|part| {
            part.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }) && hex.len() >= MIN_DIGEST_LENGTH
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}
