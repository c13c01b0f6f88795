//! What the conformance suite needs of each backend.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use k8s_backend::{
    Cause, JobBackend, KubeBackend, KubeOptions, LocalBackend, LocalOptions,
    testing::{
        ApiServer, InMemoryBackend, PodEnd,
        conformance::{Behavior, Harness, SAMPLE_MOUNT, SAMPLE_TOKEN, sample_job, sample_submission},
    },
};
use k8s_openapi::api::batch::v1::Job;
use tempfile::TempDir;

/// How the Jobs of a scripted backend are to end.
type Behaviors = Mutex<BTreeMap<String, Behavior>>;

fn end_of(behavior: Behavior) -> Option<Cause> {
    match behavior {
        Behavior::Exits(0) | Behavior::Prints(_) | Behavior::ReadsSecret => Some(Cause::Completed),
        Behavior::Exits(code) => Some(Cause::ExitCode(Some(code))),
        Behavior::ExceedsDeadline => Some(Cause::DeadlineExceeded),
        _ => None,
    }
}

fn sample(name: &str, behavior: Behavior) -> Job {
    if behavior == Behavior::ReadsSecret { sample_submission(name).job } else { sample_job(name) }
}

/// Tells whether a file below a folder holds a text.
fn holds(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holds(&path, text)
        } else {
            String::from_utf8_lossy(&fs::read(path).unwrap()).contains(text)
        }
    })
}

#[derive(Default)]
pub(crate) struct InMemoryHarness {
    backend: InMemoryBackend,
    behaviors: Behaviors,
}

#[async_trait]
impl Harness for InMemoryHarness {
    fn backend(&self) -> Arc<dyn JobBackend> {
        Arc::new(self.backend.clone())
    }

    fn job(&self, name: &str, behavior: Behavior) -> Job {
        self.behaviors.lock().unwrap().insert(name.to_owned(), behavior);
        sample(name, behavior)
    }

    async fn start(&self, name: &str) {
        self.backend.start(name);
    }

    async fn release(&self, name: &str) {
        let end = if self.backend.is_cancelled(name) {
            Cause::Deleted
        } else {
            end_of(self.behaviors.lock().unwrap()[name]).unwrap()
        };
        self.backend.finish(name, end);
    }

    async fn set_unavailable(&self) {
        self.backend.set_unavailable();
    }

    async fn set_available(&self) {
        self.backend.set_available();
    }

    async fn printed(&self, _name: &str) -> Option<u64> {
        None
    }

    async fn secret_remains(&self, name: &str) -> Option<bool> {
        Some(self.backend.secret(name).is_some())
    }

    fn remembers_cancelled(&self) -> bool {
        true
    }
}

pub(crate) struct LocalHarness {
    folder: TempDir,
    backend: Mutex<Option<Arc<LocalBackend>>>,
}

impl LocalHarness {
    pub(crate) async fn open() -> Self {
        let harness = Self { folder: tempfile::tempdir().unwrap(), backend: Mutex::default() };
        harness.set_available().await;
        harness
    }

    /// The containers wait for this file.
    fn signal(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.let-go"))
    }

    fn current(&self) -> Arc<LocalBackend> {
        Arc::clone(self.backend.lock().unwrap().as_ref().unwrap())
    }
}

#[async_trait]
impl Harness for LocalHarness {
    fn backend(&self) -> Arc<dyn JobBackend> {
        self.current()
    }

    fn job(&self, name: &str, behavior: Behavior) -> Job {
        // No process may outlive a test that failed, so each of them looks whether the folder is still there.
        let folder = self.folder.path().display();
        let for_ever = format!("while [ -d '{folder}' ]; do sleep 0.1; done");
        let signal = self.signal(name);
        let wait = format!("while [ -d '{folder}' ] && ! [ -e '{}' ]; do sleep 0.05; done", signal.display());
        let script = match behavior {
            Behavior::Exits(code) => format!("{wait}; exit {code}"),
            Behavior::Prints(bytes) => format!("{wait}; head -c {bytes} /dev/zero | tr '\\0' x"),
            Behavior::ReadsSecret => {
                format!("{wait}; [ \"$TOKEN\" = {SAMPLE_TOKEN} ] && grep -qx {SAMPLE_TOKEN} \"$FILE\"")
            }
            Behavior::IgnoresTerm => format!("trap '' TERM; {for_ever}"),
            _ => for_ever,
        };
        let mut job = sample(name, behavior);
        let spec = job.spec.as_mut().unwrap();
        let pod = spec.template.spec.as_mut().unwrap();
        pod.containers[0].command = Some(["sh", "-c", &script].map(str::to_owned).into());
        match behavior {
            Behavior::NeverStarts => {
                let missing = serde_json::json!([{"secretRef": {"name": "not-there"}}]);
                pod.containers[0].env_from = Some(serde_json::from_value(missing).unwrap());
            }
            Behavior::ReadsSecret => {
                let file = serde_json::json!({"name": "FILE", "value": format!("{SAMPLE_MOUNT}/token")});
                pod.containers[0].env.as_mut().unwrap().push(serde_json::from_value(file).unwrap());
            }
            Behavior::IgnoresTerm => pod.termination_grace_period_seconds = Some(1),
            Behavior::ExceedsDeadline => spec.active_deadline_seconds = Some(1),
            _ => {}
        }
        job
    }

