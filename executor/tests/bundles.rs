//! What a plan leaves behind reaches the apply: the source, the lock file, modules and generated files.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use job_spec::{StepType, attempt_api::Bundle};

use crate::support::{
    Bench, Exit, find,
    git::{GitServer, commit, git},
    have,
};

/// Built from the Go module registry where Go is at hand.
const PROVIDER: &str = "terraform-provider-time";

/// An output that shows which source was applied.
fn version(value: &str) -> String {
    format!("output \"version\" {{\n  value = \"{value}\"\n}}\n")
}

async fn plan(bench: &mut Bench) -> Exit {
    bench.server.with(|memory| memory.plan_expected = true);
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    exit
}

async fn apply(bench: &mut Bench) {
    let exit = bench.run(StepType::TerraformApply).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
}

fn applied_version(bench: &Bench) -> String {
    bench.server.with(|memory| memory.state_json())["outputs"]["version"]["value"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Method and last part of the path of requests about bundles.
fn bundle_requests(bench: &Bench) -> Vec<String> {
    let is_about = |request: &&String| ["bundle", "part", "source"].iter().any(|name| request.contains(name));
    bench.server.with(|memory| memory.requests.iter().filter(is_about).cloned().collect())
}

#[tokio::test]
async fn apply_uses_the_commit_of_the_plan_whatever_became_of_its_branch() {
    if !have("terraform") || !have("git") {
        return;
    }
    for (change, collected, old_protocol, from_store) in [
        ("force-push", false, false, false),
        ("force-push", true, false, true),
        ("force-push", false, true, true),
        ("delete", false, false, false),
        ("delete", true, false, true),
        ("remove the repository", false, false, true),
    ] {
        let mut bench = Bench::new("").await;
        let bare = bench.folder("git").join("infra.git");
        let planned = commit(&bare, &[("live/main.tf", &version("planned"))]);
        let server = GitServer::start(&bench.folder("git")).await;
        server.with(|behavior| behavior.old_protocol = old_protocol);
        bench.payload.source = format!("{}/infra.git", server.url);
        bench.payload.branch = "main".into();
        bench.payload.folder = "/live".into();
        plan(&mut bench).await;
        assert_eq!(bench.server.result().commit_id.as_ref(), Some(&planned));

        let work = bare.with_extension("work");
        match change {
            "force-push" => {
                fs::write(work.join("live/main.tf"), version("pushed later")).unwrap();
                git(&["commit", "--quiet", "--all", "--amend", "-m", "other"], &work);
                git(&["push", "--quiet", "--force", "origin", "main"], &work);
            }
            "delete" => {
                git(&["update-ref", "-d", "refs/heads/main"], &bare);
            }
            _ => fs::remove_dir_all(&bare).unwrap(),
        }
        if collected {
            git(&["reflog", "expire", "--expire=now", "--all"], &bare);
            git(&["gc", "--quiet", "--prune=now"], &bare);
        }
        // The server names the commit of the plan.
        bench.payload.commit_id = Some(planned.clone());
        apply(&mut bench).await;
        assert_eq!(applied_version(&bench), "planned", "{change}");
        assert_eq!(bench.server.result().commit_id, Some(planned));
        let log = bench.server.log();
        let used_store = log.contains("the source that the plan step stored is used");
        assert_eq!(used_store, from_store, "{change}, collected: {collected}: {log}");
    }
}

#[tokio::test]
async fn apply_uses_the_folder_as_it_was_planned() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(&version("planned")).await;
    bench.write("old.txt", "old");
    plan(&mut bench).await;
    bench.write("main.tf", &version("written later"));
    bench.write("more.tf", "resource \"terraform_data\" \"later\" {}\n");
    apply(&mut bench).await;
    assert_eq!(applied_version(&bench), "planned");
    assert!(bench.server.with(|memory| memory.resources()).is_empty());
}

#[tokio::test]
async fn files_that_planning_wrote_changed_or_deleted_are_so_in_the_apply() {
    if !have("terraform") {
        return;
    }
    let text = "resource \"terraform_data\" \"build\" {\n  input = filesha256(\"build/lambda.zip\")\n  \
                provisioner \"local-exec\" {\n    command = \"cp -r . $SEEN\"\n  }\n}\n";
    let mut bench = Bench::new(text).await;
    let seen = bench.folder("seen");
    bench.payload.environment_variables.insert("SEEN".into(), seen.to_str().unwrap().into());
    bench.write("changed.txt", "before");
    bench.write("deleted.txt", "before");
    bench.folder("source/becomes-file");
    bench.write("becomes-file/inner.txt", "before");
    bench.write("becomes-folder", "before");
    // As a script before the plan, or a data source, does.
    bench.wrap_terraform(
        r#"if [ "$1" = plan ]; then
             mkdir -p build; head -c 100000 /dev/urandom > build/lambda.zip; cp build/lambda.zip "$SEEN.planned"
             ln -s lambda.zip build/latest; echo after > changed.txt; rm deleted.txt
             echo 'echo ran' > run.sh; chmod 755 run.sh
             rm -r becomes-file becomes-folder; echo after > becomes-file
             mkdir becomes-folder; echo after > becomes-folder/inner.txt
           fi"#,
    );
    plan(&mut bench).await;
    apply(&mut bench).await;
    let read = |name: &str| fs::read(seen.join(name)).unwrap();
    assert!(read("build/lambda.zip") == fs::read(format!("{}.planned", seen.display())).unwrap());
    assert_eq!(fs::read_link(seen.join("build/latest")).unwrap(), Path::new("lambda.zip"));
    for name in ["changed.txt", "becomes-file", "becomes-folder/inner.txt"] {
        assert_eq!(read(name), b"after\n", "{name}");
    }
    assert!(!seen.join("deleted.txt").exists());
    assert_eq!(fs::metadata(seen.join("run.sh")).unwrap().permissions().mode() & 0o111, 0o111);
}

#[tokio::test]
async fn file_that_is_too_large_is_named_before_the_approval() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(&version("one")).await;
    bench.wrap_terraform(
        "if [ \"$1\" = plan ]; then truncate -s 65M large.zip; mkfifo pipe; echo x > small.txt; fi",
    );
    plan(&mut bench).await;
    let expected = "2 files of the plan step will not be the same in the apply: large.zip (65.0 MiB, a file \
                    may have 64.0 MiB), pipe (a pipe, socket or device)";
    assert_eq!(bench.server.result().message.as_deref(), Some(expected));
    assert!(bench.server.log().contains(expected));
    let bundle: Bundle =
        bench.server.with(|memory| serde_json::from_slice(memory.bundle.as_ref().unwrap()).unwrap());
    assert_eq!(bundle.left_out[0].path, "large.zip");
    apply(&mut bench).await;
}

