//! One watch over all our Jobs, from which every watcher is served; and one of their pods and one of events, if the role
//! allows.
//!
//! kube's watcher keeps them going: it lists again when its version has expired, takes bookmarks, and backs off. The watches
//! begin with the first watcher and end with the backend and its last watcher.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt as _,
        reflector::store::Writer,
        watcher::{self, watcher},
    },
};
use tokio::task::JoinHandle;

use super::{
    beside,
    hub::{Health, Hub, Sight},
    options::KubeOptions,
    requests::Requests,
    subscription::Subscription,
};

/// How long the server lets one watch last, in seconds. It is also the time after which a connection that died without a
/// word is noticed.
pub(super) const WATCH_SECONDS: u32 = 120;

/// The shared watches and everyone who follows a Job by them.
pub(super) struct Shared {
    pub(super) jobs: Api<Job>,
    pub(super) pods: Api<Pod>,
    pub(super) hub: Arc<Hub>,
    pub(super) namespace: String,
    pub(super) options: KubeOptions,
    pub(super) requests: Requests,
    client: Client,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Shared {
    pub(super) fn new(client: Client, options: KubeOptions) -> Self {
        let namespace = options.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
        let requests = Requests { timeout: options.timeouts.request };
        let jobs = Api::namespaced(client.clone(), &namespace);
        let pods = Api::namespaced(client.clone(), &namespace);
        Self { jobs, pods, hub: Arc::default(), namespace, options, requests, client, task: Mutex::default() }
    }

    /// Follows a name: what is known of it now, and everything that comes.
    pub(super) fn subscribe(self: &Arc<Self>, name: &str) -> Subscription {
        self.run();
        let told = self.hub.state().follow(name, &self.namespace);
        Subscription::new(Arc::clone(self), name.to_owned(), told)
    }

    /// Starts the watches unless they run.
    pub(super) fn run(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // They never end by themselves, but a runtime that they ran on may have.
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let writer = Writer::default();
        self.hub.state().begin(&writer);
        self.hub.health.send_replace(Health::default());
        self.hub.sight.send_replace(Sight::default());
        let selector = self.options.label_selector();
        let jobs = watch_jobs(
            self.jobs.clone(),
            self.namespace.clone(),
            selector.clone(),
            writer,
            Arc::clone(&self.hub),
        );
        let beside = beside::watch(beside::Source {
            client: self.client.clone(),
            namespace: self.namespace.clone(),
            selector,
            requests: self.requests,
            hub: Arc::clone(&self.hub),
        });
        *task = Some(tokio::spawn(async { _ = tokio::join!(jobs, beside) }));
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            task.abort();
        }
    }
}

async fn watch_jobs(
    jobs: Api<Job>,
    namespace: String,
    selector: String,
    mut writer: Writer<Job>,
    hub: Arc<Hub>,
) {
    let ours = watcher::Config::default().labels(&selector).timeout(WATCH_SECONDS);
    let mut events = std::pin::pin!(watcher(jobs, ours).default_backoff());
    while let Some(event) = events.next().await {
        hub.take(event, &mut writer, &namespace);
    }
}
