//! What the watches have told, and those who are to hear of it.
//!
//! The watches write, the subscriptions read; neither lives here.

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
    evidence::{Archive, Evidence},
};
use crate::{
    abilities::Abilities,
    error::{BackendError, ErrorKind},
};

/// What the task of the watches and the followers share; it does not keep the task alive.
#[derive(Default)]
pub(super) struct Hub {
    state: Mutex<State>,
    pub(super) health: watch::Sender<Health>,
    pub(super) sight: watch::Sender<Sight>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) store: Option<Store<Job>>,
    pub(super) archive: Archive,
    pub(super) followed: BTreeMap<String, watch::Sender<Told>>,
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
    pub(super) last: Option<Failure>,
}

/// Why the server could not be asked; every follower is told.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) source: Arc<dyn std::error::Error + Send + Sync>,
}

/// What can be seen besides Jobs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sight {
    /// What the role allows; `None` while that is not known.
    pub(super) abilities: Option<Abilities>,
    /// The pods that there are were read once, or could not be.
    pub(super) has_pods: bool,
    /// The same for events.
    pub(super) has_events: bool,
}

impl Sight {
    /// Tells whether nothing more is to be expected than what happens anew.
    pub(super) fn is_whole(self) -> bool {
        self.abilities.is_some_and(|able| (self.has_pods || !able.pods) && (self.has_events || !able.events))
    }
}

/// What the watch has told of one name last.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) job: Option<Arc<Job>>,
    pub(super) fate: Fate,
    pub(super) evidence: Arc<Evidence>,
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

impl Hub {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event of the watch into the store, and tells those whom it concerns.
    pub(super) fn take(&self, event: watcher::Result<Event<Job>>, writer: &mut Writer<Job>, namespace: &str) {
        let event = match event {
            Ok(event) => event.modify(prune),
            Err(error) => return self.fail(error),
        };
        let mut state = self.state();
        writer.apply_watcher_event(&event);
        match event {
            Event::Apply(job) => state.tell_job(&job, Fate::There),
            Event::Delete(job) => state.tell_job(&job, Fate::Deleted),
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

    /// Takes in how a pod stands, or stood last.
    pub(super) fn take_pod(&self, pod: Pod, is_there: bool) {
        let mut state = self.state();
        let job = state.archive.pod(pod, is_there);
        state.tell_evidence(job.as_deref());
    }

    /// Takes in which pods there are.
    pub(super) fn pods_are(&self, names: &BTreeSet<String>) {
        self.state().archive.pods_are(names);
        self.sight.send_modify(|sight| sight.has_pods = true);
    }

    /// Takes an event in.
    pub(super) fn take_event(&self, event: v1::Event) {
        let mut state = self.state();
        let job = state.archive.event(event);
        state.tell_evidence(job.as_deref());
    }
}

impl State {
    /// Begins a store for a new watch.
    pub(super) fn begin(&mut self, writer: &Writer<Job>) {
        self.store = Some(writer.as_reader());
        self.archive = Archive::default();
    }

    pub(super) fn get(&self, name: &str, namespace: &str) -> Option<Arc<Job>> {
        self.store.as_ref()?.get(&ObjectRef::new(name).within(namespace))
    }

    /// Tells what is known of a name to someone who begins to follow it.
    pub(super) fn follow(&mut self, name: &str, namespace: &str) -> watch::Receiver<Told> {
        let job = self.get(name, namespace);
        let evidence = self.archive.of(name);
        let begin = || watch::Sender::new(Told { job, fate: Fate::There, evidence });
        self.followed.entry(name.to_owned()).or_insert_with(begin).subscribe()
    }

    fn tell_job(&mut self, job: &Job, fate: Fate) {
        let Some(name) = job.metadata.name.as_deref() else { return };
        if fate == Fate::There {
            self.archive.job_is_there(name);
        }
        if let Some(told) = self.followed.get(name) {
            let evidence = self.archive.of(name);
            told.send_replace(Told { job: Some(Arc::new(job.clone())), fate, evidence });
        }
        if fate == Fate::Deleted {
            self.archive.job_is_gone(name);
        }
    }

    fn tell_evidence(&self, job: Option<&str>) {
        let Some(job) = job else { return };
        if let Some(told) = self.followed.get(job) {
            told.send_modify(|told| told.evidence = self.archive.of(job));
        }
    }

    /// After a whole list: everything that is followed is in it or not.
    fn tell_all(&mut self, namespace: &str) {
        let Some(store) = self.store.clone() else { return };
        for job in store.state() {
            self.archive.job_is_there(job.metadata.name.as_deref().unwrap_or_default());
        }
        for (name, told) in &self.followed {
            match self.get(name, namespace) {
                Some(job) => {
                    let evidence = self.archive.of(name);
                    told.send_replace(Told { job: Some(job), fate: Fate::There, evidence });
                }
                None => told.send_modify(|told| {
                    if told.fate == Fate::There {
                        told.fate = Fate::NotListed;
                    }
                }),
            }
        }
        self.archive.jobs_are(|name| store.get(&ObjectRef::new(name).within(namespace)).is_some());
    }
}

/// Drops what no phase is made of and what may be secret: the pod, with a payload of up to 128 KiB, would be kept for every Job.
pub(super) fn prune(job: &mut Job) {
    job.metadata.managed_fields = None;
    if let Some(spec) = &mut job.spec {
        spec.template = PodTemplateSpec::default();
    }
}
