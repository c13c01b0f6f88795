//! Reads what the rules look at from the disk. No rule lives here.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{Crate, Repository};

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &[".git", ".demo", "target"];

/// Reads the repository.
///
/// # Errors
/// A file cannot be read, or a manifest is not TOML.
pub(super) fn repository(root: &Path) -> anyhow::Result<Repository> {
    let mut repository =
        Repository { root_manifest: manifest(&root.join("Cargo.toml"))?, ..Repository::default() };
    walk(root, root, &mut repository)?;
    for member in members(&repository.root_manifest) {
        let manifest = manifest(&root.join(&member).join("Cargo.toml"))?;
        let name = manifest.get("package").and_then(|package| package.get("name")?.as_str());
        let name = name.with_context(|| format!("crate {member:?} has no name"))?.to_owned();
        let folder = format!("{member}/");
        let rust = |path: &&String| {
            path.starts_with(&folder) && Path::new(path).extension().is_some_and(|e| e == "rs")
        };
        let files =
            repository.paths.iter().filter(rust).map(|path| Ok((path.clone(), read(&root.join(path))?)));
        let files = files.collect::<anyhow::Result<_>>()?;
        repository.crates.push(Crate { name, manifest, files });
    }
    Ok(repository)
}

fn members(root_manifest: &toml::Table) -> Vec<String> {
    let members = root_manifest.get("workspace").and_then(|workspace| workspace.get("members")?.as_array());
    members.into_iter().flatten().filter_map(|member| member.as_str()).map(str::to_owned).collect()
}

fn walk(root: &Path, folder: &Path, repository: &mut Repository) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        let relative = path.strip_prefix(root).context("an entry lies below its folder")?;
        let name = relative.to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(root, &path, repository)?;
        } else if is_page(relative) {
            repository.pages.push((name.clone(), read(&path)?));
        }
        repository.paths.insert(name);
    }
    Ok(())
}

fn is_page(path: &Path) -> bool {
    let at_home = path.components().count() == 1 || path.starts_with("docs") || path.starts_with("examples");
    at_home && path.extension().is_some_and(|extension| extension == "md")
}

fn manifest(path: &Path) -> anyhow::Result<toml::Table> {
    read(path)?.parse().with_context(|| format!("{} is not TOML", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
}
