//! Sources that are tar.gz files, and what no kind of source may bring.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use job_spec::StepType;
use tokio::net::TcpListener;

use crate::support::{Bench, have, tool};

const TOKEN: &str = "upload-token-5d1e";

#[derive(Default)]
struct Behavior {
    archive: Vec<u8>,
    token: Option<String>,
    redirect_to: Option<String>,
    authorizations: Vec<String>,
}

type Shared = Arc<Mutex<Behavior>>;

async fn serve(behavior: Behavior) -> (String, Shared) {
    async fn answer(State(shared): State<Shared>, headers: HeaderMap, uri: Uri) -> Response {
        let mut behavior = shared.lock().unwrap();
        let authorization =
            headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        if !authorization.is_empty() {
            behavior.authorizations.push(authorization.clone());
        }
        if uri.path() == "/page.tar.gz" {
            return "<html>sign in</html>".into_response();
        }
        if uri.path() == "/nothing.tar.gz" {
            return StatusCode::NOT_FOUND.into_response();
        }
        if let Some(target) = &behavior.redirect_to {
            return (StatusCode::FOUND, [("location", format!("{target}{}", uri.path()))]).into_response();
        }
        if behavior.token.as_ref().is_some_and(|token| authorization != format!("Bearer {token}")) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        behavior.archive.clone().into_response()
    }
    let shared = Shared::new(Mutex::new(behavior));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, shared)
}

/// Packs the source of a bench with the real tar.
fn pack(bench: &Bench) -> Vec<u8> {
    let file = bench.folder("packed").join("source.tar.gz");
    let source = bench.folder("source");
    tool("tar", &["-czf", file.to_str().unwrap(), "-C", source.to_str().unwrap(), "."], &source);
    fs::read(file).unwrap()
}

async fn failure(bench: &mut Bench) -> String {
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let message = bench.server.result().message.unwrap();
    assert!(!message.contains(TOKEN) && !bench.server.log().contains(TOKEN), "{message}");
    message
}

#[tokio::test]
async fn applies_uploaded_source_and_archives_by_address() {
    if !have("terraform") || !have("tar") {
        return;
    }
    let mut bench = Bench::new("resource \"terraform_data\" \"one\" {}\n").await;
    fs::create_dir(bench.folder("source").join("live")).unwrap();
    fs::write(bench.folder("source").join("live/main.tf"), "resource \"terraform_data\" \"two\" {}\n")
        .unwrap();
    let archive = pack(&bench);
    let file = bench.folder("packed").join("source.tar.gz");
    let (server, behavior) =
        serve(Behavior { archive, token: Some(TOKEN.into()), ..Behavior::default() }).await;
    let upload = format!("{server}/remote/tfe/v2/configuration-versions/1/terraformContent.tar.gz");
    for (source, branch, token, folder, resource) in [
        (upload.as_str(), "remote-content", Some(TOKEN), "/", "one"),
        (&format!("{server}/v1/terraform-sources/7"), "remote-content", Some(TOKEN), "/live", "two"),
        (&format!("{server}/a.tgz"), "", Some(TOKEN), "live", "two"),
        (file.to_str().unwrap(), "main", None, "/", "one"),
    ] {
        bench.payload.source = source.into();
        bench.payload.branch = branch.into();
        bench.payload.access_token = token.map(str::to_owned);
        bench.payload.folder = folder.into();
        bench.server.with(|memory| memory.state = None);
        let exit = bench.run(StepType::TerraformApply).await;
        assert_eq!(exit.code, Some(0), "{source}: {exit:#?}");
        assert_eq!(bench.server.with(|memory| memory.resources()), [resource], "{source}");
        assert_eq!(bench.server.result().commit_id, None);
    }
    bench.payload.source = upload;
    bench.payload.branch = "remote-content".into();
    let message = failure(&mut bench).await;
    assert!(message.contains("the server answered 401 Unauthorized; check the credential"), "{message}");
    behavior.lock().unwrap().archive.truncate(60);
    bench.payload.access_token = Some(TOKEN.into());
    let message = failure(&mut bench).await;
    assert!(message.contains("could not unpack the archive") && message.contains("damaged or incomplete"));
}

