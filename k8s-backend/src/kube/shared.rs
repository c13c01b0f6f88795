//! One watch over all our Jobs, from which every watcher is served.
//!
//! kube's watcher keeps it going: it lists again when its version has expired, takes bookmarks, and backs off. Here its
//! events go into a store and to those who follow a Job of that name. The watch begins with the first watcher and ends with
//! the backend and its last watcher.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt as _;
use job_spec::labels;
use k8s_openapi::api::{batch::v1::Job, core::v1::PodTemplateSpec};
use kube::{
    Api,
    runtime::{
        WatchStreamExt as _,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use tokio::{sync::watch, task::JoinHandle};

use super::convert_error::convert_watch;
use crate::{
    BoxError,
    error::{BackendError, ErrorKind},
};

/// How long the server lets one watch last, in seconds. It is also the time after which a connection that died without a
/// word is noticed.
const WATCH_SECONDS: u32 = 120;

/// The shared watch and everyone who follows a Job by it.
pub(super) struct Shared {
    pub(super) jobs: Api<Job>,
    namespace: String,
    hub: Arc<Hub>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What the task of the watch and the followers share; it does not keep the task alive.
struct Hub {
    state: Mutex<State>,
    health: watch::Sender<Health>,
}

#[derive(Default)]
struct State {
    store: Option<Store<Job>>,
    followed: BTreeMap<String, watch::Sender<Told>>,
}

/// How the watch fares.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    /// A whole list was read.
    pub(super) ready: bool,
    /// The last thing heard was an error, so the store may be old.
    pub(super) broken: bool,
    /// How often the server could not be asked.
    pub(super) failures: u64,
    last: Option<Failure>,
}

/// Why the server could not be asked; every follower is told.
#[derive(Debug, Clone)]
struct Failure {
    kind: ErrorKind,
    source: Arc<dyn std::error::Error + Send + Sync>,
}

/// What the watch has told of one name last.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) job: Option<Arc<Job>>,
    pub(super) fate: Fate,
}

/// What became of the Job that was told last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is there.
    #[default]
    There,
    /// The watch has seen it go.
    Deleted,
    /// A new list does not hold it. The list may be older than the Job.
    NotListed,
}

impl Shared {
    pub(super) fn new(jobs: Api<Job>, namespace: String) -> Self {
        let hub = Hub { state: Mutex::default(), health: watch::Sender::default() };
        Self { jobs, namespace, hub: Arc::new(hub), task: Mutex::default() }
    }

    /// Follows a name: what is known of it now, and everything that comes.
    pub(super) fn subscribe(self: &Arc<Self>, name: &str) -> Subscription {
        self.run();
        let health = self.hub.health.subscribe();
        let mut state = self.hub.state();
        let known = state.get(name, &self.namespace);
        let begin = || watch::Sender::new(Told { job: known, fate: Fate::There });
        let told = state.followed.entry(name.to_owned()).or_insert_with(begin).subscribe();
        let failures = health.borrow().failures;
        Subscription { shared: Arc::clone(self), name: name.to_owned(), told, health, failures }
    }

