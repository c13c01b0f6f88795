//! Saves and prints what a demo leaves, and searches it for the sensitive variable.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use api_server::client::{Client, Job};

use super::data_folder::DataFolder;
use crate::{server, state, ui::Ui};

/// Writes the Kubernetes Job of every attempt as YAML, and returns the folder.
pub(super) async fn save_kubernetes_jobs(
    client: &Client,
    folder: &Path,
    jobs: &[Job],
) -> anyhow::Result<PathBuf> {
    let target = folder.join("kubernetes-jobs");
    fs::create_dir_all(&target).with_context(|| format!("cannot create {}", target.display()))?;
    for (_, attempt) in jobs.iter().flat_map(Job::attempts) {
        let yaml = client.text(&format!("/v1/attempts/{}/kubernetes-job", attempt.id)).await?;
        let path = target.join(format!("{}.yaml", attempt.kubernetes_job));
        fs::write(&path, yaml).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(target)
}

/// Fails if the log or a file of the folder holds the secret in clear text.
pub(super) fn check_for_secret(folder: &Path, log: &str, secret: &str) -> anyhow::Result<()> {
    if log.contains(secret) {
        bail!("the value of the sensitive variable is in the log");
    }
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if fs::read(&path).is_ok_and(|bytes| contains(&bytes, secret.as_bytes())) {
                bail!("the value of the sensitive variable is in {}", path.display());
            }
        }
    }
    Ok(())
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// Prints where everything is.
pub(super) fn print_paths(ui: &Ui, client: &Client, folder: &DataFolder, workspace: &str, jobs: &[Job]) {
    let root = folder.path();
    let token = root.join("admin-token");
    ui.title("Files and addresses");
    if folder.is_temporary() {
        ui.note("server and data folder are gone at the end; `--keep` keeps both");
        return;
    }
    ui.line(&format!("  data folder      {}", root.display()));
    for (step, attempt) in jobs.iter().flat_map(Job::attempts) {
        let name = &attempt.kubernetes_job;
        ui.line(&format!("  {name:<16} {}: kubernetes-jobs/{name}.yaml, logs/{name}.log", step.name));
    }
    ui.line(&format!("  server's log     {}", server::log_file(root).display()));
    if !folder.server_stays() {
        return ui.note("the server stops now; `--keep` keeps it running");
    }
    ui.line(&format!("  state            {}", client.url(&state::path(workspace))));
    ui.line(&format!("  API              {}", client.url("/v1/organizations")));
    ui.line(&format!("  token            {}", token.display()));
    ui.line(&format!(
        "  try              curl -H \"Authorization: Bearer $(cat '{}')\" {}",
        token.display(),
        client.url(&format!("/v1/workspaces/{workspace}/jobs"))
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "not-for-the-log-17";

    #[test]
    fn finds_a_secret_in_the_log_and_in_nested_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("blobs/1")).unwrap();
        fs::write(folder.path().join("blobs/1/state"), "nothing here").unwrap();
        check_for_secret(folder.path(), "a log", SECRET).unwrap();

        let in_log = check_for_secret(folder.path(), &format!("password = {SECRET}"), SECRET);
        assert!(in_log.unwrap_err().to_string().ends_with("is in the log"));

        fs::write(folder.path().join("blobs/1/state"), format!("\0\u{1}{SECRET}\0")).unwrap();
        let in_file = check_for_secret(folder.path(), "a log", SECRET);
        assert!(in_file.unwrap_err().to_string().ends_with("blobs/1/state"));
    }
}
