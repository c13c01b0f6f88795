//! Repositories created and cloned with the real git.

use std::fs;

use job_spec::{StepType, attempt_api::StepOutcome};

use crate::support::{Bench, have, tool};

/// A bare repository with two commits on `main` (the second one changes the output) and a tag on the first.
struct Repository {
    url: String,
    first: String,
    second: String,
}

fn repository(bench: &Bench) -> Repository {
    let work = bench.folder("repository");
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        tool("git", &[&identity[..], args].concat(), &work)
    };
    let commit = |value: &str| {
        fs::create_dir_all(work.join("live")).unwrap();
        fs::write(work.join("live/main.tf"), format!("output \"version\" {{\n  value = \"{value}\"\n}}\n"))
            .unwrap();
        git(&["add", "."]);
        git(&["commit", "--quiet", "-m", value]);
        git(&["rev-parse", "HEAD"])
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    let first = commit("one");
    git(&["tag", "v1"]);
    let second = commit("two");
    let bare = bench.folder("bare").join("infra.git");
    git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    Repository { url: format!("file://{}", bare.display()), first, second }
}

fn version(bench: &Bench) -> String {
    bench.server.with(|memory| memory.state_json())["outputs"]["version"]["value"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn checks_out_branch_tag_and_commit_and_reports_the_commit() {
    if !have("terraform") || !have("git") {
        return;
    }
    let mut bench = Bench::new("").await;
    let repository = repository(&bench);
    let Repository { url, first, second } = &repository;
    bench.payload.source.clone_from(url);
    bench.payload.folder = "/live".into();
    let path = url.strip_prefix("file://").unwrap();
    let cases = [
        (url.as_str(), "main", None, second, "two"),
        (path, "", None, second, "two"),
        (url, "v1", None, first, "one"),
        (url, "main,other", None, second, "two"),
        (url, "HEAD", None, second, "two"),
        (url, "refs/heads/main", None, second, "two"),
        (url, "refs/tags/v1", None, first, "one"),
        (url, first, None, first, "one"),
        (url, &first.to_uppercase(), None, first, "one"),
        (url, &first[..8], None, first, "one"),
        (url, "main", Some(first.clone()), first, "one"),
        (url, "main", Some(first[..10].to_owned()), first, "one"),
        (url, "deleted", Some(first.clone()), first, "one"),
    ];
    for (source, branch, commit, expected, value) in cases {
        bench.payload.source = source.into();
        bench.payload.branch = branch.into();
        bench.payload.commit_id = commit;
        let exit = bench.run(StepType::TerraformApply).await;
        assert_eq!(exit.code, Some(0), "{exit:#?}");
        assert_eq!(bench.server.result().commit_id.as_ref(), Some(expected));
        assert_eq!(version(&bench), value);
    }
}

#[tokio::test]
async fn missing_branch_or_commit_fails_the_step_and_names_what_exists() {
    if !have("git") {
        return;
    }
    let mut bench = Bench::new("").await;
    let repository = repository(&bench);
    bench.payload.source = repository.url;
    bench.payload.branch = "no-such-branch".into();
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let (result, log) = (bench.server.result(), bench.server.log());
    let url = &bench.payload.source;
    let expected = format!(
        "could not fetch the source: \"no-such-branch\" is no branch, tag or commit of {url}; \
         there are \"main\", \"v1\" (1 branch, 1 tag)"
    );
    assert_eq!(result.message.as_deref(), Some(expected.as_str()));
    assert!(log.contains("no-such-branch"), "{log}");
    assert!(!bench.server.with(|memory| memory.requests.iter().any(|request| request.contains("state"))));

    bench.payload.branch = "main".into();
    bench.payload.commit_id = Some("0123456789012345678901234567890123456789".into());
    bench.run(StepType::TerraformPlan).await;
    let result = bench.server.result();
    assert_eq!(result.outcome, StepOutcome::Failed);
    let message = result.message.unwrap();
    assert!(message.contains("the server does not have this commit"), "{message}");

    bench.payload.commit_id = None;
    bench.payload.branch = "--upload-pack=touch /tmp/x".into();
    bench.run(StepType::TerraformPlan).await;
    let message = bench.server.result().message.unwrap();
    assert!(message.contains("cannot be the name of a branch, a tag or a commit"), "{message}");
}
