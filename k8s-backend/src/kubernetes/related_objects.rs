//! Pods and events by the Job that they belong to.
//!
//! Pure. Pods and events stay as they were seen last until their Job is deleted, because a Job ends after its
//! pod, and only that pod shows why. They and their Jobs are watched separately, so they arrive in any order.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{Event, Pod};

use crate::phase::{events::last_seen, keep};

/// How many pods of a Job are kept, the newest ones.
const MAX_PODS: usize = 4;

/// How many events are kept whose object is unknown (yet): those of other programs in the namespace are among
/// them.
const MAX_UNMATCHED_EVENTS: usize = 1000;

/// The pods and events of one Job.
#[derive(Debug, Clone, Default)]
pub(super) struct RelatedObjects {
    pub(super) pods: Vec<Pod>,
    pub(super) events: Vec<Event>,
}

/// The pods and events of all Jobs.
#[derive(Debug, Default)]
pub(super) struct RelatedIndex {
    jobs: BTreeMap<String, Entry>,
    /// The Job of each pod, by names.
    owners: BTreeMap<String, String>,
    unmatched: VecDeque<Event>,
}

#[derive(Debug, Default)]
struct Entry {
    related: Arc<RelatedObjects>,
    /// The Job was seen, and its deletion was not.
    job_exists: bool,
    /// The names of all its pods, and whether they exist.
    pods: BTreeMap<String, bool>,
}

impl RelatedObjects {
    /// Adds the state of a pod, unless a newer one is known.
    pub(super) fn add_pod(&mut self, pod: Pod) {
        if let Some(known) = self.pods.iter_mut().find(|known| known.metadata.uid == pod.metadata.uid) {
            if version(known) <= version(&pod) {
                *known = pod;
            }
            return;
        }
        self.pods.push(pod);
        self.pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
        let excess = self.pods.len().saturating_sub(MAX_PODS);
        self.pods.drain(..excess);
    }

    /// Adds an event: the last one of its kind about each object is kept.
    fn add_event(&mut self, event: Event) {
        let of_its_kind = |known: &Event| {
            (&known.involved_object, &known.reason) == (&event.involved_object, &event.reason)
        };
        match self.events.iter().position(of_its_kind) {
            Some(at) if last_seen(&self.events[at]) > last_seen(&event) => return,
            Some(at) => _ = self.events.remove(at),
            None => {}
        }
        self.events.push(event);
    }
}

fn version(pod: &Pod) -> Option<u64> {
    pod.metadata.resource_version.as_ref()?.parse().ok()
}

impl RelatedIndex {
    /// Returns of how many Jobs and pods something is kept.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.jobs.len(), self.owners.len())
    }

    /// Returns the pods and events of a Job.
    pub(super) fn of(&self, job: &str) -> Arc<RelatedObjects> {
        self.jobs.get(job).map(|entry| Arc::clone(&entry.related)).unwrap_or_default()
    }

    /// Records that a Job exists.
    pub(super) fn add_job(&mut self, job: &str) {
        if !self.jobs.get(job).is_some_and(|entry| entry.job_exists) {
            self.jobs.entry(job.to_owned()).or_default().job_exists = true;
            self.match_events(("Job", job), job);
        }
    }

    /// Forgets a deleted Job.
    pub(super) fn remove_job(&mut self, job: &str) {
        if let Some(entry) = self.jobs.get_mut(job) {
            entry.job_exists = false;
            self.remove_if_gone(job);
        }
    }

    /// Forgets all Jobs that are not in a whole list.
    pub(super) fn retain_jobs(&mut self, exists: impl Fn(&str) -> bool) {
        let gone: Vec<_> = self.jobs.keys().filter(|job| !exists(job)).cloned().collect();
        for job in gone {
            self.remove_job(&job);
        }
    }

    /// Adds the state of a pod, or the last one of a deleted pod. Returns the Job that it belongs to.
    pub(super) fn add_pod(&mut self, pod: Pod, exists: bool) -> Option<String> {
        let name = pod.metadata.name.clone()?;
        let job = owner(&pod)?.to_owned();
        let entry = self.jobs.entry(job.clone()).or_default();
        Arc::make_mut(&mut entry.related).add_pod(keep::pod(pod));
        entry.pods.insert(name.clone(), exists);
        if self.owners.insert(name.clone(), job.clone()).is_none() {
            self.match_events(("Pod", &name), &job);
        }
        self.remove_if_gone(&job);
        Some(job)
    }

    /// Records which pods exist.
    pub(super) fn set_pods(&mut self, names: &BTreeSet<String>) {
        let jobs: Vec<_> = self.jobs.keys().cloned().collect();
        for job in jobs {
            if let Some(entry) = self.jobs.get_mut(&job) {
                for (name, exists) in &mut entry.pods {
                    *exists &= names.contains(name);
                }
                self.remove_if_gone(&job);
            }
        }
    }

    /// Adds an event. Returns the Job that it belongs to, if that is known.
    pub(super) fn add_event(&mut self, event: Event) -> Option<String> {
        let event = keep::event(event)?;
        let name = event.involved_object.name.as_deref()?;
        let job = match event.involved_object.kind.as_deref() {
            Some("Job") => self.jobs.get_key_value(name).map(|(job, _)| job.clone()),
            _ => self.owners.get(name).cloned(),
        };
        if let Some(entry) = job.as_ref().and_then(|job| self.jobs.get_mut(job)) {
            Arc::make_mut(&mut entry.related).add_event(event);
        } else {
            self.unmatched.push_back(event);
            if self.unmatched.len() > MAX_UNMATCHED_EVENTS {
                self.unmatched.pop_front();
            }
        }
        job
    }

    /// Moves the events about an object to its Job that arrived before it was known.
    fn match_events(&mut self, (kind, name): (&str, &str), job: &str) {
        let Some(entry) = self.jobs.get_mut(job) else { return };
        let is_about = |event: &Event| {
            let about = &event.involved_object;
            about.kind.as_deref() == Some(kind) && about.name.as_deref() == Some(name)
        };
        if !self.unmatched.iter().any(is_about) {
            return;
        }
        let (own, others) = std::mem::take(&mut self.unmatched).into_iter().partition(is_about);
        self.unmatched = others;
        let own: VecDeque<Event> = own;
        for event in own {
            Arc::make_mut(&mut entry.related).add_event(event);
        }
    }

    /// Forgets a Job of which nothing exists any more, not even a pod.
    fn remove_if_gone(&mut self, job: &str) {
        let is_gone = |entry: &Entry| !entry.job_exists && entry.pods.values().all(|exists| !exists);
        if self.jobs.get(job).is_some_and(is_gone)
            && let Some(entry) = self.jobs.remove(job)
        {
            for name in entry.pods.keys() {
                self.owners.remove(name);
            }
        }
    }
}

