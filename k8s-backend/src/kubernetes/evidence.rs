//! What pods and events have told, sorted by the Job that they belong to.
//!
//! Pure. Pods and events stay as they were seen last until their Job goes, because a Job ends after its pod, and only that
//! pod knows why. They and their Jobs come on different ways, in any order.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use k8s_openapi::api::core::v1::{Event, Pod};

use crate::phase::{events::last_seen, keep};

/// How many pods of a Job are kept. Its phase is made of the newest one.
const PODS: usize = 4;

/// How many events are kept whose object is not known (yet): those of other programs in the namespace are among them.
const LOOSE: usize = 1000;

/// What is known of one Job besides itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    pub(super) pods: Vec<Pod>,
    pub(super) events: Vec<Event>,
}

/// What is known of all Jobs besides themselves.
#[derive(Debug, Default)]
pub(super) struct Archive {
    files: BTreeMap<String, File>,
    /// The Job of each pod, by names.
    owners: BTreeMap<String, String>,
    loose: VecDeque<Event>,
}

#[derive(Debug, Default)]
struct File {
    evidence: Arc<Evidence>,
    /// The Job was seen, and was not seen going.
    job_is_there: bool,
    /// The names of all its pods, and whether they are there.
    pods: BTreeMap<String, bool>,
}

impl Evidence {
    /// Takes a pod in, unless something newer of it is known.
    pub(super) fn add_pod(&mut self, pod: Pod) {
        if let Some(known) = self.pods.iter_mut().find(|known| known.metadata.uid == pod.metadata.uid) {
            if version(known) <= version(&pod) {
                *known = pod;
            }
            return;
        }
        self.pods.push(pod);
        self.pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
        let surplus = self.pods.len().saturating_sub(PODS);
        self.pods.drain(..surplus);
    }

    /// Takes an event in: the last one of its kind about each object counts.
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

impl Archive {
    /// Tells of how many Jobs and pods something is kept.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.files.len(), self.owners.len())
    }

    /// Returns what is known of a Job.
    pub(super) fn of(&self, job: &str) -> Arc<Evidence> {
        self.files.get(job).map(|file| Arc::clone(&file.evidence)).unwrap_or_default()
    }

    /// Notes that a Job is there.
    pub(super) fn job_is_there(&mut self, job: &str) {
        if !self.files.get(job).is_some_and(|file| file.job_is_there) {
            self.files.entry(job.to_owned()).or_default().job_is_there = true;
            self.sort_in(("Job", job), job);
        }
    }

    /// Forgets a Job that has gone.
    pub(super) fn job_is_gone(&mut self, job: &str) {
        if let Some(file) = self.files.get_mut(job) {
            file.job_is_there = false;
            self.drop_if_over(job);
        }
    }

    /// Forgets all Jobs that are not in a whole list.
    pub(super) fn jobs_are(&mut self, is_there: impl Fn(&str) -> bool) {
        let gone: Vec<_> = self.files.keys().filter(|job| !is_there(job)).cloned().collect();
        for job in gone {
            self.job_is_gone(&job);
        }
    }

    /// Takes in how a pod stands, or stood last. Returns the Job that it belongs to.
    pub(super) fn pod(&mut self, pod: Pod, is_there: bool) -> Option<String> {
        let name = pod.metadata.name.clone()?;
        let job = owner(&pod)?.to_owned();
        let file = self.files.entry(job.clone()).or_default();
        Arc::make_mut(&mut file.evidence).add_pod(keep::pod(pod));
        file.pods.insert(name.clone(), is_there);
        if self.owners.insert(name.clone(), job.clone()).is_none() {
            self.sort_in(("Pod", &name), &job);
        }
        self.drop_if_over(&job);
        Some(job)
    }

    /// Takes in which pods there are.
    pub(super) fn pods_are(&mut self, names: &BTreeSet<String>) {
        let jobs: Vec<_> = self.files.keys().cloned().collect();
        for job in jobs {
            if let Some(file) = self.files.get_mut(&job) {
                for (name, is_there) in &mut file.pods {
                    *is_there &= names.contains(name);
                }
                self.drop_if_over(&job);
            }
        }
    }

    /// Takes an event in. Returns the Job that it belongs to, if that is known.
    pub(super) fn event(&mut self, event: Event) -> Option<String> {
        let event = keep::event(event)?;
        let name = event.involved_object.name.as_deref()?;
        let job = match event.involved_object.kind.as_deref() {
            Some("Job") => self.files.get_key_value(name).map(|(job, _)| job.clone()),
            _ => self.owners.get(name).cloned(),
        };
        if let Some(file) = job.as_ref().and_then(|job| self.files.get_mut(job)) {
            Arc::make_mut(&mut file.evidence).add_event(event);
        } else {
            self.loose.push_back(event);
            if self.loose.len() > LOOSE {
                self.loose.pop_front();
            }
        }
        job
    }

