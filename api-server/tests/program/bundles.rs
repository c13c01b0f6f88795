//! What was planned is what is applied, with real steps: the commit, the folder, the generated files.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use super::support::{Server, attempt, has_terraform};

fn version(value: &str) -> String {
    format!("output \"version\" {{\n  value = \"{value}\"\n}}\n")
}

fn git(args: &[&str], folder: &Path) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").args(identity).args(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn branch_that_is_force_pushed_between_plan_and_approval_does_not_change_the_apply() {
    if !has_terraform() {
        return;
    }
    let server = Server::start();
    let (work, bare) = (server.folder.path().join("work"), server.folder.path().join("infra.git"));
    std::fs::create_dir(&work).unwrap();
    git(&["init", "--quiet", "--initial-branch=main"], &work);
    std::fs::write(work.join("main.tf"), version("planned")).unwrap();
    git(&["add", "."], &work);
    git(&["commit", "--quiet", "-m", "planned"], &work);
    git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()], &work);
    let planned = git(&["rev-parse", "HEAD"], &work);

    let organization = server.create("/v1/organizations", json!({ "name": "acme" })).await;
    let organization = organization["id"].as_str().unwrap();
    let path = format!("/v1/organizations/{organization}/workspaces");
    let body = json!({ "name": "net", "source": format!("file://{}", bare.display()), "branch": "main" });
    let id = server.create(&path, body).await["id"].as_str().unwrap().to_owned();
    let workspace = super::support::Workspace { server: &server, organization: organization.to_owned(), id };
    let template = workspace.template(&["terraformPlan", "approval", "terraformApply"]).await;
    let job = workspace.job(&template).await;
    let waiting = server.wait_for_status(job, "waitingApproval").await;
    assert!(waiting["steps"][1]["bundleDigest"].is_string(), "{waiting:#}");

    std::fs::write(work.join("main.tf"), version("pushed later")).unwrap();
    git(&["commit", "--quiet", "--all", "--amend", "-m", "other"], &work);
    git(&["push", "--quiet", "--force", bare.to_str().unwrap(), "main"], &work);
    git(&["gc", "--quiet", "--prune=now"], &bare);
    server.post(&format!("/v1/jobs/{job}/approve"), Value::Null).await;
    let applied = server.wait_for_status(job, "completed").await;
    assert_eq!(workspace.state().await["outputs"]["version"]["value"], "planned");
    let apply = attempt(&applied, 2)["id"].as_str().unwrap().to_owned();
    let log = server.text(&format!("/v1/attempts/{apply}/log")).await;
    assert!(log.contains(&format!("commit {planned} cannot be fetched any more")), "{log}");
}

#[tokio::test]
async fn folder_that_changes_between_plan_and_approval_does_not_change_the_apply() {
    if !has_terraform() {
        return;
    }
    let server = Server::start();
    let workspace = server.workspace(&version("planned")).await;
    let template = workspace.template(&["terraformPlan", "approval", "terraformApply"]).await;
    let job = workspace.job(&template).await;
    server.wait_for_status(job, "waitingApproval").await;
    let source = server.get(&format!("/v1/workspaces/{}", workspace.id)).await["source"].take();
    std::fs::write(Path::new(source.as_str().unwrap()).join("main.tf"), version("written later")).unwrap();
    server.post(&format!("/v1/jobs/{job}/approve"), Value::Null).await;
    server.wait_for_status(job, "completed").await;
    assert_eq!(workspace.state().await["outputs"]["version"]["value"], "planned");
}

#[tokio::test]
async fn missing_source_folder_ends_the_step_with_advice() {
    if !has_terraform() {
        return;
    }
    let server = Server::start();
    let workspace = server.workspace(&version("one")).await;
    let source = server.get(&format!("/v1/workspaces/{}", workspace.id)).await["source"].take();
    std::fs::remove_dir_all(source.as_str().unwrap()).unwrap();
    let template = workspace.template(&["terraformPlan"]).await;
    let job = workspace.job(&template).await;
    let failed = server.wait_for_status(job, "failed").await;
    let shown = attempt(&failed, 0);
    let message = shown["message"].as_str().unwrap();
    assert!(message.contains("does not exist on the machine of the executor"), "{message}");
    let advice = shown["advice"].as_str().unwrap_or_default();
    assert!(advice.starts_with("Correct the source of the workspace"), "{failed:#}");
}