/// Returns the name of the Job that owns a pod.
fn owner(pod: &Pod) -> Option<&str> {
    let owners = pod.metadata.owner_references.as_ref()?;
    owners.iter().find(|owner| owner.kind == "Job").map(|owner| owner.name.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, job: &str, version: u64) -> Pod {
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": job});
        let metadata = json!({"name": name, "uid": name, "resourceVersion": version.to_string(),
            "creationTimestamp": format!("2026-11-23T19:08:{:02}Z", version % 60), "ownerReferences": [owner]});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn event(kind: &str, name: &str, reason: &str, message: &str) -> Event {
        serde_json::from_value(json!({"metadata": {"name": "x"}, "reason": reason, "message": message,
            "involvedObject": {"kind": kind, "name": name, "uid": name}}))
        .unwrap()
    }

    fn messages(index: &RelatedIndex, job: &str) -> Vec<String> {
        index.of(job).events.iter().filter_map(|event| event.message.clone()).collect()
    }

    #[test]
    fn matches_events_to_jobs_in_any_order() {
        let mut index = RelatedIndex::default();
        assert_eq!(index.add_event(event("Job", "job-1", "FailedCreate", "quota")), None);
        assert_eq!(index.add_event(event("Pod", "job-1-x", "FailedScheduling", "no node")), None);
        assert_eq!(index.add_event(event("Pod", "of-another-program", "FailedScheduling", "no node")), None);
        index.add_job("job-1");
        assert_eq!(messages(&index, "job-1"), ["quota"]);
        assert_eq!(index.add_pod(pod("job-1-x", "job-1", 1), true).as_deref(), Some("job-1"));
        assert_eq!(messages(&index, "job-1"), ["quota", "no node"]);
        assert_eq!(
            index.add_event(event("Pod", "job-1-x", "FailedScheduling", "no room")).as_deref(),
            Some("job-1")
        );
        assert_eq!(messages(&index, "job-1"), ["quota", "no room"], "only the last event of a kind is kept");
        assert_eq!(index.unmatched.len(), 1);
    }

    #[test]
    fn keeps_deleted_pod_until_its_job_is_deleted() {
        let mut index = RelatedIndex::default();
        index.add_job("job-1");
        index.add_pod(pod("job-1-x", "job-1", 1), true);
        index.add_pod(pod("job-1-x", "job-1", 2), false);
        index.set_pods(&BTreeSet::new());
        assert_eq!(index.of("job-1").pods.len(), 1);
        index.remove_job("job-1");
        assert_eq!(index.sizes(), (0, 0));
    }

    #[test]
    fn keeps_nothing_of_deleted_objects() {
        let mut index = RelatedIndex::default();
        for number in 0..2000 {
            let (job, name) = (format!("job-{number}"), format!("job-{number}-x"));
            index.add_event(event("Pod", &name, "Started", "Container started"));
            index.add_pod(pod(&name, &job, 1), true);
            index.add_job(&job);
            match number % 3 {
                // The Job first, the pod first, and both while they were not watched.
                0 => {
                    index.remove_job(&job);
                    index.add_pod(pod(&name, &job, 2), false);
                }
                1 => {
                    index.add_pod(pod(&name, &job, 2), false);
                    index.remove_job(&job);
                }
                _ => {}
            }
            index.add_event(event("Job", &job, "FailedCreate", "of a deleted Job"));
        }
        index.retain_jobs(|_| false);
        index.set_pods(&BTreeSet::new());
        assert_eq!(index.sizes(), (0, 0));
        assert_eq!(index.unmatched.len(), MAX_UNMATCHED_EVENTS);
    }

    #[test]
    fn keeps_newest_pods_with_their_newest_state() {
        let mut related = RelatedObjects::default();
        for number in 1..=10 {
            related.add_pod(pod(&format!("pod-{number}"), "job-1", number));
        }
        let names: Vec<_> = related.pods.iter().filter_map(|pod| pod.metadata.name.clone()).collect();
        assert_eq!(names, ["pod-7", "pod-8", "pod-9", "pod-10"]);
        related.add_pod(pod("pod-10", "job-1", 9));
        assert_eq!(version(&related.pods[3]), Some(10), "a list may be older than the watch");
    }
}
