//! Real providers, from a filesystem mirror and from a network mirror over https with a private authority.

use std::{fs, path::Path};

use job_spec::StepType;

use crate::support::{
    Bench, find, finish,
    git::tls_in_front,
    have,
    providers::{
        AWS, TIME, TIME_VERSION, aws_mirror, filesystem, install_by, network, registry, serve_time,
        time_mirror,
    },
    releases::Releases,
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
