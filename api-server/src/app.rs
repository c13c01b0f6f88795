//! Puts the server together, runs it, and stops it in order.

use std::{
    collections::BTreeMap,
    fs,
    future::IntoFuture as _,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use config_core::{EnvSnapshot, EphemeralSettings, Policy, Problems, SettingsFile};
use k8s_backend::{JobBackend, KubeBackend, LocalBackend, LocalOptions, Patience, Retrying};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    blobs::Blobs,
    cli::{Backend, Cli, Command, Serve},
    explain,
    logs::Logs,
    orchestrator::Orchestrator,
    routes::{AppState, router},
    secret_box::{SecretBox, write_private_file},
    services::Services,
    store::Store,
    token::{TokenHash, new_token},
};

const ADMIN: &str = "admin";

/// Requests that run when the server is told to stop get this long.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Runs the command of the command line.
///
/// # Errors
/// What keeps the server from starting, or made it stop; what cannot be explained.
pub async fn run(cli: Cli, environment: EnvSnapshot) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(options) => serve(options, &environment).await.map(|()| ExitCode::SUCCESS),
        Command::Explain(options) => explain::run(&options, &environment),
    }
}

async fn serve(options: Serve, environment: &EnvSnapshot) -> anyhow::Result<()> {
    let settings = read_settings(options.settings.as_deref(), environment)?;
    let policy = read_policy(options.policy.as_deref())?;
    let data = DataDir::make(&options.data_dir)?;
    let secrets = match &options.encryption_key_file {
        Some(path) => SecretBox::read(path)?,
        None => SecretBox::read_or_make(&data.path("encryption-key"))?,
    };
    let store = Store::open(&data.path("store.sqlite"), secrets.clone()).await?;
    let admin_token = match &options.admin_token_file {
        Some(path) => path.clone(),
        None => made_admin_token(data.path("admin-token"))?,
    };
    take_admin_token(&store, &admin_token).await?;

    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let address = listener.local_addr().context("the listener has no address")?;
    let api_url = match &options.api_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{address}"),
    };

    let services = Arc::new(Services {
        backend: open_backend(&options, &data, &settings, environment).await?,
        store,
        blobs: Blobs::new(&data.folder("blobs")?, secrets),
        logs: Logs::new(&data.folder("logs")?),
        settings,
        policy,
        api_url,
        pod_start_patience: options.pod_start_patience,
        local_sources: options.backend == Backend::Local,
    });
    run_until_stopped(services, listener).await
}

pub(crate) fn read_settings(
    path: Option<&Path>,
    environment: &EnvSnapshot,
) -> anyhow::Result<EphemeralSettings> {
    let file = read_file("settings", path, SettingsFile::parse)?;
    EphemeralSettings::load_with(environment, file.as_ref())
        .context("the settings for executors are not usable")
}

pub(crate) fn read_policy(path: Option<&Path>) -> anyhow::Result<Policy> {
    Ok(read_file("policy", path, Policy::parse)?.unwrap_or_default())
}

fn read_file<T>(
    what: &str,
    path: Option<&Path>,
    parse: fn(&str) -> Result<T, Problems>,
) -> anyhow::Result<Option<T>> {
    let Some(path) = path else { return Ok(None) };
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the {what} file {path:?}"))?;
    parse(&text).map(Some).with_context(|| format!("the {what} file {path:?} is not usable"))
}