#[tokio::test]
async fn token_of_an_upload_does_not_follow_a_redirect_to_another_server() {
    if !have("terraform") || !have("tar") {
        return;
    }
    let mut bench = Bench::new("resource \"terraform_data\" \"one\" {}\n").await;
    let (storage, seen) = serve(Behavior { archive: pack(&bench), ..Behavior::default() }).await;
    let (server, _) = serve(Behavior { redirect_to: Some(storage), ..Behavior::default() }).await;
    bench.payload.source = format!("{server}/content");
    bench.payload.branch = "remote-content".into();
    bench.payload.access_token = Some(TOKEN.into());
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    assert_eq!(seen.lock().unwrap().authorizations, [""; 0]);
}

#[tokio::test]
async fn archive_that_is_none_or_leads_out_of_its_folder_is_refused() {
    if !have("tar") {
        return;
    }
    let mut bench = Bench::new("").await;
    std::os::unix::fs::symlink("/etc", bench.folder("source").join("etc")).unwrap();
    let (server, _) = serve(Behavior { archive: pack(&bench), ..Behavior::default() }).await;
    for (path, expected) in [
        ("a.tar.gz", "link \"etc\" to \"/etc\" leads out of the archive"),
        ("page.tar.gz", "it is not a gzip file, it begins with \"<html>sign in</h\""),
        ("nothing.tar.gz", "the server answered 404 Not Found; check the address"),
    ] {
        bench.payload.source = format!("{server}/{path}");
        let message = failure(&mut bench).await;
        assert!(message.contains(expected), "{message}");
    }
    bench.payload.source = "/nowhere/a.tar.gz".into();
    let message = failure(&mut bench).await;
    assert!(message.contains("archive \"/nowhere/a.tar.gz\" does not exist on the machine"), "{message}");
    bench.payload.source = "/nowhere/folder".into();
    let message = failure(&mut bench).await;
    assert!(message.contains("correct the source of the workspace, or mount the folder"), "{message}");
}

#[tokio::test]
async fn what_belongs_to_another_run_is_left_out_of_every_kind_of_source_and_named() {
    if !have("terraform") || !have("tar") || !have("git") {
        return;
    }
    let text = "output \"files\" {\n  value = fileset(path.module, \"**\")\n}\n";
    for kind in ["folder", "archive", "git"] {
        let mut bench = Bench::new(text).await;
        let source = bench.folder("source");
        for name in [
            "terraform.tfstate",
            "errored.tfstate",
            "sub/terraform.tfstate.backup",
            "sub/.terraform/terraform.tfstate",
            "sub/network.tfstate",
        ] {
            fs::create_dir_all(source.join(name).parent().unwrap()).unwrap();
            fs::write(source.join(name), "{\"version\":4,\"serial\":99}").unwrap();
        }
        match kind {
            "archive" => {
                pack(&bench);
                bench.payload.source = bench.folder("packed").join("source.tar.gz").to_str().unwrap().into();
            }
            "git" => bench.payload.source = bench.commit_source(),
            _ => {}
        }
        let exit = bench.run(StepType::TerraformApply).await;
        assert_eq!(exit.code, Some(0), "{kind}: {exit:#?}");
        let files = bench.server.with(|memory| memory.state_json())["outputs"]["files"]["value"].take();
        let files: Vec<String> = serde_json::from_value(files).unwrap();
        // Of git, and what this run's own `init` writes.
        let own = [".git/", ".terraform/", "~~ephemeral_agents"];
        let is_own = |name: &String| own.iter().any(|start| name.starts_with(start));
        let files: Vec<_> = files.into_iter().filter(|name| !is_own(name)).collect();
        assert_eq!(files, ["main.tf", "sub/network.tfstate"], "{kind}");
        let log = bench.server.log();
        let expected = "(left out of the source, because it belongs to another run of terraform: \
                        errored.tfstate, sub/.terraform, sub/terraform.tfstate.backup, terraform.tfstate)";
        assert!(log.contains(expected), "{kind}: {log}");
    }
}