    /// Starts the watch unless it runs.
    fn run(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // It never ends by itself, but a runtime that it ran on may have.
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let mut writer = Writer::default();
        self.hub.state().store = Some(writer.as_reader());
        self.hub.health.send_replace(Health::default());
        let ours = watcher::Config::default().labels(&labels::selector()).timeout(WATCH_SECONDS);
        let events = watcher(self.jobs.clone(), ours).default_backoff();
        let (hub, namespace) = (Arc::clone(&self.hub), self.namespace.clone());
        *task = Some(tokio::spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                hub.take(event, &mut writer, &namespace);
            }
        }));
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

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event of the watch into the store, and tells those whom it concerns.
    fn take(&self, event: watcher::Result<Event<Job>>, writer: &mut Writer<Job>, namespace: &str) {
        let event = match event {
            Ok(event) => event.modify(prune),
            Err(error) => return self.fail(error),
        };
        let state = self.state();
        writer.apply_watcher_event(&event);
        match event {
            Event::Apply(job) => {
                state.tell(&job, |told| *told = Told { job: Some(Arc::new(job.clone())), fate: Fate::There });
            }
            Event::Delete(job) => {
                state.tell(&job, |told| {
                    *told = Told { job: Some(Arc::new(job.clone())), fate: Fate::Deleted }
                });
            }
            Event::InitDone => state.tell_all(namespace),
            Event::Init | Event::InitApply(_) => return,
        }
        drop(state);
        self.health.send_if_modified(|health| {
            let news = !health.ready || health.broken;
            (health.ready, health.broken) = (true, false);
            news
        });
    }

    fn fail(&self, error: watcher::Error) {
        // Names no Job: every follower puts in its own.
        let Some(BackendError { kind, source, .. }) = convert_watch("", error) else { return };
        tracing::debug!(error = %source, "the watch over all Jobs failed and will be tried again");
        self.health.send_modify(|health| {
            health.broken = true;
            health.failures += 1;
            health.last = Some(Failure { kind, source: Arc::from(source) });
        });
    }
}

impl State {
    fn get(&self, name: &str, namespace: &str) -> Option<Arc<Job>> {
        self.store.as_ref()?.get(&ObjectRef::new(name).within(namespace))
    }

    fn tell(&self, job: &Job, change: impl FnOnce(&mut Told)) {
        if let Some(told) = job.metadata.name.as_ref().and_then(|name| self.followed.get(name)) {
            told.send_modify(change);
        }
    }

    /// After a whole list: everything that is followed is in it or not.
    fn tell_all(&self, namespace: &str) {
        for (name, told) in &self.followed {
            match self.get(name, namespace) {
                Some(job) => told.send_modify(|told| *told = Told { job: Some(job), fate: Fate::There }),
                None => told.send_modify(|told| {
                    if told.fate == Fate::There {
                        told.fate = Fate::NotListed;
                    }
                }),
            }
        }
    }
}

/// Someone who follows a name.
pub(super) struct Subscription {
    pub(super) shared: Arc<Shared>,
    pub(super) name: String,
    pub(super) told: watch::Receiver<Told>,
    health: watch::Receiver<Health>,
    failures: u64,
}

impl Subscription {
    /// Waits until the watch has read a whole list once.
    ///
    /// # Errors
    /// If the server could not be asked meanwhile.
    pub(super) async fn ready(&mut self) -> Result<Health, (ErrorKind, BoxError)> {
        loop {
            let health = self.health.borrow_and_update().clone();
            self.check(&health)?;
            if health.ready {
                return Ok(health);
            }
            // The hub that sends lives as long as this subscription.
            let _ = self.health.changed().await;
        }
    }

    /// Waits for news of the name.
    ///
    /// # Errors
    /// If the server could not be asked meanwhile.
    pub(super) async fn news(&mut self) -> Result<Told, (ErrorKind, BoxError)> {
        loop {
            tokio::select! {
                biased;
                _ = self.told.changed() => return Ok(self.told.borrow_and_update().clone()),
                _ = self.health.changed() => {
                    let health = self.health.borrow_and_update().clone();
                    self.check(&health)?;
                }
            }
        }
    }

    fn check(&self, health: &Health) -> Result<(), (ErrorKind, BoxError)> {
        match &health.last {
            Some(failure) if health.failures != self.failures => {
                Err((failure.kind, Box::new(Arc::clone(&failure.source))))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.shared.hub.state();
        // The receiver of this subscription is still counted.
        if state.followed.get(&self.name).is_some_and(|told| told.receiver_count() <= 1) {
            state.followed.remove(&self.name);
        }
    }
}

/// Drops what no phase is made of and what may be secret: the pod, with a payload of up to 128 KiB, would be kept for every Job.
pub(super) fn prune(job: &mut Job) {
    job.metadata.managed_fields = None;
    if let Some(spec) = &mut job.spec {
        spec.template = PodTemplateSpec::default();
    }
}