/// Serves until a signal comes. If the orchestrator dies, the server ends: one that answers but does nothing helps nobody.
async fn run_until_stopped(services: Arc<Services>, listener: TcpListener) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let (orchestrator, mut orchestrating) = Orchestrator::start(Arc::clone(&services), shutdown.clone());
    let address = listener.local_addr().context("the listener has no address")?;
    let state = AppState { services: Arc::clone(&services), orchestrator, shutdown: shutdown.clone() };
    let server = axum::serve(listener, router(state))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned())
        .into_future();
    let mut server = tokio::spawn(server);
    announce(&format!("listening on http://{address}"));

    let outcome = tokio::select! {
        signal = stop_signal() => signal.context("cannot wait for signals"),
        _ = &mut orchestrating => Err(anyhow::anyhow!("the orchestrator has died")),
        ended = &mut server => Err(anyhow::anyhow!("the server has ended: {ended:?}")),
    };
    tracing::info!("stopping; Kubernetes Jobs that run go on and are found again at the next start");
    shutdown.cancel();
    if !server.is_finished() && tokio::time::timeout(STOP_PATIENCE, server).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    if !orchestrating.is_finished() {
        let _ = orchestrating.await;
    }
    services.store.close().await;
    outcome
}

async fn open_backend(
    options: &Serve,
    data: &DataDir,
    settings: &EphemeralSettings,
    environment: &EnvSnapshot,
) -> anyhow::Result<Arc<dyn JobBackend>> {
    match options.backend {
        Backend::Local => {
            let entry_point = executor_program(options)?;
            let secrets = data.folder("secrets")?;
            // In a cluster the operator makes these Secrets; an empty one is a valid start on a laptop.
            for name in settings.secrets.value.iter() {
                make_folder(&secrets.join(name))?;
            }
            let environment: BTreeMap<String, String> =
                environment.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let directory = data.folder("local-backend")?;
            let local = LocalOptions { directory, secrets, entry_point, environment };
            Ok(Arc::new(LocalBackend::open(local).await.context("the local backend cannot start")?))
        }
        Backend::Kubernetes => {
            let backend = KubeBackend::connect(&settings.namespace.value).await;
            let backend = backend.context("there is no Kubernetes cluster to talk to")?;
            // What the role does not allow is said now, not when the first job comes.
            backend.begin();
            Ok(Arc::new(Retrying::new(backend, Patience::default())))
        }
    }
}

fn executor_program(options: &Serve) -> anyhow::Result<PathBuf> {
    let program = match &options.executor_program {
        Some(program) => program.clone(),
        None => std::env::current_exe()
            .context("this program does not know its own path")?
            .with_file_name("executor"),
    };
    if !program.is_file() {
        bail!("there is no executor program at {program:?}; name it with --executor-program");
    }
    fs::canonicalize(&program).with_context(|| format!("cannot use the executor program {program:?}"))
}

/// Makes the first token at the first start. Later the file is left as it is, so that an operator may replace it.
fn made_admin_token(path: PathBuf) -> anyhow::Result<PathBuf> {
    if !path.exists() {
        write_private_file(&path, new_token(ADMIN).as_bytes())
            .with_context(|| format!("cannot write the admin token to {path:?}"))?;
        tracing::info!(?path, "made the admin token");
    }
    Ok(path)
}

/// Lets the holder of the token in this file in, and of no older one.
async fn take_admin_token(store: &Store, path: &Path) -> anyhow::Result<()> {
    let token =
        fs::read_to_string(path).with_context(|| format!("cannot read the admin token of {path:?}"))?;
    let token = token.trim();
    if token.len() < 16 {
        bail!("the admin token in {path:?} is too short: expected at least 16 characters");
    }
    store.put_token(ADMIN, &TokenHash::of(token)).await?;
    Ok(())
}

/// The data folder; only its owner can look into it. One server at a time uses it.
struct DataDir {
    root: PathBuf,
    _lock: fs::File,
}

impl DataDir {
    fn make(root: &Path) -> anyhow::Result<Self> {
        make_folder(root)?;
        let root = fs::canonicalize(root).with_context(|| format!("cannot use data folder {root:?}"))?;
        let lock = fs::File::create(root.join("lock"))
            .with_context(|| format!("cannot write to data folder {root:?}"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => bail!("another api-server uses data folder {root:?}"),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock data folder {root:?}"))
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        make_folder(&path)?;
        Ok(path)
    }
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make folder {path:?}"))
}

#[expect(clippy::print_stdout, reason = "the one line that programs which start this one wait for")]
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
