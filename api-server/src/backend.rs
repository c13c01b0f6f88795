//! Chooses where Kubernetes Jobs run: as processes of this machine, or in a cluster.
//!
//! A backend runs Jobs of any program; which labels and annotations ours have is passed to it here.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context as _, bail};
use config_core::{EnvSnapshot, EphemeralSettings};
use job_spec::{attempt_api::TERMINATION_LOG_ENV, labels};
use k8s_backend::{JobBackend, JobRules, KubeBackend, KubeOptions, LocalBackend, LocalOptions};

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
            let local = LocalOptions::new(data.folder("local-backend")?)
                .termination_variable(TERMINATION_LOG_ENV)
                .secrets(secrets)
                .entry_point(entry_point)
                .environment(environment.iter())
                .rules(job_rules())
                .retention(settings.local_job_retention.value.into());
            Ok(Arc::new(LocalBackend::open(local).await.context("cannot start the local backend")?))
        }
        Backend::Kubernetes => {
            let backend = KubeBackend::connect(kube_options(settings.namespace.value.as_str())).await;
            let backend = backend.context("cannot connect to a Kubernetes cluster")?;
            // Missing rights of the role are logged now, not when the first job starts.
            backend.start_watches();
            Ok(Arc::new(backend))
        }
    }
}

/// Returns the rules for our Kubernetes Jobs.
///
/// Every attempt is found by its labels, and its objects are compared by the hash of their content. A Job
/// without them was not created by this server.
#[must_use]
pub fn job_rules() -> JobRules {
    JobRules::new()
        .identity_annotation(labels::SPEC_HASH)
        .require_identity()
        .require_labels([
            labels::ORGANIZATION_ID,
            labels::WORKSPACE_ID,
            labels::JOB_ID,
            labels::STEP_NUMBER,
            labels::ATTEMPT,
        ])
        .require_secret_use()
}

/// Returns the options of the Kubernetes backend.
#[must_use]
pub fn kube_options(namespace: &str) -> KubeOptions {
    KubeOptions::new()
        .namespace(namespace)
        .watch_label(labels::MANAGED_BY, labels::MANAGED_BY_VALUE)
        .field_manager(labels::MANAGED_BY_VALUE)
        .user_agent(concat!("ephemeral-agents/", env!("CARGO_PKG_VERSION")))
        .rules(job_rules())
}

fn executor_program(options: &Serve) -> anyhow::Result<PathBuf> {
    let program = match &options.executor_program {
        Some(program) => program.clone(),
        None => std::env::current_exe()
            .context("cannot find the path of this program")?
            .with_file_name("executor"),
    };
    if !program.is_file() {
        bail!("executor program {program:?} not found; set its path with --executor-program");
    }
    fs::canonicalize(&program).with_context(|| format!("cannot use the executor program {program:?}"))
}
