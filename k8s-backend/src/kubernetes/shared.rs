//! The watches that all watchers of a backend share: one over its Jobs, and one over their pods and one over
//! events where the role allows.
//!
//! kube's watcher keeps them open: it lists again when its version has expired, reads bookmarks, and backs
//! off. The watches start with the first watcher and stop with the backend and its last watcher.

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
    hub::{Health, Hub, OptionalWatches, WATCH_SECONDS},
    options::KubeOptions,
    related_watches,
    requests::Requests,
    subscription::Subscription,
};

/// What the clones of a backend and its watchers share.
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

    /// Subscribes to a name: what is known of it now, and every later change.
    pub(super) fn subscribe(&self, name: &str) -> Subscription {
        self.start();
        Subscription::new(Arc::clone(&self.hub), name.to_owned(), &self.namespace)
    }

    /// Starts the watches unless they run.
    pub(super) fn start(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // They never end by themselves, but the runtime that they ran on may have.
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let writer = Writer::default();
        self.hub.state().reset(&writer);
        self.hub.health.send_replace(Health::default());
        self.hub.optional_watches.send_replace(OptionalWatches::default());
        let selector = self.options.label_selector();
        let (jobs, namespace) = (self.jobs.clone(), self.namespace.clone());
        let jobs = watch_jobs(jobs, namespace, selector.clone(), writer, Arc::clone(&self.hub));
        let related = related_watches::watch(related_watches::Source {
            client: self.client.clone(),
            namespace: self.namespace.clone(),
            selector,
            requests: self.requests,
            hub: Arc::clone(&self.hub),
        });
        *task = Some(tokio::spawn(async { _ = tokio::join!(jobs, related) }));
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
    let config = watcher::Config::default().labels(&selector).timeout(WATCH_SECONDS);
    let mut events = std::pin::pin!(watcher(jobs, config).default_backoff());
    while let Some(event) = events.next().await {
        hub.apply(event, &mut writer, &namespace);
    }
}
