//! The work of the Job controller and the kubelet, step by step as the test calls it.
//!
//! Each step writes the status of the recordings (`success`, `exit-code-7`, `deadline-exceeded`,
//! `pod-failure-policy-fail-job`), in the same order of events.

use serde_json::{Value, json};

use super::{ApiServer, handle, pods, request::Resource, store::Store};

/// How the pod of a Job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PodEnd {
    /// Its container exits with code 0.
    Succeeds,
    /// Its container exits with this code, and a pod failure policy records it.
    FailsByPolicy(i32),
    /// Its container exits with code 1, and the Job does not show it.
    Fails,
    /// The deadline of the Job has passed.
    ExceedsDeadline,
    /// The cluster evicted it, and a pod failure policy records that.
    IsDisrupted,
}

impl ApiServer {
    /// Creates the pod of a Job, as the Job controller does.
    ///
    /// # Panics
    /// If there is no such Job, as all of these methods.
    pub fn create_pod(&self, name: &str) {
        self.change(name, |store| {
            let status = started(store, name);
            set_status(store, name, status);
            pods::create(store, &job(store, name));
        });
    }

    /// Starts the container of a Job.
    pub fn start_pod(&self, name: &str) {
        self.change(name, |store| {
            pods::run(store, &job(store, name));
            let mut status = started(store, name);
            status["ready"] = json!(1);
            set_status(store, name, status);
        });
    }

    /// Ends the pod of a Job, and with it the Job.
    pub fn end_pod(&self, name: &str, end: &PodEnd) {
        self.change(name, |store| {
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

    /// Sends TERM to the pod of a terminating Job.
    ///
    /// # Panics
    /// If there is no such Job.
    pub fn terminate_pod(&self, name: &str) {
        self.change(name, |store| {
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

    /// Deletes a Job whose deletion waits for its pod, or whose `ttlSecondsAfterFinished` has passed.
    pub fn collect(&self, name: &str) {
        self.change(name, |store| {
            pods::delete(store, name);
            store.remove(&Resource::jobs(), name);
        });
    }

    /// Deletes a Job without waiting for its pod, as another client could.
    pub fn delete_in_background(&self, name: &str) {
        self.change(name, |store| {
            store.remove(&Resource::jobs(), name);
            pods::delete(store, name);
        });
    }

    /// Returns whether the deletion of a Job waits for its pod.
    #[must_use]
    pub fn is_terminating(&self, name: &str) -> bool {
        self.object("jobs", name).is_some_and(|job| handle::is_terminating(&job))
    }

    fn change(&self, name: &str, step: impl FnOnce(&mut Store)) {
        let mut store = self.store();
        let exists = store.get(&Resource::jobs(), name).is_some();
        assert!(exists, "there is no Kubernetes Job {name:?}");
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

/// Returns the status of a Job with a pod that does not run yet, or its later status.
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
                "Container {container} for pod {pod} failed with exit code {code} \
                 matching FailJob rule at index 0"
            ),
        ),
        PodEnd::Fails => ("BackoffLimitExceeded", "Job has reached the specified backoff limit".to_owned()),
        PodEnd::ExceedsDeadline => {
            ("DeadlineExceeded", "Job was active longer than specified deadline".to_owned())
        }
        PodEnd::IsDisrupted => (
            "PodFailurePolicy",
            format!("Pod {pod} has condition DisruptionTarget matching FailJob rule at index 0"),
        ),
    };
    ("FailureTarget", "Failed", reason, message)
}
