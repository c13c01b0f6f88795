//! What a plan step has written, and its way to the api-server.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use job_spec::attempt_api::{Bundle, LeftOut, Part};
use serde::Deserialize;

use super::{
    MAX_FILE_BYTES, MAX_FILES, MAX_FILES_BYTES,
    baseline::{Baseline, in_background},
    is_skipped, mebibytes,
};
use crate::{
    api::{error::ApiError, retry::retry},
    archive::pack::{Packed, pack},
    error_chain::chain,
    file_tree::{Kind, Tree, read_tree},
    phase::{context::Context, fetch::plan::hex_digest},
    regular_file,
    work_paths::WorkDir,
};

/// How many files a message names.
const MAX_LISTED: usize = 10;

/// How many files that are not kept the bundle names, and how many deleted ones it can hold: it is a small
/// file.
const MAX_LEFT_OUT: usize = 100;
const MAX_DELETED: usize = 5000;

/// Stores the bundle of a successful plan. Returns a sentence about files that the apply will not have, which
/// must be known before the plan is approved.
pub(crate) async fn store(
    context: &Context<'_>,
    dir: &WorkDir,
    folder: &Path,
    baseline: Baseline,
) -> Result<Option<String>, String> {
    let (folder, file) = (folder.to_owned(), dir.archive_file("files"));
    let collected = in_background(move || {
        let changes = Changes::find(&baseline, &folder)?;
        let packed = changes.pack(&baseline.root, &file)?;
        Ok((baseline, changes, packed))
    });
    let (baseline, changes, packed) = collected
        .await
        .map_err(|error| format!("could not collect the files that planning wrote: {error}"))?;
    let sentence = changes.sentence();
    let part = packed.as_ref().map(|packed| Part { digest: packed.digest.clone(), size: packed.size });
    let Baseline { source, packed: source_file, .. } = baseline;
    let key = source.key.clone();
    let Changes { deleted, left_out, .. } = changes;
    let bundle = Bundle { version: Bundle::VERSION, source, files: part, deleted, left_out };
    let files: Vec<_> = source_file
        .iter()
        .map(|packed| (packed, Some(key.as_str())))
        .chain(packed.iter().map(|packed| (packed, None)))
        .collect();
    upload(context, &bundle, &files).await.map_err(|error| {
        context.fence_if_closed(&error);
        chain(&error)
    })?;
    if let Some(sentence) = &sentence {
        context.log.note(&format!("({sentence})"));
    }
    Ok(sentence)
}

/// Sends what the api-server does not have.
async fn upload(
    context: &Context<'_>,
    bundle: &Bundle,
    files: &[(&Packed, Option<&str>)],
) -> Result<(), ApiError> {
    let Context { api, stop, timeouts, .. } = *context;
    let text = serde_json::to_vec(bundle).unwrap_or_default();
    let offer = || retry(timeouts.transfer, stop.fenced(), || api.put_bundle(text.clone()));
    let answer = offer().await?;
    for (packed, key) in files.iter().filter(|(packed, _)| answer.missing.contains(&packed.digest)) {
        let part = Part { digest: packed.digest.clone(), size: packed.size };
        retry(timeouts.transfer, stop.fenced(), || api.put_part(&part, *key, &packed.file)).await?;
    }
    let stored = if answer.missing.is_empty() { answer } else { offer().await? };
    if stored.missing.is_empty() && stored.digest.eq_ignore_ascii_case(&hex_digest(&text)) {
        return Ok(());
    }
    Err(ApiError::not_stored("store the bundle of the plan", &stored.missing.join(", ")))
}

/// What is different from the source.
#[derive(Debug, Default)]
struct Changes {
    /// Files to keep, in order.
    paths: Vec<PathBuf>,
    deleted: Vec<String>,
    left_out: Vec<LeftOut>,
    left_out_count: usize,
    bytes: u64,
}