/// Puts a real provider into a mirror, as this version.
fn publish_provider(bench: &Bench, number: &str) {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let platform = format!("{}_{architecture}", std::env::consts::OS.replace("macos", "darwin"));
    let folder = bench.folder(&format!("mirror/example.com/acme/time/{number}/{platform}"));
    fs::copy(find(PROVIDER).unwrap(), folder.join(format!("terraform-provider-time_v{number}"))).unwrap();
}

#[tokio::test]
async fn apply_uses_the_provider_versions_of_the_plan() {
    if !have("terraform") {
        return;
    }
    if find(PROVIDER).is_none() {
        eprintln!("SKIPPED: {PROVIDER} is not built; e2e/engines/build builds it where Go is");
        return;
    }
    let text = "terraform {\n  required_providers {\n    time = {\n      source \
                = \"example.com/acme/time\"\n      version = \"~> 1.0\"\n    }\n  \
                }\n}\nresource \"time_static\" \"now\" {}\n";
    let mut bench = Bench::new(&format!("{text}{}", version("one"))).await;
    let mirror = bench.folder("mirror");
    for name in [".terraformrc", ".tofurc"] {
        let text =
            format!("provider_installation {{\n  filesystem_mirror {{\n    path = {mirror:?}\n  }}\n}}\n");
        fs::write(bench.folder("home").join(name), text).unwrap();
    }
    let seen = bench.folder("seen");
    bench.wrap_terraform(&format!(
        "if [ \"$1\" = apply ]; then cp .terraform.lock.hcl {}; fi",
        seen.display()
    ));
    publish_provider(&bench, "1.0.0");
    bench.payload.environment_variables.insert("TF_CLI_ARGS_init".into(), "-upgrade".into());
    plan(&mut bench).await;
    // Only the lock file is sent, and the source once.
    let parts = bench.server.with(|memory| memory.parts.len());
    assert_eq!(parts, 2);
    publish_provider(&bench, "1.1.0");
    apply(&mut bench).await;
    let lock = fs::read_to_string(seen.join(".terraform.lock.hcl")).unwrap();
    assert!(lock.contains("version     = \"1.0.0\""), "{lock}");
    let log = bench.server.log();
    assert!(log.contains("-upgrade of TF_CLI_ARGS_init is left out"), "{log}");
}

