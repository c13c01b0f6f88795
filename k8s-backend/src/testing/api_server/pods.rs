//! The pod of a Job, as the Job controller and the kubelet write it in the recordings.

use serde_json::{Value, json};

use super::{PodEnd, handle, request::Resource, store::Store};

/// The exit code of a container that the Job does not show.
pub(super) const HIDDEN_EXIT_CODE: i32 = 1;

fn pods() -> Resource {
    Resource::named("pods").expect("pods are a known kind")
}

/// Returns the name of the pod of a Job.
pub(super) fn name_of(job: &str) -> String {
    format!("{job}-x7k2p")
}

/// Creates the pod of a Job, unless it exists.
pub(super) fn create(store: &mut Store, job: &Value) {
    let job_name = job["metadata"]["name"].as_str().unwrap_or_default();
    let (name, uid) = (name_of(job_name), &job["metadata"]["uid"]);
    if store.get(&pods(), &name).is_some() {
        return;
    }
    let mut labels = job.pointer("/spec/template/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    labels["batch.kubernetes.io/job-name"] = json!(job_name);
    labels["batch.kubernetes.io/controller-uid"] = uid.clone();
    let owner = json!({"apiVersion": "batch/v1", "kind": "Job", "name": job_name, "uid": uid, "controller": true,
        "blockOwnerDeletion": true});
    let pod = json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": store.namespace, "uid": store.new_uid(), "labels": labels,
            "creationTimestamp": handle::now(), "ownerReferences": [owner],
            "finalizers": ["batch.kubernetes.io/job-tracking"]},
        "spec": job.pointer("/spec/template/spec"),
        "status": {"phase": "Pending"}});
    store.put(&pods(), pod);
}

/// Starts the container of a pod.
pub(super) fn run(store: &mut Store, job: &Value) {
    change(store, job, |pod| {
        pod["status"]["phase"] = json!("Running");
        set_state(pod, &json!({"running": {"startedAt": handle::now()}}), true);
    });
}

/// Sends TERM to the container of a pod.
pub(super) fn terminate(store: &mut Store, job: &Value) {
    change(store, job, |pod| pod["metadata"]["deletionTimestamp"] = json!(handle::now()));
}

/// Ends the pod of a Job.
pub(super) fn end(store: &mut Store, job: &Value, end: &PodEnd) {
    let (phase, code) = match end {
        PodEnd::Succeeds => ("Succeeded", 0),
        PodEnd::FailsByPolicy(code) => ("Failed", *code),
        PodEnd::Fails => ("Failed", HIDDEN_EXIT_CODE),
        PodEnd::ExceedsDeadline | PodEnd::IsDisrupted => ("Failed", 143),
    };
    change(store, job, |pod| {
        if *end == PodEnd::ExceedsDeadline {
            pod["metadata"]["deletionTimestamp"] = json!(handle::now());
        }
        pod["status"]["phase"] = json!(phase);
        if *end == PodEnd::IsDisrupted {
            pod["status"]["conditions"] = json!([{"type": "DisruptionTarget", "status": "True",
                "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}]);
        }
        let reason = if code == 0 { "Completed" } else { "Error" };
        let ended = json!({"exitCode": code, "reason": reason, "startedAt": handle::now(),
            "finishedAt": handle::now()});
        set_state(pod, &json!({"terminated": ended}), false);
    });
}

/// Deletes the pod of a Job.
pub(super) fn delete(store: &mut Store, job: &str) {
    store.remove(&pods(), &name_of(job));
}

fn change(store: &mut Store, job: &Value, change: impl FnOnce(&mut Value)) {
    create(store, job);
    let name = name_of(job["metadata"]["name"].as_str().unwrap_or_default());
    let Some(mut pod) = store.get(&pods(), &name).map(|pod| Value::clone(pod)) else { return };
    change(&mut pod);
    store.put(&pods(), pod);
}

fn set_state(pod: &mut Value, state: &Value, ready: bool) {
    let main = &pod["spec"]["containers"][0];
    pod["status"]["containerStatuses"] = json!([{"name": main["name"], "image": main["image"], "imageID": "",
        "ready": ready, "restartCount": 0, "state": state}]);
}