    async fn start(&self, _name: &str) {}

    async fn release(&self, name: &str) {
        fs::write(self.signal(name), "").unwrap();
    }

    async fn set_unavailable(&self) {
        self.current().close().await;
    }

    async fn set_available(&self) {
        self.backend.lock().unwrap().take();
        let options = LocalOptions::new(self.folder.path().join("jobs"))
            .secrets(self.folder.path().join("secrets"))
            .environment([("PATH", "/usr/local/bin:/usr/bin:/bin")]);
        let opened = LocalBackend::open(options).await.unwrap();
        *self.backend.lock().unwrap() = Some(Arc::new(opened));
    }

    async fn printed(&self, name: &str) -> Option<u64> {
        Some(fs::metadata(self.current().output_of(name).unwrap()).unwrap().len())
    }

    async fn secret_remains(&self, _name: &str) -> Option<bool> {
        Some(holds(&self.folder.path().join("jobs"), SAMPLE_TOKEN))
    }

    fn remembers_cancelled(&self) -> bool {
        true
    }
}

pub(crate) struct KubeHarness {
    server: ApiServer,
    behaviors: Behaviors,
}

impl KubeHarness {
    pub(crate) fn new() -> Self {
        Self { server: ApiServer::new("terrakube"), behaviors: Mutex::default() }
    }
}

#[async_trait]
impl Harness for KubeHarness {
    fn backend(&self) -> Arc<dyn JobBackend> {
        Arc::new(KubeBackend::new(self.server.client(), KubeOptions::new()))
    }

    fn job(&self, name: &str, behavior: Behavior) -> Job {
        self.behaviors.lock().unwrap().insert(name.to_owned(), behavior);
        sample(name, behavior)
    }

    async fn start(&self, name: &str) {
        // The kubelet starts no container whose Secret is not there.
        let wanted = self.server.object("jobs", name).unwrap();
        let reads_secret = wanted.pointer("/spec/template/spec/volumes").is_some();
        assert!(!reads_secret || self.server.object("secrets", name).is_some(), "it did not get its Secret");
        self.server.start_pod(name);
    }

    async fn release(&self, name: &str) {
        if self.server.is_terminating(name) {
            self.server.collect(name);
            return;
        }
        let end = match end_of(self.behaviors.lock().unwrap()[name]).unwrap() {
            Cause::Completed => PodEnd::Succeeds,
            Cause::ExitCode(Some(code)) => PodEnd::FailsByPolicy(code),
            _ => PodEnd::ExceedsDeadline,
        };
        self.server.end_pod(name, &end);
    }

    async fn set_unavailable(&self) {
        self.server.set_unavailable();
    }

    async fn set_available(&self) {
        self.server.set_available();
    }

    async fn printed(&self, _name: &str) -> Option<u64> {
        None
    }

    async fn secret_remains(&self, name: &str) -> Option<bool> {
        let job = self.server.object("jobs", name).unwrap_or_default();
        if job["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty()) {
            self.server.collect(name);
        }
        Some(self.server.object("secrets", name).is_some())
    }

    fn remembers_cancelled(&self) -> bool {
        false
    }
}

/// The Kubernetes backend behind pointers, as programs hold it.
pub(crate) struct SharedHarness(KubeHarness);

impl SharedHarness {
    pub(crate) fn new() -> Self {
        Self(KubeHarness::new())
    }
}

#[async_trait]
impl Harness for SharedHarness {
    fn backend(&self) -> Arc<dyn JobBackend> {
        let inner: Box<dyn JobBackend> = Box::new(self.0.backend());
        Arc::new(inner)
    }

    fn job(&self, name: &str, behavior: Behavior) -> Job {
        self.0.job(name, behavior)
    }

    async fn start(&self, name: &str) {
        self.0.start(name).await;
    }

    async fn release(&self, name: &str) {
        self.0.release(name).await;
    }

    async fn set_unavailable(&self) {
        self.0.set_unavailable().await;
    }

    async fn set_available(&self) {
        self.0.set_available().await;
    }

    async fn printed(&self, name: &str) -> Option<u64> {
        self.0.printed(name).await
    }

    async fn secret_remains(&self, name: &str) -> Option<bool> {
        self.0.secret_remains(name).await
    }

    fn remembers_cancelled(&self) -> bool {
        self.0.remembers_cancelled()
    }
}
