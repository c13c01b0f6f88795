//! Fetches from real git servers over http, https and ssh, with credentials.

use std::fs;

use job_spec::{StepType, attempt_api::StepOutcome};

use crate::support::{
    Bench,
    git::{GitServer, SshServer, commit, git},
    have,
};

const CONFIGURATION: &str = "output \"version\" {\n  value = \"one\"\n}\n";
const TOKEN: &str = "token-3f9a77c0de55";

/// A bench whose source is a private repository on a server.
async fn private_repository(credential: Option<(&str, &str)>) -> (Bench, GitServer, String) {
    let mut bench = Bench::new("").await;
    let id = commit(&bench.folder("git").join("infra.git"), &[("main.tf", CONFIGURATION)]);
    let server = GitServer::start(&bench.folder("git")).await;
    server.with(|behavior| {
        behavior.credential = credential.map(|(user, password)| (user.to_owned(), password.to_owned()));
    });
    bench.payload.source = format!("{}/infra.git", server.url);
    bench.payload.branch = "main".into();
    (bench, server, id)
}

async fn failure(bench: &mut Bench) -> String {
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Failed);
    let message = result.message.unwrap();
    assert!(!message.contains(TOKEN) && !bench.server.log().contains(TOKEN), "{message}");
    message
}

#[tokio::test]
async fn fetches_private_repository_with_the_credential_of_each_kind_of_host() {
    if !have("terraform") || !have("git") {
        return;
    }
    for (vcs, connection, user, password) in [
        ("GITHUB", Some("OAUTH"), TOKEN, ""),
        ("GITHUB", Some("STANDALONE"), "x-access-token", TOKEN),
        ("GITHUB", None, "x-access-token", TOKEN),
        ("GITLAB", None, "oauth2", TOKEN),
        ("BITBUCKET", None, "x-token-auth", TOKEN),
        ("AZURE_DEVOPS", None, "dummy", TOKEN),
    ] {
        let (mut bench, _server, id) = private_repository(Some((user, password))).await;
        let seen = bench.folder("seen");
        // What a step could see of the source afterwards.
        bench.wrap_terraform(&format!("cat .git/config > {0}/config; env > {0}/env", seen.display()));
        bench.payload.vcs_type = vcs.into();
        bench.payload.connection_type = connection.map(str::to_owned);
        bench.payload.access_token = Some(TOKEN.into());
        let exit = bench.run(StepType::TerraformPlan).await;
        assert_eq!(exit.code, Some(0), "{vcs}: {exit:#?}");
        assert_eq!(bench.server.result().commit_id, Some(id));
        for file in ["config", "env"] {
            let text = fs::read_to_string(seen.join(file)).unwrap();
            assert!(!text.contains(TOKEN), "{vcs}: {text}");
        }
        assert!(!bench.server.log().contains(TOKEN));
    }
}

#[tokio::test]
async fn wrong_or_missing_credential_is_named_without_showing_it() {
    if !have("git") {
        return;
    }
    let (mut bench, _server, _) = private_repository(Some(("oauth2", "right"))).await;
    bench.payload.vcs_type = "GITLAB".into();
    bench.payload.access_token = Some(TOKEN.into());
    let message = failure(&mut bench).await;
    assert!(
        message.contains("the server refused access with its credential for user \"oauth2\""),
        "{message}"
    );
    bench.payload.vcs_type = "GITHUB".into();
    bench.payload.connection_type = Some("OAUTH".into());
    let message = failure(&mut bench).await;
    assert!(message.contains("the server refused access with its token"), "{message}");
    bench.payload.access_token = None;
    let message = failure(&mut bench).await;
    assert!(message.contains("asks for a credential, and the workspace has no credential"), "{message}");
    bench.payload.source = bench.payload.source.replace("infra", "nowhere");
    bench.payload.access_token = Some(TOKEN.into());
    bench.payload.vcs_type = "PUBLIC".into();
    let (public, _server, _) = private_repository(None).await;
    bench.payload.source = public.payload.source.replace("infra", "nowhere");
    let message = failure(&mut bench).await;
    assert!(message.contains("the server has no such repository"), "{message}");
}

#[tokio::test]
async fn unreachable_server_is_named() {
    if !have("git") {
        return;
    }
    let mut bench = Bench::new("").await;
    // Nothing listens on the port of a listener that is gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    bench.payload.source = format!("http://127.0.0.1:{port}/infra.git");
    let message = failure(&mut bench).await;
    assert!(message.contains("the server cannot be reached from the executor"), "{message}");
}

#[tokio::test]
async fn fetches_over_https_with_a_private_authority() {
    if !have("terraform") || !have("git") || !have("openssl") {
        return;
    }
    let (mut bench, server, id) = private_repository(Some(("oauth2", TOKEN))).await;
    let (url, authority) = server.with_tls(&bench.folder("tls")).await;
    bench.payload.source = format!("{url}/infra.git");
    bench.payload.vcs_type = "GITLAB".into();
    bench.payload.access_token = Some(TOKEN.into());
    let message = failure(&mut bench).await;
    assert!(message.contains("the certificate of the server is not trusted"), "{message}");
    bench.extra_env.insert("GIT_SSL_CAINFO".into(), authority.to_str().unwrap().into());
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    assert_eq!(bench.server.result().commit_id, Some(id));
}

