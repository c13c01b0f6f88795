//! The security settings of the container.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::{EntryError, ListError, boolean, list, read, write_items};
use crate::unknown;

/// What the container may do: `addCapabilities`, `allowPrivilegeEscalation`, `readOnlyRootFilesystem`.
///
/// The form is that of [`PodSecurity`](super::PodSecurity). Capabilities are separated by `,` and have the
/// names of <https://man7.org/linux/man-pages/man7/capabilities.7.html> without `CAP_`;
/// the other values are `true` or `false`.
///
/// ```
/// use config_core::value::ContainerSecurity;
/// let security: ContainerSecurity = "readOnlyRootFilesystem=true;addCapabilities=NET_BIND_SERVICE".parse()?;
/// assert_eq!(security.read_only_root_filesystem(), Some(true));
/// assert_eq!(security.allow_privilege_escalation(), None);
/// assert_eq!(security.add_capabilities().collect::<Vec<_>>(), ["NET_BIND_SERVICE"]);
/// # Ok::<(), config_core::value::ListError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerSecurity {
    add_capabilities: Option<BTreeSet<&'static str>>,
    allow_privilege_escalation: Option<bool>,
    read_only_root_filesystem: Option<bool>,
}

const ADD_CAPABILITIES: &str = "addCapabilities";
const ALLOW_PRIVILEGE_ESCALATION: &str = "allowPrivilegeEscalation";
const READ_ONLY_ROOT_FILESYSTEM: &str = "readOnlyRootFilesystem";

/// The capabilities of Linux, in the order of its header `linux/capability.h`.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl ContainerSecurity {
    const KEYS: [&str; 3] = [ADD_CAPABILITIES, ALLOW_PRIVILEGE_ESCALATION, READ_ONLY_ROOT_FILESYSTEM];

    /// Iterates over the capabilities that the container keeps, sorted by name; it drops all others.
    pub fn add_capabilities(&self) -> impl Iterator<Item = &'static str> {
        self.add_capabilities.iter().flatten().copied()
    }

    /// Returns whether a process may gain more rights than its parent.
    #[must_use]
    pub const fn allow_privilege_escalation(&self) -> Option<bool> {
        self.allow_privilege_escalation
    }

    /// Returns whether the file system of the image is read-only.
    #[must_use]
    pub const fn read_only_root_filesystem(&self) -> Option<bool> {
        self.read_only_root_filesystem
    }
}

impl FromStr for ContainerSecurity {
    type Err = ListError;

    /// # Errors
    /// Every item with an unknown key, with a value that is neither `true` nor `false`, or with a capability
    /// that Linux does not have.
    fn from_str(text: &str) -> Result<Self, ListError> {
        let mut security = Self::default();
        let errors = read(text, &Self::KEYS, |entry, key, value| {
            match key {
                ADD_CAPABILITIES => {
                    security.add_capabilities =
                        Some(list(entry, value, "capability", capability)?.into_iter().collect());
                }
                ALLOW_PRIVILEGE_ESCALATION => {
                    security.allow_privilege_escalation = Some(boolean(entry, value)?);
                }
                _ => security.read_only_root_filesystem = Some(boolean(entry, value)?),
            }
            Ok(())
        });
        ListError::into_result(errors, security)
    }
}

/// `ALL` is not accepted: every container drops all capabilities, and those to keep are listed by name.
fn capability(entry: &str, name: &str) -> Result<&'static str, EntryError> {
    let find = |name: &str| CAPABILITIES.into_iter().find(|known| *known == name);
    if let Some(found) = find(name) {
        return Ok(found);
    }
    let expected = format!("capabilities of Linux without CAP_, such as NET_BIND_SERVICE, not {name:?}");
    let error = EntryError::new(entry, expected);
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if bare == "ALL" {
        return Err(error.with_hint("name each one that is needed"));
    }
    Err(match find(bare).or_else(|| unknown::nearest(bare, CAPABILITIES)) {
        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
        None => error,
    })
}

