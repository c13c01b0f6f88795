//! Chooses where Kubernetes Jobs run: as processes of this machine, or in a cluster.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use config_core::{EnvSnapshot, EphemeralSettings};
use k8s_backend::{JobBackend, KubeBackend, LocalBackend, LocalOptions, Patience, Retrying};

use crate::{
    cli::{Backend, Serve},
    data_folder::{DataFolder, create_folder},
};

/// Opens the backend that the options name.
pub(crate) async fn open(
    options: &Serve,
    data: &DataFolder,
    settings: &EphemeralSettings,
    environment: &EnvSnapshot,
) -> anyhow::Result<Arc<dyn JobBackend>> {
    match options.backend {
        Backend::Local => {
            let entry_point = executor_program(options)?;
            let secrets = data.folder("secrets")?;
            // In a cluster the operator creates these Secrets; an empty one is a valid start on a laptop.
            for name in &settings.secrets.value {
                create_folder(&secrets.join(name.as_str()))?;
            }
            let environment: BTreeMap<String, String> =
                environment.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let directory = data.folder("local-backend")?;
            let local = LocalOptions { directory, secrets, entry_point, environment };
            Ok(Arc::new(LocalBackend::open(local).await.context("the local backend cannot start")?))
        }
        Backend::Kubernetes => {
            let backend = KubeBackend::connect(settings.namespace.value.as_str()).await;
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
