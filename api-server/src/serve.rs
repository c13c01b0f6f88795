//! Assembles the server, runs it, and stops it in order.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use config_core::EnvSnapshot;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    backend,
    blobs::Blobs,
    cli::{Backend, Serve},
    connections::{self, Limits},
    data_folder::{DataFolder, Sharing},
    encryption::{EncryptionKey, create_private_file},
    http::{AppState, router},
    logs::Logs,
    operator_files::{read_policy, read_settings},
    orchestrator::Orchestrator,
    services::{Services, rules},
    store::{PostgresAddress, Store},
    token::{TokenHash, new_token},
};

mod database;

const ADMIN: &str = "admin";

/// Requests that are running when the server stops get this long.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves the HTTP API and runs jobs until a signal comes.
pub(crate) async fn serve(options: Serve, environment: &EnvSnapshot) -> anyhow::Result<()> {
    let settings = read_settings(options.settings.as_deref(), environment)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let pod_start_timeout = options.pod_start_timeout.unwrap_or(settings.pod_start_timeout.value).into();
    let policy = read_policy(options.policy.as_deref())?;
    let database = database::address(&options, environment)?;
    // The processes of the local backend belong to one program.
    let sharing = match (&database, options.backend) {
        (Some(_), Backend::Kubernetes) => Sharing::Replicas,
        (None, _) | (_, Backend::Local) => Sharing::Exclusive,
    };
    let data = DataFolder::open(&options.data_dir, options.backend, sharing).await?;
    let secrets = match &options.encryption_key_file {
        Some(path) => EncryptionKey::read(path)?,
        None => EncryptionKey::read_or_create(&data.path("encryption-key"))?,
    };
    let store = open_store(&data, database, secrets.clone()).await?;
    let admin_token = match &options.admin_token_file {
        Some(path) => path.clone(),
        None => created_admin_token(data.path("admin-token"))?,
    };
    store_admin_token(&store, &admin_token).await?;

    connections::raise_open_file_limit(Limits::default());
    let listener = connections::listen(options.listen)
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let address = listener.local_addr().context("the listener has no address")?;
    let api_url = match &options.api_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{address}"),
    };

    let namespace =
        (options.backend == Backend::Kubernetes).then(|| settings.namespace.value.as_str().to_owned());
    let services = Arc::new(Services {
        backend: backend::open(&options, &data, &settings, environment).await?,
        store,
        blobs: Blobs::new(&data.folder("blobs")?, secrets),
        logs: Logs::new(&data.folder("logs")?),
        rules: rules(&settings, &api_url, namespace, pod_start_timeout),
        settings,
        policy,
        api_url,
        executor_temp: (options.backend == Backend::Local)
            .then(|| environment.get("TMPDIR").unwrap_or("/tmp").into()),
        local_sources: options.backend == Backend::Local,
    });
    run_until_stopped(services, listener).await
}

async fn open_store(
    data: &DataFolder,
    database: Option<PostgresAddress>,
    secrets: EncryptionKey,
) -> anyhow::Result<Store> {
    let Some(address) = database else { return Ok(Store::open(&data.path("store.sqlite"), secrets).await?) };
    tracing::info!(%address, "using PostgreSQL");
    let text = address.to_string();
    let store = Store::connect(address, secrets).await.with_context(|| format!("cannot use {text}"))?;
    store.bind_data_folder(&data.id()?).await.with_context(|| format!("cannot use {text}"))?;
    Ok(store)
}

/// Serves until a signal comes, or until the orchestrator ends: without it, the server would accept jobs and
/// run none.
async fn run_until_stopped(services: Arc<Services>, listener: TcpListener) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let (orchestrator, mut orchestrating) = Orchestrator::start(Arc::clone(&services), shutdown.clone());
    let address = listener.local_addr().context("the listener has no address")?;
    let state = AppState { services: Arc::clone(&services), orchestrator, shutdown: shutdown.clone() };
    let server = connections::serve(listener, router(state), Limits::default(), shutdown.clone());
    let mut server = tokio::spawn(server);
    announce(&format!("listening on http://{address}"));

    let outcome = tokio::select! {
        signal = stop_signal() => signal.context("cannot wait for signals"),
        _ = &mut orchestrating => Err(anyhow::anyhow!("the orchestrator has died")),
        ended = &mut server => Err(anyhow::anyhow!("the server has ended: {ended:?}")),
    };
    tracing::info!("stopping; running Kubernetes Jobs continue, the next start finds them");
    shutdown.cancel();
    if !server.is_finished() && tokio::time::timeout(STOP_TIMEOUT, server).await.is_err() {
        tracing::warn!("some requests did not end before the timeout");
    }
    if !orchestrating.is_finished() {
        let _ = orchestrating.await;
    }
    services.store.close().await;
    outcome
}

/// Creates the admin token at the first start. Later starts leave the file as it is, so that an operator may
/// replace it.
fn created_admin_token(path: PathBuf) -> anyhow::Result<PathBuf> {
    if !path.exists()
        && create_private_file(&path, new_token(ADMIN).expose_secret().as_bytes())
            .with_context(|| format!("cannot write the admin token to {path:?}"))?
    {
        tracing::info!(?path, "created the admin token");
    }
    Ok(path)
}

/// Stores the hash of the token in this file, in place of an older one.
async fn store_admin_token(store: &Store, path: &Path) -> anyhow::Result<()> {
    let token: SecretString =
        fs::read_to_string(path).with_context(|| format!("cannot read the admin token of {path:?}"))?.into();
    let token = token.expose_secret().trim();
    if token.len() < 16 {
        bail!("the admin token in {path:?} is too short: expected at least 16 characters");
    }
    store.put_token(ADMIN, &TokenHash::of(token)).await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "programs that start this one wait for this line")]
fn announce(line: &str) {
    println!("{line}");
}

async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
