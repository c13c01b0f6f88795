//! The security settings of pod and container.
//!
//! `key=value` separated by `;`, with the keys of Kubernetes.
//! Defaults of keys are added where the pod is rendered.

use std::{fmt, str::FromStr};

use super::{EntryError, ListError, items};
use crate::unknown;

mod container;
mod seccomp;

pub use container::ContainerSecurity;
pub use seccomp::SeccompProfile;

/// The maximum user and group ID: Kubernetes keeps them as signed 32-bit numbers.
const MAX_ID: u32 = i32::MAX.unsigned_abs();

/// User and group IDs and seccomp profile of the pod: `fsGroup`, `runAsGroup`, `runAsNonRoot`, `runAsUser`,
/// `seccompProfile`, `supplementalGroups`.
///
/// IDs are numbers from 0 to 2147483647, supplemental groups such numbers separated by `,`; `runAsNonRoot` is
/// `true` or `false` in any case; a seccomp profile is `RuntimeDefault`, `Unconfined` or `Localhost/` and a
/// path. Spaces around the parts are dropped, empty items are skipped.
/// Of two items with one key the later one is used.
///
/// ```
/// use config_core::value::PodSecurity;
/// let security: PodSecurity = "runAsUser=2000; fsGroup=3000".parse()?;
/// assert_eq!(security.run_as_user(), Some(2000));
/// assert_eq!(security.to_string(), "fsGroup=3000;runAsUser=2000");
/// let error = "runAsUsr=2000".parse::<PodSecurity>().expect_err("no such key");
/// assert_eq!(
///     error.to_string(),
///     "entry \"runAsUsr=2000\": expected one of fsGroup, runAsGroup, runAsNonRoot, runAsUser, seccompProfile, \
///      supplementalGroups, not \"runAsUsr\"; did you mean \"runAsUser\"?"
/// );
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSecurity {
    fs_group: Option<u32>,
    run_as_group: Option<u32>,
    run_as_non_root: Option<bool>,
    run_as_user: Option<u32>,
    seccomp_profile: Option<SeccompProfile>,
    supplemental_groups: Option<Vec<u32>>,
}

const FS_GROUP: &str = "fsGroup";
const RUN_AS_GROUP: &str = "runAsGroup";
const RUN_AS_NON_ROOT: &str = "runAsNonRoot";
const RUN_AS_USER: &str = "runAsUser";
const SECCOMP_PROFILE: &str = "seccompProfile";
const SUPPLEMENTAL_GROUPS: &str = "supplementalGroups";

impl PodSecurity {
    const KEYS: [&str; 6] =
        [FS_GROUP, RUN_AS_GROUP, RUN_AS_NON_ROOT, RUN_AS_USER, SECCOMP_PROFILE, SUPPLEMENTAL_GROUPS];

    /// Returns the group that owns the volumes.
    #[must_use]
    pub const fn fs_group(&self) -> Option<u32> {
        self.fs_group
    }

    /// Returns the group of the processes.
    #[must_use]
    pub const fn run_as_group(&self) -> Option<u32> {
        self.run_as_group
    }

    /// Returns whether user 0 is refused; `runAsUser=0` alone implies `false`.
    #[must_use]
    pub fn run_as_non_root(&self) -> Option<bool> {
        self.run_as_non_root.or_else(|| (self.run_as_user == Some(0)).then_some(false))
    }

    /// Returns the user of the processes.
    #[must_use]
    pub const fn run_as_user(&self) -> Option<u32> {
        self.run_as_user
    }

    /// Returns which system calls the processes may make.
    #[must_use]
    pub const fn seccomp_profile(&self) -> Option<&SeccompProfile> {
        self.seccomp_profile.as_ref()
    }

    /// Returns the groups of the processes beside the one that they run as; if there are any, in the order in
    /// which they were written.
    #[must_use]
    pub fn supplemental_groups(&self) -> Option<&[u32]> {
        self.supplemental_groups.as_deref()
    }
}

impl FromStr for PodSecurity {
    type Err = ListError;