#[tokio::test]
async fn apply_uses_the_modules_of_the_plan() {
    if !have("terraform") || !have("git") {
        return;
    }
    let mut bench = Bench::new("").await;
    let module = bench.folder("git").join("net.git");
    let text = "resource \"terraform_data\" \"a\" {\n  provisioner \"local-exec\" {\n    command = \"cp \
                ${path.module}/name.txt $SEEN\"\n  }\n}\n";
    commit(&module, &[("main.tf", text), ("name.txt", "planned")]);
    bench.write(
        "main.tf",
        &format!("module \"net\" {{\n  source = \"git::file://{}\"\n}}\n", module.display()),
    );
    let seen = bench.folder("seen");
    bench.payload.environment_variables.insert("SEEN".into(), seen.to_str().unwrap().into());
    plan(&mut bench).await;
    commit(&module, &[("name.txt", "pushed later")]);
    apply(&mut bench).await;
    assert_eq!(fs::read_to_string(seen.join("name.txt")).unwrap(), "planned");
}

#[tokio::test]
async fn unchanged_source_and_files_are_not_sent_again() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(&version("one")).await;
    bench.wrap_terraform("if [ \"$1\" = plan ]; then echo generated > generated.txt; fi");
    plan(&mut bench).await;
    let first = bundle_requests(&bench);
    assert_eq!(first, ["GET source 404", "PUT bundle 200", "PUT part 204", "PUT part 204", "PUT bundle 200"]);
    plan(&mut bench).await;
    assert_eq!(bundle_requests(&bench), ["GET source 200", "PUT bundle 200"]);
    bench.write("another.tf", "");
    plan(&mut bench).await;
    assert_eq!(
        bundle_requests(&bench),
        ["GET source 404", "PUT bundle 200", "PUT part 204", "PUT bundle 200"],
        "only the source is new"
    );
}

#[tokio::test]
async fn bundle_or_part_that_is_not_the_approved_one_stops_the_apply() {
    if !have("terraform") {
        return;
    }
    for (what, expected) in [
        ("bundle", "the bundle of the plan has the SHA-256 digest"),
        ("part", "a part of the bundle has the SHA-256 digest"),
        ("missing", "could not get what the plan step left; nothing was applied"),
    ] {
        let mut bench = Bench::new(&version("one")).await;
        plan(&mut bench).await;
        bench.server.with(|memory| match what {
            "bundle" => {
                memory.approved_bundle = Some("0".repeat(64));
            }
            "part" => memory.parts.values_mut().for_each(|part| part.push(0)),
            _ => memory.parts.clear(),
        });
        let exit = bench.run(StepType::TerraformApply).await;
        assert_eq!(exit.code, Some(10), "{exit:#?}");
        let message = bench.server.result().message.unwrap();
        assert!(message.contains(expected) && message.contains("nothing was applied"), "{message}");
        assert!(bench.server.with(|memory| memory.state.is_none()));
    }
}

#[tokio::test]
async fn second_plan_of_a_large_repository_sends_no_part() {
    if !have("terraform") || !have("git") {
        return;
    }
    let mut bench = Bench::new("").await;
    let bare = bench.folder("git").join("large.git");
    let files: Vec<_> = (0..10_000)
        .map(|number| {
            (format!("modules/{}/file-{number}.txt", number % 100), format!("{number}\n").repeat(50))
        })
        .collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    commit(&bare, &[&[("main.tf", version("one").as_str())][..], &files].concat());
    let server = GitServer::start(&bench.folder("git")).await;
    bench.payload.source = format!("{}/large.git", server.url);
    bench.payload.branch = "main".into();
    plan(&mut bench).await;
    plan(&mut bench).await;
    assert_eq!(bundle_requests(&bench), ["GET source 200", "PUT bundle 200"]);
}
