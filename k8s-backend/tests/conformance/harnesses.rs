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
        conformance::{Behaviour, Harness, SAMPLE_MOUNT, SAMPLE_TOKEN, sample_job, sample_submission},
    },
};
use k8s_openapi::api::batch::v1::Job;
use tempfile::TempDir;

/// How the Jobs of a scripted backend are to end.
type Behaviours = Mutex<BTreeMap<String, Behaviour>>;

fn end_of(behaviour: Behaviour) -> Option<Cause> {
    match behaviour {
        Behaviour::Exits(0) | Behaviour::Prints(_) | Behaviour::ReadsSecret => Some(Cause::Completed),
        Behaviour::Exits(code) => Some(Cause::ExitCode(Some(code))),
        Behaviour::OverstaysDeadline => Some(Cause::DeadlineExceeded),
        _ => None,
    }
}

fn sample(name: &str, behaviour: Behaviour) -> Job {
    if behaviour == Behaviour::ReadsSecret { sample_submission(name).job } else { sample_job(name) }
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
    behaviours: Behaviours,
}

#[async_trait]
impl Harness for InMemoryHarness {
    fn backend(&self) -> Arc<dyn JobBackend> {
        Arc::new(self.backend.clone())
    }

    fn job(&self, name: &str, behaviour: Behaviour) -> Job {
        self.behaviours.lock().unwrap().insert(name.to_owned(), behaviour);
        sample(name, behaviour)
    }

    async fn start(&self, name: &str) {
        self.backend.start(name);
    }

    async fn let_go(&self, name: &str) {
        let end = if self.backend.is_cancelled(name) {
            Cause::Deleted
        } else {
            end_of(self.behaviours.lock().unwrap()[name]).unwrap()
        };
        self.backend.finish(name, end);
    }

    async fn go_away(&self) {
        self.backend.go_away();
    }

    async fn come_back(&self) {
        self.backend.come_back();
    }

    async fn printed(&self, _name: &str) -> Option<u64> {
        None
    }

    async fn secret_is_left(&self, name: &str) -> Option<bool> {
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
        harness.come_back().await;
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

    fn job(&self, name: &str, behaviour: Behaviour) -> Job {
        // No process may outlive a test that failed, so each of them looks whether the folder is still there.
        let folder = self.folder.path().display();
        let for_ever = format!("while [ -d '{folder}' ]; do sleep 0.1; done");
        let signal = self.signal(name);
        let wait = format!("while [ -d '{folder}' ] && ! [ -e '{}' ]; do sleep 0.05; done", signal.display());
        let script = match behaviour {
            Behaviour::Exits(code) => format!("{wait}; exit {code}"),
            Behaviour::Prints(bytes) => format!("{wait}; head -c {bytes} /dev/zero | tr '\\0' x"),
            Behaviour::ReadsSecret => {
                format!("{wait}; [ \"$TOKEN\" = {SAMPLE_TOKEN} ] && grep -qx {SAMPLE_TOKEN} \"$FILE\"")
            }
            Behaviour::IgnoresTerm => format!("trap '' TERM; {for_ever}"),
            _ => for_ever,
        };
        let mut job = sample(name, behaviour);
        let spec = job.spec.as_mut().unwrap();
        let pod = spec.template.spec.as_mut().unwrap();
        pod.containers[0].command = Some(["sh", "-c", &script].map(str::to_owned).into());
        match behaviour {
            Behaviour::NeverStarts => {
                let missing = serde_json::json!([{"secretRef": {"name": "not-there"}}]);
                pod.containers[0].env_from = Some(serde_json::from_value(missing).unwrap());
            }
            Behaviour::ReadsSecret => {
                let file = serde_json::json!({"name": "FILE", "value": format!("{SAMPLE_MOUNT}/token")});
                pod.containers[0].env.as_mut().unwrap().push(serde_json::from_value(file).unwrap());
            }
            Behaviour::IgnoresTerm => pod.termination_grace_period_seconds = Some(1),
            Behaviour::OverstaysDeadline => spec.active_deadline_seconds = Some(1),
            _ => {}
        }
        job
    }

    async fn start(&self, _name: &str) {}

    async fn let_go(&self, name: &str) {
        fs::write(self.signal(name), "").unwrap();
    }

    async fn go_away(&self) {
        self.current().close().await;
    }

    async fn come_back(&self) {
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

    async fn secret_is_left(&self, _name: &str) -> Option<bool> {
        Some(holds(&self.folder.path().join("jobs"), SAMPLE_TOKEN))
    }

    fn remembers_cancelled(&self) -> bool {
        true
    }
}

pub(crate) struct KubeHarness {
    server: ApiServer,
    behaviours: Behaviours,
}

impl KubeHarness {
    pub(crate) fn new() -> Self {
        Self { server: ApiServer::new("terrakube"), behaviours: Mutex::default() }
    }
}

#[async_trait]
impl Harness for KubeHarness {
    fn backend(&self) -> Arc<dyn JobBackend> {
        Arc::new(KubeBackend::new(self.server.client(), KubeOptions::new()))
    }

    fn job(&self, name: &str, behaviour: Behaviour) -> Job {
        self.behaviours.lock().unwrap().insert(name.to_owned(), behaviour);
        sample(name, behaviour)
    }

    async fn start(&self, name: &str) {
        // The kubelet starts no container whose Secret is not there.
        let wanted = self.server.object("jobs", name).unwrap();
        let reads_secret = wanted.pointer("/spec/template/spec/volumes").is_some();
        assert!(!reads_secret || self.server.object("secrets", name).is_some(), "it did not get its Secret");
        self.server.start_pod(name);
    }

    async fn let_go(&self, name: &str) {
        if self.server.is_being_deleted(name) {
            self.server.collect(name);
            return;
        }
        let end = match end_of(self.behaviours.lock().unwrap()[name]).unwrap() {
            Cause::Completed => PodEnd::Succeeds,
            Cause::ExitCode(Some(code)) => PodEnd::FailsByPolicy(code),
            _ => PodEnd::OverstaysDeadline,
        };
        self.server.end_pod(name, &end);
    }

    async fn go_away(&self) {
        self.server.go_away();
    }

    async fn come_back(&self) {
        self.server.come_back();
    }

    async fn printed(&self, _name: &str) -> Option<u64> {
        None
    }

    async fn secret_is_left(&self, name: &str) -> Option<bool> {
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

    fn job(&self, name: &str, behaviour: Behaviour) -> Job {
        self.0.job(name, behaviour)
    }

    async fn start(&self, name: &str) {
        self.0.start(name).await;
    }

    async fn let_go(&self, name: &str) {
        self.0.let_go(name).await;
    }

    async fn go_away(&self) {
        self.0.go_away().await;
    }

    async fn come_back(&self) {
        self.0.come_back().await;
    }

    async fn printed(&self, name: &str) -> Option<u64> {
        self.0.printed(name).await
    }

    async fn secret_is_left(&self, name: &str) -> Option<bool> {
        self.0.secret_is_left(name).await
    }

    fn remembers_cancelled(&self) -> bool {
        self.0.remembers_cancelled()
    }
}