    /// # Errors
    /// Every item with an unknown key or a value of the wrong kind,
    /// and `runAsUser=0` beside `runAsNonRoot=true`.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let mut security = Self::default();
        let mut errors = read(text, &Self::KEYS, |entry, key, value| {
            match key {
                FS_GROUP => security.fs_group = Some(id(entry, value)?),
                RUN_AS_GROUP => security.run_as_group = Some(id(entry, value)?),
                RUN_AS_NON_ROOT => security.run_as_non_root = Some(boolean(entry, value)?),
                RUN_AS_USER => security.run_as_user = Some(id(entry, value)?),
                SECCOMP_PROFILE => security.seccomp_profile = Some(SeccompProfile::parse(entry, value)?),
                _ => security.supplemental_groups = Some(list(entry, value, "group", id)?),
            }
            Ok(())
        });
        if security.run_as_user == Some(0) && security.run_as_non_root == Some(true) {
            let error = EntryError::new("runAsUser=0", "another user than 0 beside runAsNonRoot=true");
            errors.push(error.with_hint("write runAsNonRoot=false to run as root"));
        }
        ListError::into_result(errors, security)
    }
}

/// Passes every item with a known key to `take`, and returns the errors of the others.
fn read(
    text: &str,
    known: &[&str],
    mut take: impl FnMut(&str, &str, &str) -> Result<(), EntryError>,
) -> Vec<EntryError> {
    items(text)
        .filter_map(|item| {
            let Some((key, value)) = item.split_once('=') else {
                return Some(EntryError::new(item, "key=value"));
            };
            let (key, value) = (key.trim(), value.trim());
            if known.contains(&key) {
                return take(item, key, value).err();
            }
            let error = EntryError::new(item, format!("one of {}, not {key:?}", known.join(", ")));
            Some(match unknown::nearest(key, known.iter().copied()) {
                Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                None => error,
            })
        })
        .collect()
}

/// Reads a list inside an item, separated by `,`; the first faulty part is the error.
fn list<T>(
    entry: &str,
    text: &str,
    what: &str,
    mut take: impl FnMut(&str, &str) -> Result<T, EntryError>,
) -> Result<Vec<T>, EntryError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let list = parts.map(|part| take(entry, part)).collect::<Result<Vec<T>, _>>()?;
    if list.is_empty() { Err(EntryError::new(entry, format!("at least one {what}"))) } else { Ok(list) }
}

fn id(entry: &str, value: &str) -> Result<u32, EntryError> {
    value
        .parse()
        .ok()
        .filter(|id| *id <= MAX_ID)
        .ok_or_else(|| EntryError::new(entry, format!("a number from 0 to {MAX_ID}, not {value:?}")))
}

fn boolean(entry: &str, value: &str) -> Result<bool, EntryError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(EntryError::new(entry, format!("true or false, not {value:?}"))),
    }
}

impl fmt::Display for PodSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fs_group,
            run_as_group,
            run_as_non_root,
            run_as_user,
            seccomp_profile,
            supplemental_groups,
        } = self;
        let groups =
            supplemental_groups.as_ref().map(|groups| groups.iter().map(u32::to_string).collect::<Vec<_>>());
        write_items(
            f,
            [
                (FS_GROUP, fs_group.map(|id| id.to_string())),
                (RUN_AS_GROUP, run_as_group.map(|id| id.to_string())),
                (RUN_AS_NON_ROOT, run_as_non_root.map(|value| value.to_string())),
                (RUN_AS_USER, run_as_user.map(|id| id.to_string())),
                (SECCOMP_PROFILE, seccomp_profile.as_ref().map(ToString::to_string)),
                (SUPPLEMENTAL_GROUPS, groups.map(|groups| groups.join(","))),
            ],
        )
    }
}

fn write_items<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    items: [(&str, Option<String>); N],
) -> fmt::Result {
    let written: Vec<String> =
        items.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?))).collect();
    f.write_str(&written.join(";"))
}

#[cfg(test)]
mod tests;