impl Changes {
    fn find(baseline: &Baseline, folder: &Path) -> io::Result<Self> {
        let root = &baseline.root;
        let now = read_tree(root, is_skipped)?;
        let mut changes = Self::default();
        for (path, stamp) in &now {
            let before = baseline.tree.get(path);
            let is_new_folder =
                stamp.kind == Kind::Folder && before.is_none_or(|old| old.kind != Kind::Folder);
            if is_new_folder || (stamp.kind != Kind::Folder && before != Some(stamp)) {
                changes.keep(path.clone(), stamp.kind, stamp.bytes);
            }
        }
        // A deleted folder stands for all that was in it. A file in the place of a folder replaces it.
        let is_folder = |tree: &Tree, path: &Path| tree.get(path).map(|stamp| stamp.kind == Kind::Folder);
        let is_there = |path: &Path| {
            path.as_os_str().is_empty() || is_folder(&now, path) == is_folder(&baseline.tree, path)
        };
        let gone = baseline.tree.keys().filter(|path| !is_there(path));
        let gone = gone.filter(|path| path.parent().is_none_or(is_there));
        for path in gone {
            changes.delete(path);
        }
        if changes.deleted.len() > MAX_DELETED {
            return Err(io::Error::other(format!(
                "the step has deleted more than {MAX_DELETED} files of the source"
            )));
        }
        changes.keep_modules(root, folder)?;
        changes.paths.sort();
        Ok(changes)
    }

    fn delete(&mut self, path: &Path) {
        match path.to_str() {
            Some(path) => self.deleted.push(path.to_owned()),
            None => self.leave_out(path, "it was deleted, and its name is not UTF-8: it will be there again"),
        }
    }

    fn leave_out(&mut self, path: &Path, reason: &str) {
        self.left_out_count += 1;
        if self.left_out.len() < MAX_LEFT_OUT {
            let path = path.to_string_lossy().into_owned();
            self.left_out.push(LeftOut { path, reason: reason.to_owned() });
        }
    }

    /// Keeps the modules that `init` has downloaded: what an address without a version names may be another
    /// one by the time of the apply.
    fn keep_modules(&mut self, root: &Path, folder: &Path) -> io::Result<()> {
        let root = root.canonicalize()?;
        let Ok(inside) = folder.strip_prefix(&root) else { return Ok(()) };
        let modules = inside.join(".terraform/modules");
        if !has_downloaded_modules(&root.join(&modules).join("modules.json"))? {
            return Ok(());
        }
        let tree: Tree = read_tree(&root.join(&modules), |_, name| name == ".git")?;
        for (path, stamp) in tree {
            self.keep(modules.join(path), stamp.kind, stamp.bytes);
        }
        Ok(())
    }

    fn keep(&mut self, path: PathBuf, kind: Kind, bytes: u64) {
        let reason = if kind == Kind::Other {
            "a pipe, socket or device".to_owned()
        } else if bytes > MAX_FILE_BYTES {
            format!("{}, a file may have {}", mebibytes(bytes), mebibytes(MAX_FILE_BYTES))
        } else if self.bytes.saturating_add(bytes) > MAX_FILES_BYTES {
            format!("{}, all files together may have {}", mebibytes(bytes), mebibytes(MAX_FILES_BYTES))
        } else if self.paths.len() >= MAX_FILES {
            format!("there are more than {MAX_FILES} files")
        } else {
            self.bytes += bytes;
            self.paths.push(path);
            return;
        };
        if kind != Kind::Folder {
            self.leave_out(&path, &reason);
        }
    }

    fn pack(&self, root: &Path, file: &Path) -> io::Result<Option<Packed>> {
        if self.paths.is_empty() {
            return Ok(None);
        }
        pack(root, self.paths.iter().map(PathBuf::as_path), file).map(Some)
    }

    fn sentence(&self) -> Option<String> {
        let count = self.left_out_count;
        let names: Vec<_> = self
            .left_out
            .iter()
            .take(MAX_LISTED)
            .map(|file| format!("{} ({})", file.path, file.reason))
            .collect();
        let more =
            if count > MAX_LISTED { format!(" and {} more", count - MAX_LISTED) } else { String::new() };
        let files = if count == 1 { "1 file" } else { &format!("{count} files") };
        (count > 0).then(|| {
            format!("{files} of the plan step will not be the same in the apply: {}{more}", names.join(", "))
        })
    }
}

