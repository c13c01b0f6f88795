//! Versions that are not on the PATH: downloaded from a real server, verified, and shared by executors.

use std::{fs, net::TcpListener, path::PathBuf};

use job_spec::StepType;

use crate::support::{
    Bench, engine, find, finish, have,
    releases::{Releases, archive_name, checksums_name, program},
    tool,
};

const ONE: &str = "resource \"terraform_data\" \"one\" {}\n";

/// Returns the name of a setting of the program under test.
fn setting(what: &str) -> String {
    let name = if engine() == "tofu" { "Tofu" } else { "Terraform" };
    format!("Custom{name}Releases{what}")
}

/// Creates a workspace that wants a version and gets it from a list.
async fn bench(version: &str, list: &str) -> Bench {
    let mut bench = Bench::new(ONE).await;
    bench.payload.terraform_version = version.into();
    bench.extra_env.insert(setting("Url"), list.into());
    bench
}

/// Returns a search path with git and a shell, but without the program under test.
fn path_without_engine(bench: &Bench) -> String {
    let folder = bench.folder("programs");
    for name in ["sh", "git", "gpgv"] {
        if let Some(program) = find(name) {
            let _ = std::os::unix::fs::symlink(program, folder.join(name));
        }
    }
    folder.to_str().unwrap().to_owned()
}

async fn succeeded(bench: &mut Bench, step: StepType) -> String {
    let exit = bench.run(step).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    bench.server.log()
}

async fn message(bench: &mut Bench) -> String {
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    bench.server.result().message.unwrap()
}

fn cache(bench: &Bench) -> PathBuf {
    bench.folder("tmp").join("ephemeral-agents-engines")
}

#[tokio::test]
async fn exact_version_and_constraint_are_downloaded_once_and_used() {
    if !have("terraform") {
        return;
    }
    let releases = Releases::start().await;
    for version in ["9.8.0", "9.9.7", "9.9.8", "9.10.0", "10.0.0-rc1"] {
        releases.add(version);
    }
    let mut bench = bench("9.9.7", &releases.index()).await;
    let log = succeeded(&mut bench, StepType::TerraformPlan).await;
    assert!(
        log.contains(&format!("downloading {} 9.9.7 from {}/releases/9.9.7/", engine(), releases.address)),
        "{log}"
    );
    assert!(log.contains("9.9.7 is verified and installed") && log.contains("release 9.9.7 runs"), "{log}");
    assert_eq!(releases.take_requests().len(), 3, "list, checksums, zip file");

    let log = succeeded(&mut bench, StepType::TerraformPlan).await;
    assert!(log.contains("release 9.9.7 runs") && !log.contains("downloading"), "{log}");
    assert_eq!(releases.take_requests(), Vec::<String>::new());

    for (constraint, newest) in
        [("~> 9.9.0", "9.9.7"), ("~> 9.9, != 9.9.7", "9.10.0"), (">= 9, < 9.9", "9.8.0")]
    {
        bench.payload.terraform_version = constraint.into();
        let log = succeeded(&mut bench, StepType::TerraformPlan).await;
        assert!(log.contains(&format!("release {newest} runs")), "{constraint}: {log}");
    }
    // Nothing else of the zip files was written.
    let mut names: Vec<_> =
        fs::read_dir(bench.folder("tmp")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["ephemeral-agents", "ephemeral-agents-engines"]);
    assert_eq!(fs::read_dir(cache(&bench)).unwrap().count(), 1);
}

#[tokio::test]
async fn matching_program_on_the_path_is_used_without_a_list() {
    if !have("terraform") {
        return;
    }
    let mut bench = Bench::new(ONE).await;
    for constraint in ["~> 1.4", ">= 1.4, < 2"] {
        bench.payload.terraform_version = constraint.into();
        let log = succeeded(&mut bench, StepType::TerraformPlan).await;
        assert!(!log.contains("downloading"), "{log}");
    }
    // The release that a development build stands for.
    let answer = tool(engine(), &["version", "-json"], &bench.folder("home"));
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let version = answer["terraform_version"].as_str().unwrap();
    bench.payload.terraform_version = version.trim_end_matches("-dev").into();
    succeeded(&mut bench, StepType::TerraformPlan).await;
}

#[tokio::test]
async fn required_version_of_the_configuration_decides_where_the_workspace_names_none() {
    if !have("terraform") {
        return;
    }
    let releases = Releases::start().await;
    releases.add("1.99.0");
    releases.add("2.0.0");
    let mut bench = bench("", &releases.index()).await;
    bench.path = path_without_engine(&bench);
    // The program behind the release is an older one, whose own check would fail.
    bench.write("versions.tf", "terraform {\n  required_version = \">= 1.0, < 2\"\n}\n");
    let log = succeeded(&mut bench, StepType::TerraformPlan).await;
    assert!(log.contains("release 1.99.0 runs"), "{log}");
}