impl fmt::Display for ContainerSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { add_capabilities, allow_privilege_escalation, read_only_root_filesystem } = self;
        let capabilities = add_capabilities.as_ref().map(|names| names.iter().copied().collect::<Vec<_>>());
        write_items(
            f,
            [
                (ADD_CAPABILITIES, capabilities.map(|names| names.join(","))),
                (ALLOW_PRIVILEGE_ESCALATION, allow_privilege_escalation.map(|value| value.to_string())),
                (READ_ONLY_ROOT_FILESYSTEM, read_only_root_filesystem.map(|value| value.to_string())),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_and_prints_accepted_forms() {
        let cases = [
            ("", ""),
            ("allowPrivilegeEscalation=True", "allowPrivilegeEscalation=true"),
            (
                "readOnlyRootFilesystem=true; allowPrivilegeEscalation=false",
                "allowPrivilegeEscalation=false;readOnlyRootFilesystem=true",
            ),
            ("addCapabilities=NET_BIND_SERVICE", "addCapabilities=NET_BIND_SERVICE"),
            (" addCapabilities = SETUID ,, CHOWN , SETUID, ", "addCapabilities=CHOWN,SETUID"),
            ("addCapabilities=CHOWN;addCapabilities=BPF", "addCapabilities=BPF"),
        ];
        for (text, printed) in cases {
            assert_eq!(
                text.parse::<ContainerSecurity>().map(|security| security.to_string()).as_deref(),
                Ok(printed),
                "{text:?}"
            );
        }
    }

    #[test]
    fn accepts_every_capability() {
        let all = format!("addCapabilities={}", CAPABILITIES.join(","));
        let security: ContainerSecurity = all.parse().unwrap();
        assert_eq!(security.add_capabilities().count(), CAPABILITIES.len());
        assert!(security.add_capabilities().is_sorted());
    }

    #[test]
    fn rejects_malformed_entries() {
        let keys = "one of addCapabilities, allowPrivilegeEscalation, readOnlyRootFilesystem";
        let names = "capabilities of Linux without CAP_, such as NET_BIND_SERVICE";
        let cases = [
            ("readOnlyRootFilesystem=1", "true or false, not \"1\"".to_owned()),
            (
                "readOnlyRootFileSystem=true",
                format!("{keys}, not \"readOnlyRootFileSystem\"; did you mean \"readOnlyRootFilesystem\"?"),
            ),
            ("privileged=true", format!("{keys}, not \"privileged\"")),
            ("addCapabilities=", "at least one capability".to_owned()),
            ("addCapabilities= , ", "at least one capability".to_owned()),
            (
                "addCapabilities=CHOWN,CAP_NET_ADMIN",
                format!("{names}, not \"CAP_NET_ADMIN\"; did you mean \"NET_ADMIN\"?"),
            ),
            ("addCapabilities=setuid", format!("{names}, not \"setuid\"; did you mean \"SETUID\"?")),
            ("addCapabilities=cap_bpf", format!("{names}, not \"cap_bpf\"; did you mean \"BPF\"?")),
            (
                "addCapabilities=NET_BIND_SERVISE",
                format!("{names}, not \"NET_BIND_SERVISE\"; did you mean \"NET_BIND_SERVICE\"?"),
            ),
            ("addCapabilities=ALL", format!("{names}, not \"ALL\"; name each one that is needed")),
            ("addCapabilities=XYZ", format!("{names}, not \"XYZ\"")),
        ];
        for (text, expected) in cases {
            let shown = text.trim();
            assert_eq!(
                text.parse::<ContainerSecurity>().unwrap_err().to_string(),
                format!("entry {shown:?}: expected {expected}")
            );
        }
    }

    proptest! {
        #[test]
        fn parses_any_text_without_panic(text in ".*|((addCapabilities|readOnlyRootFilesystem)=[A-Z_,]{0,9};?){0,4}") {
            let _ = text.parse::<ContainerSecurity>();
        }

        #[test]
        fn prints_what_it_parses(
            capabilities in prop::option::of(
                prop::collection::btree_set(prop::sample::select(&CAPABILITIES), 1..4)
            ),
            flags in any::<[Option<bool>; 2]>(),
        ) {
            let [allow_privilege_escalation, read_only_root_filesystem] = flags;
            let security =
                ContainerSecurity {
                    add_capabilities: capabilities,
                    allow_privilege_escalation,
                    read_only_root_filesystem,
                };
            prop_assert_eq!(security.to_string().parse::<ContainerSecurity>(), Ok(security));
        }
    }
}