#[tokio::test]
async fn fetches_over_ssh_with_its_key_and_submodules_beside_it() {
    if !have("terraform") || !have("git") {
        return;
    }
    let mut bench = Bench::new("").await;
    let Some(server) = SshServer::start(&bench.folder("ssh")).await else { return };
    let root = bench.folder("git");
    commit(&root.join("shared.git"), &[("name.txt", "from the submodule")]);
    let infra = root.join("infra.git");
    let text = "output \"name\" {\n  value = file(\"shared/name.txt\")\n}\n";
    commit(&infra, &[("main.tf", text)]);
    add_submodule(&infra, "../shared.git", "shared");
    bench.payload.source = format!("{}{}", server.url, infra.display());
    bench.payload.branch = "main".into();
    bench.payload.vcs_type = "SSH~id_ed25519".into();
    bench.payload.access_token = Some(server.key.clone());
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    let name = bench.server.with(|memory| memory.state_json())["outputs"]["name"]["value"].take();
    assert_eq!(name, "from the submodule");

    let other = bench.folder("other-key");
    crate::support::tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "key"], &other);
    bench.payload.access_token = Some(fs::read_to_string(other.join("key")).unwrap());
    let message = failure(&mut bench).await;
    assert!(message.contains("the server refused access with its ssh key"), "{message}");
}

/// Adds a submodule with this relative address to a bare repository.
fn add_submodule(bare: &std::path::Path, address: &str, folder: &str) -> String {
    let work = bare.with_extension("work");
    git(&["submodule", "--quiet", "add", "--force", address, folder], &work);
    commit(bare, &[])
}

#[tokio::test]
async fn submodule_with_relative_address_gets_the_credential_and_another_host_does_not() {
    if !have("terraform") || !have("git") {
        return;
    }
    let (mut bench, server, _) = private_repository(Some(("oauth2", TOKEN))).await;
    bench.payload.vcs_type = "GITLAB".into();
    bench.payload.access_token = Some(TOKEN.into());
    let root = bench.folder("git");
    let shared = root.join("shared.git");
    commit(&shared, &[("name.txt", "old")]);
    let text = "output \"name\" {\n  value = file(\"shared/name.txt\")\n}\n";
    commit(&root.join("infra.git"), &[("main.tf", text)]);
    add_submodule(&root.join("infra.git"), "../shared.git", "shared");
    // The source names a commit that is not the tip any more.
    commit(&shared, &[("name.txt", "new")]);
    for old_protocol in [false, true] {
        server.with(|behavior| behavior.old_protocol = old_protocol);
        let exit = bench.run(StepType::TerraformApply).await;
        assert_eq!(exit.code, Some(0), "{exit:#?}");
        let name = bench.server.with(|memory| memory.state_json())["outputs"]["name"]["value"].take();
        assert_eq!(name, "old", "old protocol: {old_protocol}");
    }

    // Another host, which asks for a credential.
    let elsewhere = GitServer::start(&root).await;
    elsewhere.with(|behavior| behavior.credential = Some(("oauth2".into(), TOKEN.into())));
    let work = root.join("infra.work");
    let file = fs::read_to_string(work.join(".gitmodules")).unwrap();
    fs::write(
        work.join(".gitmodules"),
        file.replace("../shared.git", &format!("{}/shared.git", elsewhere.url)),
    )
    .unwrap();
    commit(&root.join("infra.git"), &[]);
    let message = failure(&mut bench).await;
    assert!(message.contains("git could not fetch the submodules of"), "{message}");
    assert_eq!(elsewhere.with(|behavior| behavior.authorizations.clone()), [""; 0]);
    assert!(elsewhere.with(|behavior| !behavior.requests.is_empty()));
}

#[tokio::test]
async fn redirect_to_another_host_does_not_take_the_credential_along() {
    if !have("git") {
        return;
    }
    let (mut bench, server, _) = private_repository(Some(("oauth2", TOKEN))).await;
    let elsewhere = GitServer::start(&bench.folder("git")).await;
    elsewhere.with(|behavior| behavior.credential = Some(("oauth2".into(), TOKEN.into())));
    server.with(|behavior| behavior.redirect_to = Some(elsewhere.url.clone()));
    bench.payload.vcs_type = "GITLAB".into();
    bench.payload.access_token = Some(TOKEN.into());
    failure(&mut bench).await;
    assert_eq!(elsewhere.with(|behavior| behavior.authorizations.clone()), [""; 0]);
    assert!(elsewhere.with(|behavior| !behavior.requests.is_empty()));
    // The credential in the address is for its host, too.
    let address = bench.payload.source.replace("http://", &format!("http://oauth2:{TOKEN}@"));
    bench.payload.source = address;
    bench.payload.vcs_type = "PUBLIC".into();
    bench.payload.access_token = None;
    failure(&mut bench).await;
    assert_eq!(elsewhere.with(|behavior| behavior.authorizations.clone()), [""; 0]);
}

#[tokio::test]
async fn fetches_commit_from_a_server_that_serves_none_by_id() {
    if !have("terraform") || !have("git") {
        return;
    }
    let (mut bench, server, first) = private_repository(None).await;
    commit(&bench.folder("git").join("infra.git"), &[("main.tf", "# nothing\n")]);
    for old_protocol in [false, true] {
        server.with(|behavior| behavior.old_protocol = old_protocol);
        for branch in [first.clone(), first[..9].to_owned()] {
            bench.payload.branch = branch;
            let exit = bench.run(StepType::TerraformApply).await;
            assert_eq!(exit.code, Some(0), "{exit:#?}");
            assert_eq!(bench.server.result().commit_id.as_ref(), Some(&first));
        }
    }
    for (branch, expected) in [
        ("0123456789012345678901234567890123456789", "the server does not have this commit"),
        ("0123456", "\"0123456\" is no branch, tag or commit of"),
    ] {
        for old_protocol in [false, true] {
            server.with(|behavior| behavior.old_protocol = old_protocol);
            bench.payload.branch = branch.into();
            let message = failure(&mut bench).await;
            assert!(message.contains(expected), "{message}");
        }
    }
}