#[tokio::test]
async fn plan_is_applied_by_the_version_that_made_it() {
    if !have("terraform") {
        return;
    }
    let home = Bench::new(ONE).await;
    let answer = tool(engine(), &["version", "-json"], &home.folder("home"));
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let version = answer["terraform_version"].as_str().unwrap().trim_end_matches("-dev").to_owned();
    let releases = Releases::start().await;
    releases.add(&version);
    let mut bench = bench(">= 1.0", &releases.index()).await;
    bench.path = path_without_engine(&bench);
    bench.server.with(|memory| memory.plan_expected = true);
    succeeded(&mut bench, StepType::TerraformPlan).await;
    // Meanwhile there is a newer one, and the apply runs on another node.
    releases.add("9.9.9");
    fs::remove_dir_all(cache(&bench)).unwrap();
    let log = succeeded(&mut bench, StepType::TerraformApply).await;
    assert!(log.contains(&format!("release {version} runs")) && !log.contains("9.9.9"), "{log}");
}

#[tokio::test]
async fn eight_executors_share_one_cache() {
    if !have("terraform") {
        return;
    }
    let releases = Releases::start().await;
    releases.add("9.9.8");
    let shared = tempfile::tempdir().unwrap();
    let mut benches = Vec::new();
    for _ in 0..8 {
        let mut bench = bench("9.9.8", &releases.index()).await;
        bench.extra_env.insert("EngineCacheFolder".into(), shared.path().to_str().unwrap().into());
        benches.push(bench);
    }
    let children: Vec<_> = benches.iter().map(Bench::spawn).collect();
    for (child, bench) in children.into_iter().zip(&benches) {
        let exit = finish(child).await;
        assert_eq!(exit.code, Some(0), "{exit:#?}");
        assert!(bench.server.log().contains("release 9.9.8 runs"), "{}", bench.server.log());
    }
    let names: Vec<_> =
        fs::read_dir(shared.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [engine()]);

    // A program that was damaged is not run, but replaced.
    let entry = shared.path().join(engine()).join("9.9.8");
    let platform = fs::read_dir(&entry).unwrap().next().unwrap().unwrap().path();
    fs::write(platform.join(engine()), "#!/bin/sh\nexit 0\n").unwrap();
    releases.take_requests();
    let log = succeeded(&mut benches[0], StepType::TerraformPlan).await;
    assert!(log.contains("release 9.9.8 runs") && log.contains("downloading"), "{log}");
}

#[tokio::test]
async fn folder_without_network_serves_releases_and_needs_no_list() {
    if !have("terraform") {
        return;
    }
    let releases = Releases::start().await;
    releases.add("9.9.8");
    let mirror = tempfile::tempdir().unwrap();
    releases.copy_to(mirror.path());
    let flat = tempfile::tempdir().unwrap();
    for name in [archive_name("9.9.8"), checksums_name("9.9.8")] {
        fs::copy(mirror.path().join("9.9.8").join(&name), flat.path().join(&name)).unwrap();
    }
    for folder in [mirror.path(), flat.path()] {
        let mut bench = bench("~> 9.9", folder.to_str().unwrap()).await;
        // The cache is a file: the program is for this attempt alone.
        let file = bench.folder("home").join("file");
        fs::write(&file, "").unwrap();
        bench.extra_env.insert("EngineCacheFolder".into(), file.to_str().unwrap().into());
        let log = succeeded(&mut bench, StepType::TerraformPlan).await;
        assert!(log.contains("release 9.9.8 runs"), "{log}");
        assert!(log.contains("(the cache of programs cannot be written: "), "{log}");
        assert_eq!(bench.left_behind(), Vec::<String>::new());
    }
    let mut bench = bench("9.9.9", flat.path().to_str().unwrap()).await;
    let text = message(&mut bench).await;
    assert!(
        text.contains(&format!("{} has no {} 9.9.9 for linux_", flat.path().display(), engine())),
        "{text}"
    );
}

