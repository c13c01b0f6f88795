//! The files of one layer, before they are written: paths, modes and owners, in order.
//!
//! Pure. Every path is relative to the root of the image, without `.` and `..`, and `/bin`, `/lib` and their like are what
//! they are on every Linux of today: links into `/usr`.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// Folders at the root that are links into `/usr`.
const MERGED: &[&str] = &["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    /// A file of this machine, read when the layer is written.
    At(PathBuf),
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File(Content),
    /// A symbolic link with its target, as it is written.
    Symlink(String),
    /// Another name of the file at this path.
    SameAs(String),
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Node {
    /// An entry that belongs to root.
    pub(super) fn of_root(kind: Kind, mode: u32) -> Self {
        Self { kind, mode, user: 0, group: 0 }
    }
}

/// The files of a layer, sorted by path.
#[derive(Debug, Default)]
pub(super) struct Tree(BTreeMap<String, Node>);

impl Tree {
    /// Puts an entry at a path, in place of what was there, and makes the folders above it.
    ///
    /// # Errors
    /// The path leads out of the tree.
    pub(super) fn put(&mut self, path: impl AsRef<Path>, node: Node) -> anyhow::Result<()> {
        let path = place(path.as_ref())?;
        if path.is_empty() || MERGED.contains(&path.as_str()) {
            return Ok(());
        }
        self.folders_above(&path);
        self.0.insert(path, node);
        Ok(())
    }

    /// Puts a file of root with these bytes.
    ///
    /// # Errors
    /// The path leads out of the tree.
    pub(super) fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> anyhow::Result<()> {
        self.put(path, Node::of_root(Kind::File(Content::Bytes(bytes.into())), mode))
    }

    /// Puts a second name of a file. Of the two, the first in order becomes the file: whoever unpacks the layer must meet
    /// it before its other name.
    ///
    /// # Errors
    /// A path leads out of the tree, or there is no such file.
    pub(super) fn hard_link(&mut self, path: &Path, target: &Path) -> anyhow::Result<()> {
        let (path, mut target) = (place(path)?, place(target)?);
        if let Some(Node { kind: Kind::SameAs(first), .. }) = self.0.get(&target) {
            target.clone_from(first);
        }
        let file =
            self.0.get(&target).with_context(|| format!("{path:?} is a link to a missing {target:?}"))?;
        let node = file.clone();
        self.folders_above(&path);
        if target <= path {
            self.0.insert(path, Node { kind: Kind::SameAs(target), ..node });
            return Ok(());
        }
        for other in self.0.values_mut() {
            if other.kind == Kind::SameAs(target.clone()) {
                other.kind = Kind::SameAs(path.clone());
            }
        }
        self.0.insert(target, Node { kind: Kind::SameAs(path.clone()), ..node.clone() });
        self.0.insert(path, node);
        Ok(())
    }

    /// Links `/bin`, `/lib` and the others to where their files are.
    pub(super) fn link_merged_folders(&mut self) {
        for name in MERGED {
            let target = format!("usr/{name}");
            if self.0.contains_key(&target) {
                self.0.insert((*name).to_owned(), Node::of_root(Kind::Symlink(target), 0o777));
            }
        }
    }

    /// Takes out the files under a folder, and the folder.
    pub(super) fn take(&mut self, folder: &str) -> Vec<(String, Node)> {
        let inside = format!("{folder}/");
        self.0.extract_if(.., |path, _| path == folder || path.starts_with(&inside)).collect()
    }

    /// What lies at a path.
    #[cfg(test)]
    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(path)
    }

    /// All entries; a folder comes before what is in it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(path, node)| (path.as_str(), node))
    }

    fn folders_above(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            self.0.entry(path[..end].to_owned()).or_insert_with(|| Node::of_root(Kind::Folder, 0o755));
        }
    }
}

/// The path as it is written in a layer: `./lib/x` of an archive is `usr/lib/x`.
fn place(path: &Path) -> anyhow::Result<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir | Component::RootDir => {}
            Component::Normal(part) => {
                parts.push(part.to_str().with_context(|| format!("path {path:?} is not UTF-8"))?);
            }
            Component::ParentDir | Component::Prefix(_) => bail!("path {path:?} leads out of the image"),
        }
    }
    if parts.len() > 1 && MERGED.contains(&parts[0]) {
        parts.insert(0, "usr");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn folders_come_before_their_files_and_bin_is_a_link_into_usr() {
        let mut tree = Tree::default();
        tree.file("./bin/dash", 0o755, "x").unwrap();
        tree.file("/etc/passwd", 0o644, "x").unwrap();
        tree.put("bin", Node::of_root(Kind::Folder, 0o755)).unwrap();
        tree.link_merged_folders();
        assert_eq!(paths(&tree), ["bin", "etc", "etc/passwd", "usr", "usr/bin", "usr/bin/dash"]);
        assert_eq!(tree.get("bin").unwrap().kind, Kind::Symlink("usr/bin".to_owned()));
    }

    #[test]
    fn a_path_that_leads_out_of_the_image_is_refused() {
        for path in ["../etc/passwd", "usr/../../etc/passwd"] {
            let refused = Tree::default().file(path, 0o644, "x").unwrap_err().to_string();
            assert_eq!(refused, format!("path {path:?} leads out of the image"));
        }
    }

    #[test]
    fn of_several_names_of_a_file_the_first_in_order_holds_the_bytes() {
        let mut tree = Tree::default();
        tree.file("usr/m", 0o755, "bytes").unwrap();
        for (path, target) in [("usr/z", "usr/m"), ("usr/a", "usr/m"), ("usr/k", "usr/z")] {
            tree.hard_link(Path::new(path), Path::new(target)).unwrap();
        }
        let same = Kind::SameAs("usr/a".to_owned());
        assert_eq!(tree.get("usr/a").unwrap().kind, Kind::File(Content::Bytes(b"bytes".to_vec())));
        for other in ["usr/k", "usr/m", "usr/z"] {
            assert_eq!(tree.get(other).unwrap().kind, same, "{other}");
        }
        tree.hard_link(Path::new("usr/b"), Path::new("usr/none")).unwrap_err();
    }
}
