//! Measures how fast Jobs are handed to a cluster: `cargo run --release -p k8s-backend --example dispatch --
//! [JOBS] [CONTEXT]`.
//!
//! The same Jobs are sent through the backend and, in the same run and over the same client, by a bare loop
//! of POSTs. Without a context they go to the API server in memory, which then is a process of its own, so
//! that its memory is not counted. `cargo xtask bench dispatch` starts this.

#![expect(clippy::print_stdout, reason = "a program prints its result")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use k8s_backend::{
    IDENTITY_ANNOTATION, JobBackend, KubeBackend, KubeOptions,
    testing::{ApiServer, conformance::sample_job},
};
use k8s_openapi::api::batch::v1::Job;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, PostParams},
    config::KubeConfigOptions,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The label by which Jobs are watched.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "dispatch-benchmark");

/// How many requests are under way at a time, on both sides.
const AT_ONCE: usize = 16;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("serve") {
        return serve().await;
    }
    let jobs: usize = first.as_deref().unwrap_or("2000").parse()?;
    if let Some(context) = arguments.next() {
        let options = KubeConfigOptions { context: Some(context), ..KubeConfigOptions::default() };
        let config = Config::from_kubeconfig(&options).await?;
        let namespace = config.default_namespace.clone();
        return measure(Client::try_from(config)?, &namespace, jobs).await;
    }
    let (_server, url) = start_server()?;
    measure(Client::try_from(Config::new(url.parse()?))?, "terrakube", jobs).await
}

/// A process that ends with its owner.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_server() -> Outcome<(Server, String)> {
    let program = std::env::current_exe()?;
    let mut child =
        Command::new(program).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("the server in memory has no output")?;
    let server = Server(child);
    let mut url = String::new();
    BufReader::new(output).read_line(&mut url)?;
    Ok((server, url.trim().to_owned()))
}

/// Serves the API server in memory until standard input ends.
async fn serve() -> Outcome<()> {
    let listening = ApiServer::new("terrakube").listen().await?;
    println!("{}", listening.url());
    let wait = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(wait).await??;
    Ok(())
}

async fn measure(client: Client, namespace: &str, jobs: usize) -> Outcome<()> {
    let api: Api<Job> = Api::namespaced(client.clone(), namespace);
    let backend = KubeBackend::new(client, KubeOptions::new().namespace(namespace).managed_by(MANAGED_BY.1));
    // Both sides in turn, and the median of many short rounds: on a busy machine a single pause decides a
    // mean.
    let rounds = 20;
    let share = (jobs / rounds).max(1);
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        bare.push(posts(&api, (0..share).map(|number| job(&format!("bare-{round}-{number}")))).await?);
        ours.push(submits(&backend, (0..share).map(|number| job(&format!("ours-{round}-{number}")))).await?);
    }
    let (bare, ours) = (median(bare), median(ours));
    println!("jobs                         {jobs}, {AT_ONCE} requests at a time");
    println!("bare POSTs                   {:.0} Jobs/s", per_second(share, bare));
    println!("submit                       {:.0} Jobs/s", per_second(share, ours));
    println!(
        "ratio                        {:.3} (aim: at least 0.9)",
        bare.as_secs_f64() / ours.as_secs_f64()
    );

    let before = resident();
    // An unknown name is reported as not found when the list was read.
    let started = Instant::now();
    backend.start_watches();
    backend.watch("unknown").next().await;
    println!("first list                   {} Jobs in {:.1?}", jobs * 2, started.elapsed());
    let mut seen = observe(&backend, jobs).await?;
    seen.sort();
    let at = |share: usize| seen.get(seen.len() * share / 100).copied().unwrap_or_default();
    println!("submit to first observation  p50 {:.1?}, p99 {:.1?}", at(50), at(99));

    let watchers: Vec<_> = (0..jobs).map(|number| backend.watch(&format!("seen-{number}"))).collect();
    let watching = stream::iter(watchers).map(|mut phases| async move {
        phases.next().await;
        phases
    });
    let watchers: Vec<_> = watching.buffer_unordered(AT_ONCE).collect().await;
    let tracked = jobs * 2 + jobs;
    match (before, resident()) {
        (Some(before), Some(after)) => {
            let grown = after.saturating_sub(before);
            println!(
                "memory                       {} KiB per 1,000 Jobs in the store, {jobs} of them followed",
                grown * 1000 / tracked.max(1)
            );
        }
        _ => println!("memory                       not known on this system"),
    }
    drop(watchers);
    clean_up(&api).await
}

/// A Job with all the marks that those of the api-server have, so that both sides send the same.
fn job(name: &str) -> Job {
    let mut job = sample_job(name);
    let ours = (MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    let metadata = &mut job.metadata;
    metadata.annotations.get_or_insert_default().insert(IDENTITY_ANNOTATION.to_owned(), "0".repeat(64));
    metadata
        .labels
        .get_or_insert_default()
        .extend([ours.clone(), ("bench".to_owned(), "dispatch".to_owned())]);
    if let Some(spec) = &mut job.spec {
        spec.template.metadata.get_or_insert_default().labels.get_or_insert_default().extend([ours]);
        // On a real cluster nothing is to run.
        spec.suspend = Some(true);
    }
    job
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn per_second(jobs: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(jobs).unwrap_or(u32::MAX)) / time.as_secs_f64()
}

async fn posts(api: &Api<Job>, jobs: impl Iterator<Item = Job>) -> Outcome<Duration> {
    let jobs: Vec<_> = jobs.collect();
    let started = Instant::now();
    let params = PostParams { field_manager: Some("k8s-backend".to_owned()), ..PostParams::default() };
    let mut responses = stream::iter(&jobs).map(|job| api.create(&params, job)).buffer_unordered(AT_ONCE);
    while let Some(response) = responses.next().await {
        response?;
    }
    Ok(started.elapsed())
}

async fn submits(backend: &KubeBackend, jobs: impl Iterator<Item = Job>) -> Outcome<Duration> {
    let jobs: Vec<_> = jobs.map(k8s_backend::Submission::from).collect();
    let started = Instant::now();
    let mut responses = stream::iter(&jobs).map(|job| backend.submit(job)).buffer_unordered(AT_ONCE);
    while let Some(response) = responses.next().await {
        response?;
    }
    Ok(started.elapsed())
}

/// Submits Jobs and returns how long each took to be seen.
async fn observe(backend: &KubeBackend, jobs: usize) -> Outcome<Vec<Duration>> {
    let one = |number: usize| async move {
        let name = format!("seen-{number}");
        let started = Instant::now();
        backend.submit(&job(&name).into()).await?;
        backend.watch(&name).next().await.transpose()?;
        Ok::<_, k8s_backend::BackendError>(started.elapsed())
    };
    let seen: Vec<_> = stream::iter(0..jobs).map(one).buffer_unordered(AT_ONCE).collect().await;
    Ok(seen.into_iter().collect::<Result<_, _>>()?)
}

async fn clean_up(api: &Api<Job>) -> Outcome<()> {
    let ours = ListParams::default().labels("bench=dispatch");
    let names = api.list_metadata(&ours).await.map(|list| list.items).unwrap_or_default();
    let background = DeleteParams::background();
    let names: Vec<_> = names.into_iter().filter_map(|job| job.metadata.name).collect();
    let mut responses =
        stream::iter(&names).map(|name| api.delete(name, &background)).buffer_unordered(AT_ONCE);
    while let Some(response) = responses.next().await {
        response?;
    }
    Ok(())
}

/// Returns the memory of this process in KiB, as Linux counts it.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
