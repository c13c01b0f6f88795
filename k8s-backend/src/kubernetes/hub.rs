//! What the watches have reported, and the followers that are notified of it.
//!
//! The watches write, the subscriptions read; neither is here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{self, Pod, PodTemplateSpec},
};
use kube::runtime::{
    reflector::{ObjectRef, Store, store::Writer},
    watcher::{self, Event},
};
use tokio::sync::watch;

use super::{
    convert_error::convert_watch,
    related_objects::{RelatedIndex, RelatedObjects},
};
use crate::{
    abilities::Abilities,
    error::{BackendError, ErrorKind},
};

/// How long the server keeps one watch open, in seconds. It is also the time after which a silently broken
/// connection is noticed.
pub(super) const WATCH_SECONDS: u32 = 120;

/// What the task of the watches and the followers share; it does not keep the task alive.
#[derive(Default)]
pub(super) struct Hub {
    state: Mutex<State>,
    pub(super) health: watch::Sender<Health>,
    pub(super) optional_watches: watch::Sender<OptionalWatches>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) store: Option<Store<Job>>,
    pub(super) related: RelatedIndex,
    pub(super) followed: BTreeMap<String, watch::Sender<JobSnapshot>>,
}

/// Health of the watch over Jobs.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    /// A whole list was read.
    pub(super) ready: bool,
    /// The last event was an error, so the store may be outdated.
    pub(super) broken: bool,
    /// How many requests failed.
    pub(super) failures: u64,
    pub(super) last_failure: Option<Failure>,
}

/// Why a request of the watch failed; every follower gets it.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) source: Arc<dyn std::error::Error + Send + Sync>,
}

/// State of the watches that a role need not allow: over pods and over events.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OptionalWatches {
    /// What the role allows; `None` while that is unknown.
    pub(super) abilities: Option<Abilities>,
    /// The list of pods was read once, or could not be read.
    pub(super) has_pods: bool,
    /// The same for events.
    pub(super) has_events: bool,
}

impl OptionalWatches {
    /// Returns whether everything that exists was read as far as the role allows.
    pub(super) fn are_complete(self) -> bool {
        self.abilities.is_some_and(|able| (self.has_pods || !able.pods) && (self.has_events || !able.events))
    }
}

/// The last state of one name in the watches.
#[derive(Debug, Clone, Default)]
pub(super) struct JobSnapshot {
    pub(super) job: Option<Arc<Job>>,
    pub(super) presence: Presence,
    pub(super) related: Arc<RelatedObjects>,
}

/// Whether the last seen Job still exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Presence {
    /// It exists.
    #[default]
    Present,
    /// The watch has seen its deletion.
    Deleted,
    /// A new list does not contain it. The list may be older than the Job.
    NotListed,
}

impl Hub {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies an event of the watch to the store, and notifies the followers of the Job.
    pub(super) fn apply(
        &self,
        event: watcher::Result<Event<Job>>,
        writer: &mut Writer<Job>,
        namespace: &str,
    ) {
        let event = match event {
            Ok(event) => event.modify(prune),
            Err(error) => return self.fail(error),
        };
        let mut state = self.state();
        writer.apply_watcher_event(&event);
        match event {
            Event::Apply(job) => state.publish_job(&job, Presence::Present),
            Event::Delete(job) => state.publish_job(&job, Presence::Deleted),
            Event::InitDone => state.publish_list(namespace),
            Event::Init | Event::InitApply(_) => return,
        }
        drop(state);
        self.health.send_if_modified(|health| {
            let changes = !health.ready || health.broken;
            (health.ready, health.broken) = (true, false);
            changes
        });
    }

    fn fail(&self, error: watcher::Error) {
        // The error names no Job: every follower adds its own.
        let Some(BackendError { kind, source, .. }) = convert_watch("", error) else { return };
        tracing::debug!(error = %source, "the watch over Jobs failed, retrying");
        self.health.send_modify(|health| {
            health.broken = true;
            health.failures += 1;
            health.last_failure = Some(Failure { kind, source: Arc::from(source) });
        });
    }

    /// Records the state of a pod, or the last one of a deleted pod.
    pub(super) fn apply_pod(&self, pod: Pod, exists: bool) {
        let mut state = self.state();
        let job = state.related.add_pod(pod, exists);
        state.publish_related(job.as_deref());
    }

    /// Records which pods exist.
    pub(super) fn set_pods(&self, names: &BTreeSet<String>) {
        self.state().related.set_pods(names);
        self.optional_watches.send_modify(|watches| watches.has_pods = true);
    }

    /// Records an event.
    pub(super) fn apply_event(&self, event: v1::Event) {
        let mut state = self.state();
        let job = state.related.add_event(event);
        state.publish_related(job.as_deref());
    }
}

impl State {
    /// Forgets everything, for new watches.
    pub(super) fn reset(&mut self, writer: &Writer<Job>) {
        self.store = Some(writer.as_reader());
        self.related = RelatedIndex::default();
    }

    pub(super) fn get(&self, name: &str, namespace: &str) -> Option<Arc<Job>> {
        self.store.as_ref()?.get(&ObjectRef::new(name).within(namespace))
    }

    /// Returns a receiver of the snapshots of a name; the current one is in it.
    pub(super) fn follow(&mut self, name: &str, namespace: &str) -> watch::Receiver<JobSnapshot> {
        let job = self.get(name, namespace);
        let related = self.related.of(name);
        let first = || watch::Sender::new(JobSnapshot { job, presence: Presence::Present, related });
        self.followed.entry(name.to_owned()).or_insert_with(first).subscribe()
    }

    fn publish_job(&mut self, job: &Job, presence: Presence) {
        let Some(name) = job.metadata.name.as_deref() else { return };
        if presence == Presence::Present {
            self.related.add_job(name);
        }
        if let Some(snapshots) = self.followed.get(name) {
            let related = self.related.of(name);
            snapshots.send_replace(JobSnapshot { job: Some(Arc::new(job.clone())), presence, related });
        }
        if presence == Presence::Deleted {
            self.related.remove_job(name);
        }
    }

    fn publish_related(&self, job: Option<&str>) {
        let Some(job) = job else { return };
        if let Some(snapshots) = self.followed.get(job) {
            snapshots.send_modify(|snapshot| snapshot.related = self.related.of(job));
        }
    }

    /// Compares everything that is followed with a whole list.
    fn publish_list(&mut self, namespace: &str) {
        let Some(store) = self.store.clone() else { return };
        for job in store.state() {
            self.related.add_job(job.metadata.name.as_deref().unwrap_or_default());
        }
        for (name, snapshots) in &self.followed {
            match self.get(name, namespace) {
                Some(job) => {
                    let related = self.related.of(name);
                    let presence = Presence::Present;
                    snapshots.send_replace(JobSnapshot { job: Some(job), presence, related });
                }
                None => snapshots.send_modify(|snapshot| {
                    if snapshot.presence == Presence::Present {
                        snapshot.presence = Presence::NotListed;
                    }
                }),
            }
        }
        self.related.retain_jobs(|name| store.get(&ObjectRef::new(name).within(namespace)).is_some());
    }
}

/// Removes what no phase is read from and what may be secret: the pod template, with a payload of up to 128
/// KiB, would be kept for every Job.
pub(super) fn prune(job: &mut Job) {
    job.metadata.managed_fields = None;
    if let Some(spec) = &mut job.spec {
        spec.template = PodTemplateSpec::default();
    }
}