    /// Gives a Job the events about an object that came before it was known.
    fn sort_in(&mut self, (kind, name): (&str, &str), job: &str) {
        let Some(file) = self.files.get_mut(job) else { return };
        let is_about = |event: &Event| {
            let about = &event.involved_object;
            about.kind.as_deref() == Some(kind) && about.name.as_deref() == Some(name)
        };
        if !self.loose.iter().any(is_about) {
            return;
        }
        let (own, others) = std::mem::take(&mut self.loose).into_iter().partition(is_about);
        self.loose = others;
        let own: VecDeque<Event> = own;
        for event in own {
            Arc::make_mut(&mut file.evidence).add_event(event);
        }
    }

    /// Forgets a Job of which nothing is there any more, not even a pod.
    fn drop_if_over(&mut self, job: &str) {
        let is_over = |file: &File| !file.job_is_there && file.pods.values().all(|is_there| !is_there);
        if self.files.get(job).is_some_and(is_over)
            && let Some(file) = self.files.remove(job)
        {
            for name in file.pods.keys() {
                self.owners.remove(name);
            }
        }
    }
}

/// Returns the name of the Job that made a pod.
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

    fn messages(archive: &Archive, job: &str) -> Vec<String> {
        archive.of(job).events.iter().filter_map(|event| event.message.clone()).collect()
    }

    #[test]
    fn events_find_their_job_in_whatever_order_they_come() {
        let mut archive = Archive::default();
        assert_eq!(archive.event(event("Job", "job-1", "FailedCreate", "quota")), None);
        assert_eq!(archive.event(event("Pod", "job-1-x", "FailedScheduling", "no node")), None);
        assert_eq!(archive.event(event("Pod", "of-others", "FailedScheduling", "no node")), None);
        archive.job_is_there("job-1");
        assert_eq!(messages(&archive, "job-1"), ["quota"]);
        assert_eq!(archive.pod(pod("job-1-x", "job-1", 1), true).as_deref(), Some("job-1"));
        assert_eq!(messages(&archive, "job-1"), ["quota", "no node"]);
        assert_eq!(
            archive.event(event("Pod", "job-1-x", "FailedScheduling", "no room")).as_deref(),
            Some("job-1")
        );
        assert_eq!(messages(&archive, "job-1"), ["quota", "no room"], "the last one of a kind is kept");
        assert_eq!(archive.loose.len(), 1);
    }

    #[test]
    fn a_pod_that_is_gone_is_kept_until_its_job_goes_too() {
        let mut archive = Archive::default();
        archive.job_is_there("job-1");
        archive.pod(pod("job-1-x", "job-1", 1), true);
        archive.pod(pod("job-1-x", "job-1", 2), false);
        archive.pods_are(&BTreeSet::new());
        assert_eq!(archive.of("job-1").pods.len(), 1);
        archive.job_is_gone("job-1");
        assert_eq!(archive.sizes(), (0, 0));
    }

    #[test]
    fn nothing_is_kept_of_what_is_gone_for_good() {
        let mut archive = Archive::default();
        for number in 0..2000 {
            let (job, name) = (format!("job-{number}"), format!("job-{number}-x"));
            archive.event(event("Pod", &name, "Started", "Container started"));
            archive.pod(pod(&name, &job, 1), true);
            archive.job_is_there(&job);
            match number % 3 {
                // The Job first, the pod first, and both while nobody looked.
                0 => {
                    archive.job_is_gone(&job);
                    archive.pod(pod(&name, &job, 2), false);
                }
                1 => {
                    archive.pod(pod(&name, &job, 2), false);
                    archive.job_is_gone(&job);
                }
                _ => {}
            }
            archive.event(event("Job", &job, "FailedCreate", "of one that is gone"));
        }
        archive.jobs_are(|_| false);
        archive.pods_are(&BTreeSet::new());
        assert_eq!(archive.sizes(), (0, 0));
        assert_eq!(archive.loose.len(), LOOSE);
    }

    #[test]
    fn the_newest_pods_of_a_job_are_kept_each_as_it_was_seen_last() {
        let mut evidence = Evidence::default();
        for number in 1..=10 {
            evidence.add_pod(pod(&format!("pod-{number}"), "job-1", number));
        }
        let names: Vec<_> = evidence.pods.iter().filter_map(|pod| pod.metadata.name.clone()).collect();
        assert_eq!(names, ["pod-7", "pod-8", "pod-9", "pod-10"]);
        evidence.add_pod(pod("pod-10", "job-1", 9));
        assert_eq!(version(&evidence.pods[3]), Some(10), "a list may be older than the watch");
    }
}
