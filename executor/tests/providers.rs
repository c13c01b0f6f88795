//! Real providers, from a filesystem mirror and from a network mirror over https with a private authority.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use job_spec::StepType;
use tokio::process::Command;

use crate::support::{
    Bench, engine, find, finish,
    git::tls_in_front,
    have,
    providers::{
        AWS, TIME, TIME_VERSION, aws_mirror, disk_bytes, filesystem, install_by, network, registry,
        serve_time, time_mirror,
    },
    releases::Releases,
    search_path,
};

/// Steps that run at once.
const STEPS: usize = 8;

async fn succeeded(bench: &mut Bench, step: StepType) -> String {
    let exit = bench.run(step).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    bench.server.log()
}

/// Returns the providers in a plugin cache.
fn cached(cache: &Path, name: &str) -> usize {
    fs::read_dir(cache.join(registry()).join("hashicorp").join(name)).map_or(0, Iterator::count)
}

#[tokio::test]
async fn provider_of_a_filesystem_mirror_is_planned_and_applied() {
    let mirror = tempfile::tempdir().unwrap();
    if !have("terraform") || time_mirror(mirror.path()).is_none() {
        return;
    }
    let mut bench = Bench::new(TIME).await;
    install_by(&mut bench, &filesystem(mirror.path()));
    bench.server.with(|memory| memory.plan_expected = true);
    succeeded(&mut bench, StepType::TerraformPlan).await;
    succeeded(&mut bench, StepType::TerraformApply).await;
    let later = bench.server.with(|memory| memory.state_json())["outputs"]["later"]["value"].take();
    assert_eq!(later, "2026-01-02T00:00:00Z");
    bench.server.with(|memory| memory.plan_expected = false);
    succeeded(&mut bench, StepType::TerraformDestroy).await;
}

#[tokio::test]
async fn eight_steps_share_a_plugin_cache_behind_a_network_mirror() {
    let releases = Releases::start().await;
    if !["terraform", "openssl"].into_iter().all(have) || serve_time(&releases).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = releases.address.rsplit(':').next().unwrap().parse().unwrap();
    let (url, authority) = tls_in_front(port, folder.path()).await;
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    for warm in [false, true] {
        releases.take_requests();
        let mut benches = Vec::new();
        for _ in 0..STEPS {
            let mut bench = Bench::new(TIME).await;
            install_by(&mut bench, &network(&format!("{url}/mirror/")));
            bench.extra_env.insert("SSL_CERT_FILE".into(), authority.to_str().unwrap().into());
            let path = cache.to_str().unwrap().to_owned();
            bench.payload.environment_variables.insert("TF_PLUGIN_CACHE_DIR".into(), path);
            bench.payload.step_type = StepType::TerraformApply;
            benches.push(bench);
        }
        let children: Vec<_> = benches.iter().map(Bench::spawn).collect();
        for (child, bench) in children.into_iter().zip(&benches) {
            let exit = finish(child).await;
            assert_eq!(exit.code, Some(0), "{exit:#?}");
            assert_eq!(bench.server.with(|memory| memory.resources()), ["later"]);
        }
        assert_eq!(cached(&cache, "time"), 1);
        assert_eq!(fs::read_dir(cache.join(".steps")).unwrap().count(), 0);
        let downloads = releases.take_requests().iter().filter(|path| path.contains(".zip")).count();
        assert_eq!(downloads == 0, warm, "{downloads}");
    }
    let package = cache.join(registry()).join("hashicorp/time").join(TIME_VERSION).join("linux_amd64");
    let program = fs::read_dir(package).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read(program).unwrap(), fs::read(find("terraform-provider-time").unwrap()).unwrap());
}

#[tokio::test]
async fn large_provider_is_planned_without_an_account() {
    let mirror = tempfile::tempdir().unwrap();
    if !have("terraform") || aws_mirror(mirror.path()).is_none() {
        return;
    }
    let mut bench = Bench::new(AWS).await;
    install_by(&mut bench, &filesystem(mirror.path()));
    let log = succeeded(&mut bench, StepType::TerraformPlan).await;
    assert!(log.contains("Plan: 1 to add"), "{log}");
}

/// Starts `init` and `plan` of the program under test without the executor.
fn plain(folder: &Path, cli: &str, cache: &Path) -> tokio::process::Child {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("main.tf"), AWS).unwrap();
    fs::create_dir_all(cache).unwrap();
    Command::new("sh")
        .args(["-c", &format!("{0} init -input=false && {0} plan -input=false", engine())])
        .current_dir(folder)
        .env_clear()
        .env("PATH", search_path())
        .env("HOME", folder)
        .env("TF_CLI_CONFIG_FILE", cli)
        .env("TF_PLUGIN_CACHE_DIR", cache)
        .env("TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE", "true")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Measures eight plans at once with the large provider from a packed mirror: `cargo test -p executor
/// --release --test program measures -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, which needs gigabytes and minutes"]
async fn measures_eight_steps_with_the_large_provider() {
    let unpacked = tempfile::tempdir().unwrap();
    if !["terraform", "zip"].into_iter().all(have) || aws_mirror(unpacked.path()).is_none() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let packed = root.path().join("mirror").join(registry()).join("hashicorp/aws");
    fs::create_dir_all(&packed).unwrap();
    let zip = packed.join("terraform-provider-aws_5.100.0_linux_amd64.zip");
    let from = unpacked.path().join(registry()).join("hashicorp/aws/5.100.0/linux_amd64");
    crate::support::tool("zip", &["-q", "-1", "-r", zip.to_str().unwrap(), "."], &from);
    let mut first = Bench::new(AWS).await;
    install_by(&mut first, &filesystem(&root.path().join("mirror")));
    let cli = first.extra_env["TF_CLI_CONFIG_FILE"].clone();
    for kind in ["executor", "plain, one cache", "plain, a cache each"] {
        let caches = root.path().join(kind);
        let cache = |step: usize| {
            if kind.ends_with("each") { caches.join(step.to_string()) } else { caches.join("0") }
        };
        for temperature in ["cold", "warm"] {
            let mut benches = Vec::new();
            for step in 0..STEPS {
                let mut bench = Bench::new(AWS).await;
                bench.extra_env.insert("TF_CLI_CONFIG_FILE".into(), cli.clone());
                bench.extra_env.insert("TF_PLUGIN_CACHE_DIR".into(), cache(step).to_str().unwrap().into());
                benches.push(bench);
            }
            let start = Instant::now();
            let children: Vec<_> = benches
                .iter()
                .enumerate()
                .map(|(step, bench)| match kind {
                    "executor" => bench.spawn(),
                    _ => {
                        plain(&root.path().join(format!("{kind}, {temperature}, {step}")), &cli, &cache(step))
                    }
                })
                .collect();
            let mut failed = 0;
            for child in children {
                let exit = child.wait_with_output().await.unwrap();
                failed += usize::from(!exit.status.success());
            }
            let time: Duration = start.elapsed();
            let bytes = disk_bytes(&caches) / (1024 * 1024);
            eprintln!(
                "{kind:<20} {temperature}: {:>6.1} s, {bytes} MiB in caches, {failed} of {STEPS} failed",
                time.as_secs_f64()
            );
        }
        fs::remove_dir_all(&caches).unwrap();
    }
}
