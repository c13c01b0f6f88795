//! What a plan leaves behind reaches the apply: the source, and the files that the plan step wrote.
//!
//! [`baseline`] looks at the source before anything runs in it, [`collect`] at what is different after the
//! plan, and [`restore`] puts both together again for the apply. The parts are stored by the digest of their
//! content, so that only new content is sent. The digest of the whole is part of what is approved.

pub(crate) mod baseline;
pub(crate) mod collect;
pub(crate) mod restore;

use std::{ffi::OsStr, path::Path};

use super::{fetch::clean::belongs_to_a_run, init::backend::is_ours};

/// The largest archive of a source that is stored.
const MAX_SOURCE_BYTES: u64 = 200 * 1024 * 1024;

/// The largest file that is kept for the apply.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The bytes of all these files together.
const MAX_FILES_BYTES: u64 = 200 * 1024 * 1024;

/// The number of these files.
const MAX_FILES: usize = 20_000;

/// Credentials that the executor writes beside the configuration, and takes away again.
const CREDENTIAL_FILES: &[&str] = &[
    ".ssh",
    "terrakube_dynamic_credentials.json",
    "terrakube_config_dynamic_credentials.json",
    "terrakube_config_dynamic_credentials_aws.txt",
];

/// Returns whether a file is neither of the source nor a result of planning.
fn is_skipped(_folder: &Path, name: &OsStr) -> bool {
    let text = name.to_string_lossy();
    text == ".git"
        || belongs_to_a_run(name)
        || is_ours(&text)
        || CREDENTIAL_FILES.contains(&text.as_ref())
        // A crash log of terraform shows variables.
        || (text.starts_with("crash.") && Path::new(name).extension().is_some_and(|ending| ending == "log"))
}

/// Rounded up, so that what is over a limit looks so.
fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).div_ceil(1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