/// Returns whether terraform has downloaded modules: those of the source itself have relative addresses.
fn has_downloaded_modules(record: &Path) -> io::Result<bool> {
    #[derive(Deserialize)]
    struct Record {
        #[serde(rename = "Modules", default)]
        modules: Vec<Module>,
    }
    #[derive(Deserialize)]
    struct Module {
        #[serde(rename = "Source", default)]
        source: String,
    }
    let text = match regular_file::read(record, regular_file::SMALL) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    // A record of an unknown form is kept.
    let Ok(record) = serde_json::from_slice::<Record>(&text) else { return Ok(true) };
    let is_local = |source: &str| source.is_empty() || source.starts_with("./") || source.starts_with("../");
    Ok(record.modules.iter().any(|module| !is_local(&module.source)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use job_spec::attempt_api::BundledSource;

    use super::*;

    fn baseline(root: &Path) -> Baseline {
        let source = BundledSource { key: "tree:x".into(), commit: None, part: None };
        Baseline { root: root.to_owned(), tree: read_tree(root, is_skipped).unwrap(), source, packed: None }
    }

    fn write(root: &Path, name: &str, text: &str) {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), text).unwrap();
    }

    #[test]
    fn finds_new_changed_and_deleted_files_and_downloaded_modules() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["live/main.tf", "live/old.txt", "live/same.txt", ".git/config"] {
            write(&root, name, "before");
        }
        let baseline = baseline(&root);
        fs::remove_file(root.join("live/old.txt")).unwrap();
        for name in [
            "live/main.tf",
            "live/.terraform.lock.hcl",
            "live/build/lambda.zip",
            "live/.terraform/providers/x",
            "live/.terraform/terraform.tfstate",
            "live/terraform.tfstate",
            "live/~~ephemeral_agents_backend_override.tf",
            "live/crash.1.log",
            "terrakube_dynamic_credentials.json",
            ".git/index",
            "live/.terraform/modules/net/main.tf",
            "live/.terraform/modules/net/.git/HEAD",
        ] {
            write(&root, name, "after");
        }
        let found = |record: &str| {
            write(&root, "live/.terraform/modules/modules.json", record);
            Changes::find(&baseline, &root.join("live")).unwrap()
        };
        let local = found(r#"{"Modules":[{"Key":"","Source":"","Dir":"."},{"Key":"a","Source":"./a"}]}"#);
        let expected = ["live/.terraform.lock.hcl", "live/build", "live/build/lambda.zip", "live/main.tf"];
        assert_eq!(local.paths, expected.map(PathBuf::from));
        assert_eq!(local.deleted, ["live/old.txt"]);
        assert_eq!(local.sentence(), None);
        let remote = found(r#"{"Modules":[{"Key":"net","Source":"git::https://host/net.git"}]}"#);
        let modules = [
            "live/.terraform/modules/modules.json",
            "live/.terraform/modules/net",
            "live/.terraform/modules/net/main.tf",
        ];
        let all: Vec<_> = [&modules[..], &expected].concat();
        assert_eq!(remote.paths, all.iter().map(PathBuf::from).collect::<Vec<_>>());
    }

    #[test]
    fn deleted_folder_stands_for_its_files_and_another_kind_replaces_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["gone/a", "gone/b/c", "was-folder/x", "was-file"] {
            write(&root, name, "before");
        }
        let baseline = baseline(&root);
        for name in ["gone", "was-folder"] {
            fs::remove_dir_all(root.join(name)).unwrap();
        }
        fs::remove_file(root.join("was-file")).unwrap();
        write(&root, "was-folder", "after");
        write(&root, "was-file/y", "after");
        let changes = Changes::find(&baseline, &root).unwrap();
        assert_eq!(changes.deleted, ["gone", "was-file", "was-folder"]);
        assert_eq!(changes.paths, ["was-file", "was-file/y", "was-folder"].map(PathBuf::from));
    }

    #[test]
    fn names_files_that_are_too_large() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let baseline = baseline(&root);
        for (name, bytes) in [
            ("a.bin", MAX_FILE_BYTES),
            ("b.bin", MAX_FILE_BYTES + 1),
            ("c.bin", 60 << 20),
            ("d.bin", 60 << 20),
            ("e.bin", 60 << 20),
            ("f.txt", 1),
        ] {
            fs::File::create(root.join(name)).unwrap().set_len(bytes).unwrap();
        }
        let changes = Changes::find(&baseline, &root).unwrap();
        assert_eq!(changes.paths, ["a.bin", "c.bin", "d.bin", "f.txt"].map(PathBuf::from));
        assert_eq!(
            changes.sentence().unwrap(),
            "2 files of the plan step will not be the same in the apply: b.bin (64.1 MiB, a file may have \
             64.0 MiB), e.bin (60.0 MiB, all files together may have 200.0 MiB)"
        );
    }
}