#[tokio::test]
async fn errors_name_the_version_the_address_and_the_digest() {
    if !have("terraform") {
        return;
    }
    let releases = Releases::start().await;
    for version in ["9.9.7", "9.9.8", "9.9.9"] {
        releases.add(version);
    }
    releases.add_with("9.9.6", &[("bin/terraform", b"x")]);
    releases.list();
    releases.put(&format!("/releases/9.9.9/{}", archive_name("9.9.9")), "half of a zip file");
    releases.put(&format!("/releases/9.9.8/{}", checksums_name("9.9.8")), "nothing");
    releases.put("/releases/html.json", "<html>");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let index = releases.index();
    let (other, missing) =
        (format!("{}/releases/html.json", releases.address), format!("{}/nothing", releases.address));
    let unreachable = format!("http://user:secret@{closed}/index.json");
    let cases = [
        ("9.9.5", &index, "the nearest are 9.9.6, 9.9.7, 9.9.8, 9.9.9".to_owned()),
        ("9.9.9", &index, format!("{} has the SHA-256 digest ", archive_name("9.9.9"))),
        (
            "9.9.8",
            &index,
            format!("{} states no digest of {}", checksums_name("9.9.8"), archive_name("9.9.8")),
        ),
        ("9.9.6", &index, format!("the zip file contains no file {:?}", engine())),
        ("9.9.7", &other, format!("{other} is no list of releases")),
        ("9.9.7", &missing, format!("{missing}/index.json answered with 404")),
        ("9.9.7", &unreachable, format!("could not reach http://{closed}/index.json")),
        ("latest", &index, "\"latest\" is no version constraint".to_owned()),
        ("9.9.7", &"mirror".to_owned(), format!("{} is \"mirror\", expected", setting("Url"))),
        ("9.9.7", &String::new(), format!("{} is not set, so none is downloaded", setting("Url"))),
    ];
    for (version, list, expected) in cases {
        let mut bench = bench(version, list).await;
        let text = message(&mut bench).await;
        assert!(text.contains(&expected), "{text}\nexpected {expected}");
        assert!(text.starts_with("cannot use the terraform program: ") && !text.contains("secret"), "{text}");
        let left = fs::read_dir(cache(&bench)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{text}");
    }
}

#[tokio::test]
async fn signature_is_verified_where_a_key_is_given() {
    if !["terraform", "gpg", "gpgv"].into_iter().all(have) {
        return;
    }
    let releases = Releases::start().await;
    releases.add("9.9.8");
    let home = tempfile::tempdir().unwrap();
    let gpg = |args: &[&str]| {
        let fixed = ["--homedir", home.path().to_str().unwrap(), "--batch", "--quiet", "--passphrase", ""];
        tool("gpg", &[&fixed[..], args].concat(), home.path())
    };
    for name in ["releases@example.com", "other@example.com"] {
        gpg(&["--quick-generate-key", name, "ed25519", "sign", "never"]);
    }
    let folder = tempfile::tempdir().unwrap();
    releases.copy_to(folder.path());
    let checksums = folder.path().join("9.9.8").join(checksums_name("9.9.8"));
    gpg(&["--local-user", "releases@example.com", "--detach-sign", checksums.to_str().unwrap()]);
    let signature = fs::read(checksums.with_file_name(format!("{}.sig", checksums_name("9.9.8")))).unwrap();
    let ending = if engine() == "tofu" { "gpgsig" } else { "sig" };
    let place = format!("/releases/9.9.8/{}.{ending}", checksums_name("9.9.8"));
    let right = gpg(&["--armor", "--export", "releases@example.com"]);
    let wrong = gpg(&["--armor", "--export", "other@example.com"]);

    let mut bench = bench("9.9.8", &releases.index()).await;
    bench.extra_env.insert(setting("Key"), right);
    let text = message(&mut bench).await;
    assert!(text.contains(&format!("{place} answered with 404")), "{text}");

    releases.put(&place, signature);
    bench.extra_env.insert(setting("Key"), wrong);
    let text = message(&mut bench).await;
    let expected = format!("the key of {} has not signed {}", setting("Key"), checksums_name("9.9.8"));
    assert!(text.contains(&expected) && bench.server.log().contains("gpgv: "), "{text}");

    // As a file, too.
    let file = bench.folder("home").join("key.asc");
    fs::write(&file, gpg(&["--armor", "--export", "releases@example.com"])).unwrap();
    bench.extra_env.insert(setting("Key"), file.to_str().unwrap().into());
    let log = succeeded(&mut bench, StepType::TerraformPlan).await;
    assert!(log.contains("release 9.9.8 runs"), "{log}");

    bench.extra_env.insert(setting("Key"), "no key".into());
    fs::remove_dir_all(cache(&bench)).unwrap();
    let text = message(&mut bench).await;
    assert!(text.contains(&format!("{} is neither an OpenPGP public key", setting("Key"))), "{text}");
}

/// The real program, as its project releases it.
#[tokio::test]
async fn real_program_is_installed_and_runs() {
    if !have("terraform") {
        return;
    }
    let releases = Releases::start().await;
    let real = fs::read(find(engine()).unwrap()).unwrap();
    releases.add_with("9.9.8", &[(engine(), &real)]);
    releases.list();
    let mut bench = bench("9.9.8", &releases.index()).await;
    bench.path = path_without_engine(&bench);
    let log = succeeded(&mut bench, StepType::TerraformPlan).await;
    assert!(log.contains("is verified and installed") && log.contains("Plan: 1 to add"), "{log}");
    assert_ne!(program("9.9.8"), real);
}
