//! The control groups of a process, and their files.
//!
//! A limit of a group holds for everything below it, so every group up to the root counts. In a container the
//! topmost one that is visible is usually that of the container.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A control group that accounts for memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    folder: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Where the groups are mounted.
struct Mount<'a> {
    /// The group that is at the mount point.
    root: &'a str,
    point: &'a str,
    version: Version,
}

/// Returns the groups of this process, the innermost first.
pub(super) fn own_groups() -> Vec<Group> {
    let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    groups(&read("cgroup"), &read("mountinfo"), Path::new("/"))
}

/// Returns the groups in which memory is accounted for, the innermost first. The mount points are below
/// `file_system`.
pub(super) fn groups(cgroup: &str, mountinfo: &str, file_system: &Path) -> Vec<Group> {
    for mount in mountinfo.lines().filter_map(parse_mount) {
        let Some(path) = cgroup.lines().find_map(|line| path_in(line, mount.version)) else { continue };
        let inside = path.strip_prefix(mount.root.trim_end_matches('/')).unwrap_or_default();
        let top = file_system.join(mount.point.trim_start_matches('/'));
        let mut folder = top.join(inside.trim_start_matches('/'));
        let mut found = Vec::new();
        loop {
            let group = Group { folder: folder.clone(), version: mount.version };
            // The root group of a machine accounts for nothing.
            if group.used().is_some() {
                found.push(group);
            }
            if folder == top || !folder.pop() {
                break;
            }
        }
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// Parses a line of `mountinfo`, if it is of a hierarchy that may account for memory.
fn parse_mount(line: &str) -> Option<Mount<'_>> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let version = match (kind.next()?, kind.nth(1)?) {
        ("cgroup2", _) => Version::Two,
        ("cgroup", options) if options.split(',').any(|option| option == "memory") => Version::One,
        _ => return None,
    };
    let mut place = place.split(' ').skip(3);
    Some(Mount { root: place.next()?, point: place.next()?, version })
}

/// Returns the path in a line of `cgroup`, if it is of the same hierarchy.
fn path_in(line: &str, version: Version) -> Option<&str> {
    let (number, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let matches = match version {
        Version::Two => number == "0" && controllers.is_empty(),
        Version::One => controllers.split(',').any(|controller| controller == "memory"),
    };
    matches.then_some(path)
}

impl Group {
    /// Returns the memory in use that the kernel cannot take back, in bytes.
    pub(super) fn used(&self) -> Option<u64> {
        let (usage, names) = match self.version {
            Version::One => ("memory.usage_in_bytes", ["total_inactive_file", "total_active_file"]),
            Version::Two => ("memory.current", ["inactive_file", "active_file"]),
        };
        let usage: u64 = self.read(usage)?.trim().parse().ok()?;
        let statistics = self.read("memory.stat").unwrap_or_default();
        let cache: u64 = statistics
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| names.contains(name))
            .filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok())
            .sum();
        Some(usage.saturating_sub(cache))
    }

    /// Returns the limit in bytes, if there is one.
    pub(super) fn limit(&self) -> Option<u64> {
        let text = self.read(match self.version {
            Version::One => "memory.limit_in_bytes",
            Version::Two => "memory.max",
        })?;
        // Version 1 has a very large number in place of none.
        text.trim().parse().ok().filter(|limit| *limit < 1 << 60)
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }
}
