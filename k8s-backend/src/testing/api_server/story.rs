//! What the Job controller and the kubelet would do, moved on by the test.
//!
//! Each step writes the status that the recordings show (`success`, `exit-code-7`, `deadline-exceeded`,
//! `pod-failure-policy-fail-job`), in the same order of events.

use serde_json::{Value, json};

use super::{ApiServer, handle, pods, request::Resource, store::Store};

/// How the pod of a Job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PodEnd {
    /// Its container exits with code 0.
    Succeeds,
    /// Its container exits with this code, and a pod failure policy writes it down.
    FailsByPolicy(i32),
    /// Its container exits with code 1, and the Job does not say so.
    Fails,
    /// The deadline of the Job has passed.
    OverstaysDeadline,
    /// The cluster took it away, and a pod failure policy writes that down.
    IsDisrupted,
}

impl ApiServer {
    /// Lets the Job controller make the pod of a Job.
    ///
    /// # Panics
    /// If there is no such Job, as every step of a story does.
    pub fn take_up(&self, name: &str) {
        self.tell(name, |store| {
            let status = started(store, name);
            set_status(store, name, status);
            pods::make(store, &job(store, name));
        });
    }

    /// Lets the pod of a Job run.
    pub fn start_pod(&self, name: &str) {
        self.tell(name, |store| {
            pods::run(store, &job(store, name));
            let mut status = started(store, name);
            status["ready"] = json!(1);
            set_status(store, name, status);
        });
    }

    /// Ends the pod of a Job, and with it the Job.
    pub fn end_pod(&self, name: &str, end: &PodEnd) {
        self.tell(name, |store| {
            pods::end(store, &job(store, name), end);
            let (decided, last, reason, message) = outcome(store, name, end);
            let condition = |kind: &str| {
                json!({"type": kind, "status": "True", "lastProbeTime": handle::now(),
                    "lastTransitionTime": handle::now(), "reason": reason, "message": message})
            };
            let mut status = started(store, name);
            if status["ready"] == 1 {
                status["ready"] = json!(0);
                set_status(store, name, status.clone());
            }
            if let Some(fields) = status.as_object_mut() {
                fields.remove("active");
            }
            let counted = if last == "Complete" { "succeeded" } else { "failed" };
            status["conditions"] = json!([condition(decided)]);
            status["uncountedTerminatedPods"] = json!({counted: ["00000000-0000-4000-8000-00000000000d"]});
            set_status(store, name, status.clone());
            status["conditions"] = json!([condition(decided), condition(last)]);
            status["uncountedTerminatedPods"] = json!({});
            status[counted] = json!(1);
            if last == "Complete" {
                status["completionTime"] = json!(handle::now());
            }
            set_status(store, name, status);
        });
    }

    /// Lets the pod of a Job that is being deleted get its TERM.
    ///
    /// # Panics
    /// If there is no such Job.
    pub fn terminate_pod(&self, name: &str) {
        self.tell(name, |store| {
            let mut status = started(store, name);
            if let Some(fields) = status.as_object_mut() {
                fields.remove("active");
            }
            status["terminating"] = json!(1);
            status["ready"] = json!(0);
            pods::terminate(store, &job(store, name));
            set_status(store, name, status);
        });
    }

    /// Removes a Job whose deletion waits for its pod, or which has outlived its `ttlSecondsAfterFinished`.
    pub fn collect(&self, name: &str) {
        self.tell(name, |store| {
            pods::remove(store, name);
            store.remove(&Resource::jobs(), name);
        });
    }

    /// Lets somebody delete a Job without waiting for its pod, which goes later.
    pub fn delete_in_background(&self, name: &str) {
        self.tell(name, |store| {
            store.remove(&Resource::jobs(), name);
            pods::remove(store, name);
        });
    }

    /// Tells whether the deletion of a Job waits for its pod.
    #[must_use]
    pub fn is_being_deleted(&self, name: &str) -> bool {
        self.object("jobs", name).is_some_and(|job| handle::is_being_deleted(&job))
    }

    fn tell(&self, name: &str, step: impl FnOnce(&mut Store)) {
        let mut store = self.store();
        let is_there = store.get(&Resource::jobs(), name).is_some();
        assert!(is_there, "there is no Kubernetes Job {name:?}");
        step(&mut store);
    }
}

fn job(store: &Store, name: &str) -> Value {
    store.get(&Resource::jobs(), name).map(|job| Value::clone(job)).unwrap_or_default()
}

fn set_status(store: &mut Store, name: &str, status: Value) {
    let mut job = job(store, name);
    job["status"] = status;
    store.put(&Resource::jobs(), job);
}

/// Returns the status of a Job with a pod that does not run yet, or how it stands if it is further.
fn started(store: &Store, name: &str) -> Value {
    let status = job(store, name)["status"].clone();
    if status.get("startTime").is_some() {
        return status;
    }
    json!({"startTime": handle::now(), "active": 1, "terminating": 0, "uncountedTerminatedPods": {}, "ready": 0})
}

fn outcome(store: &Store, name: &str, end: &PodEnd) -> (&'static str, &'static str, &'static str, String) {
    let container = job(store, name).pointer("/spec/template/spec/containers/0/name").cloned();
    let container = container.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    let pod = format!("{}/{}", store.namespace, pods::name_of(name));
    let (reason, message) = match end {
        PodEnd::Succeeds => {
            let message = "Reached expected number of succeeded pods".to_owned();
            return ("SuccessCriteriaMet", "Complete", "CompletionsReached", message);
        }
        PodEnd::FailsByPolicy(code) => (
            "PodFailurePolicy",
            format!(
                "Container {container} for pod {pod} failed with exit code {code} matching FailJob rule at index 0"
            ),
        ),
        PodEnd::Fails => ("BackoffLimitExceeded", "Job has reached the specified backoff limit".to_owned()),
        PodEnd::OverstaysDeadline => {
            ("DeadlineExceeded", "Job was active longer than specified deadline".to_owned())
        }
        PodEnd::IsDisrupted => (
            "PodFailurePolicy",
            format!("Pod {pod} has condition DisruptionTarget matching FailJob rule at index 0"),
        ),
    };
    ("FailureTarget", "Failed", reason, message)
}
