//! Where symbolic links lead, without a file system.

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

/// As many links as Linux follows.
const MAX_FOLLOWED: usize = 40;

/// Returns whether a link leads out of the folder that holds all these links. One that leads in a circle does
/// not.
pub(super) fn leads_outside(path: &Path, links: &BTreeMap<PathBuf, PathBuf>) -> bool {
    let (mut at, mut followed) = (PathBuf::new(), 0);
    let mut rest: VecDeque<Step> = steps(path);
    while let Some(step) = rest.pop_front() {
        match step {
            Step::Root => return true,
            Step::Up => {
                if !at.pop() {
                    return true;
                }
            }
            Step::Down(name) => {
                at.push(name);
                let Some(target) = links.get(&at) else { continue };
                followed += 1;
                if followed > MAX_FOLLOWED {
                    return false;
                }
                at.pop();
                let mut next = steps(target);
                next.append(&mut rest);
                rest = next;
            }
        }
    }
    false
}

enum Step {
    Root,
    Up,
    Down(OsString),
}

fn steps(path: &Path) -> VecDeque<Step> {
    path.components()
        .filter_map(|part| match part {
            Component::RootDir | Component::Prefix(_) => Some(Step::Root),
            Component::ParentDir => Some(Step::Up),
            Component::CurDir => None,
            Component::Normal(name) => Some(Step::Down(name.to_owned())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_links_over_links() {
        let links: BTreeMap<PathBuf, PathBuf> = [
            ("a/b/root", "../.."),
            ("escape", "a/b/root/../x"),
            ("up", ".."),
            ("absolute", "/etc/passwd"),
            ("inside", "a/b/../c"),
            ("a/sibling", "../inside"),
            ("circle", "circle"),
            ("deep", "a/b/root/a/b/root"),
        ]
        .map(|(link, target)| (link.into(), target.into()))
        .into();
        for (path, expected) in [
            ("a/b/root", false),
            ("escape", true),
            ("up", true),
            ("absolute", true),
            ("inside", false),
            ("a/sibling", false),
            ("circle", false),
            ("deep", false),
        ] {
            assert_eq!(leads_outside(Path::new(path), &links), expected, "{path}");
        }
    }
}
