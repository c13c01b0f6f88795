//! Shows where a demo left its traces, and looks there for what must not be in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::{
    environment::Environment,
    product::{api::Api, model::Job, server, state},
};

use super::folder::DataFolder;

/// Writes the Kubernetes Job of every attempt as YAML, and returns the folder.
pub(super) fn save_kubernetes_jobs(api: &Api, folder: &Path, jobs: &[Job]) -> anyhow::Result<PathBuf> {
    let target = folder.join("kubernetes-jobs");
    fs::create_dir_all(&target).with_context(|| format!("could not make {}", target.display()))?;
    for (_, attempt) in jobs.iter().flat_map(Job::attempts) {
        let yaml = api.text(&format!("/v1/attempts/{}/kubernetes-job", attempt.id))?;
        let path = target.join(format!("{}.yaml", attempt.kubernetes_job));
        fs::write(&path, yaml).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(target)
}

/// Fails if the secret stands in clear text in the log or in any file of the folder.
pub(super) fn find_no_secret(folder: &Path, log: &str, secret: &str) -> anyhow::Result<()> {
    if log.contains(secret) {
        bail!("the value of the sensitive variable stands in the log");
    }
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if fs::read(&path).is_ok_and(|bytes| contains(&bytes, secret.as_bytes())) {
                bail!("the value of the sensitive variable stands in {}", path.display());
            }
        }
    }
    Ok(())
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Says where everything lies.
pub(super) fn show_places(
    environment: &Environment,
    api: &Api,
    folder: &DataFolder,
    workspace: &str,
    jobs: &[Job],
) {
    let ui = &environment.ui;
    let root = folder.path();
    let token = root.join("admin-token");
    ui.title("Where things are");
    if folder.is_temporary() {
        ui.note("the data folder is removed at the end; `--keep` or `--data-dir DIR` keeps it");
    }
    ui.line(&format!("  data folder      {}", root.display()));
    for (step, attempt) in jobs.iter().flat_map(Job::attempts) {
        let name = &attempt.kubernetes_job;
        ui.line(&format!("  {name:<16} {}: kubernetes-jobs/{name}.yaml, logs/{name}.log", step.name));
    }
    ui.line(&format!("  server's log     {}", server::log_file(root).display()));
    ui.line(&format!("  state            {}", api.url(&state::path(workspace))));
    ui.line(&format!("  API              {}", api.url("/v1/organizations")));
    ui.line(&format!("  token            {}", token.display()));
    ui.line(&format!(
        "  try              curl -H \"Authorization: Bearer $(cat '{}')\" {}",
        token.display(),
        api.url(&format!("/v1/workspaces/{workspace}/jobs"))
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "not-for-anybody-17";

    #[test]
    fn a_secret_is_found_in_the_log_and_deep_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("blobs/1")).unwrap();
        fs::write(folder.path().join("blobs/1/state"), "nothing here").unwrap();
        find_no_secret(folder.path(), "a log", SECRET).unwrap();

        let in_log = find_no_secret(folder.path(), &format!("password = {SECRET}"), SECRET);
        assert!(in_log.unwrap_err().to_string().ends_with("stands in the log"));

        fs::write(folder.path().join("blobs/1/state"), format!("\0\u{1}{SECRET}\0")).unwrap();
        let in_file = find_no_secret(folder.path(), "a log", SECRET);
        assert!(in_file.unwrap_err().to_string().ends_with("blobs/1/state"));
    }
}
