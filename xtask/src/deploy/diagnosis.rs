//! What keeps a roll-out from its end, read out of the Deployment, its pods and their events. Pure.

use serde_json::Value;

/// Where a roll-out stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rollout {
    /// The new pod is ready, and no old one is left.
    Done,
    /// It is not, for these reasons, the most telling one last; none where the cluster has not said any yet.
    Waiting(Vec<Reason>),
}

/// Something that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reason {
    /// The cluster's words.
    pub(super) words: String,
    /// What to do about it, where that is known.
    pub(super) hint: Option<&'static str>,
    /// Whether the log of the container says more.
    pub(super) see_log: bool,
}

impl Reason {
    fn new(words: String) -> Self {
        let hint = hint_for(&words);
        Self { see_log: words.contains("CrashLoopBackOff") || words.contains("exit code"), words, hint }
    }
}

/// Reads the state out of what the cluster shows.
pub(super) fn look(deployment: &Value, pods: &[Value], events: &[Value]) -> Rollout {
    if is_done(deployment) {
        return Rollout::Done;
    }
    let pods: Vec<_> = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect();
    let mut words = Vec::new();
    words.extend(refusal(deployment));
    words.extend(pods.iter().flat_map(|pod| of_events(pod, events)));
    words.extend(pods.iter().flat_map(|pod| of_pod(pod)));
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|word| seen.insert(word.clone()));
    Rollout::Waiting(words.into_iter().map(Reason::new).collect())
}

fn is_done(deployment: &Value) -> bool {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let wanted = number("/spec/replicas");
    // A Deployment that is not there yet wants nothing.
    wanted > 0
        && number("/status/observedGeneration") >= number("/metadata/generation")
        && number("/status/updatedReplicas") == wanted
        && number("/status/replicas") == wanted
        && number("/status/availableReplicas") == wanted
}

/// No pod may be made: a quota, Pod Security, an admission webhook.
fn refusal(deployment: &Value) -> Option<String> {
    let conditions = deployment.pointer("/status/conditions")?.as_array()?;
    let failure = conditions.iter().find(|one| one["type"] == "ReplicaFailure" && one["status"] == "True")?;
    Some(format!("no pod can be made: {}", text(&failure["message"])?))
}

/// The newest warning of each kind about a pod.
fn of_events(pod: &Value, events: &[Value]) -> Vec<String> {
    let about = |event: &&Value| {
        event["involvedObject"]["uid"] == pod["metadata"]["uid"]
            && !pod["metadata"]["uid"].is_null()
            && event["type"] == "Warning"
    };
    let mut warnings: Vec<_> = events.iter().filter(about).collect();
    // A failing probe while the server starts is told by the state of the pod.
    warnings.retain(|event| event["reason"] != "Unhealthy");
    warnings.sort_by_key(|event| when(event).to_owned());
    let mut newest: Vec<(String, String)> = Vec::new();
    for event in warnings {
        let (Some(reason), Some(message)) = (text(&event["reason"]), text(&event["message"])) else {
            continue;
        };
        newest.retain(|(kind, _)| kind != reason);
        newest.push((reason.to_owned(), message.to_owned()));
    }
    newest.into_iter().map(|(reason, message)| format!("{reason}: {message}")).collect()
}

/// Events of the scheduler have only `eventTime`, others only the two old fields.
fn when(event: &Value) -> &str {
    ["lastTimestamp", "eventTime", "firstTimestamp"]
        .iter()
        .find_map(|key| text(&event[*key]))
        .unwrap_or_default()
}

/// What stands in the status of a pod.
fn of_pod(pod: &Value) -> Vec<String> {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let unscheduled = conditions
        .into_iter()
        .flatten()
        .filter(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False");
    let unscheduled =
        unscheduled.filter_map(|one| Some(format!("unschedulable: {}", text(&one["message"])?)));
    let statuses = ["initContainerStatuses", "containerStatuses"];
    let statuses = statuses.iter().filter_map(|key| pod["status"][*key].as_array()).flatten();
    unscheduled.chain(statuses.filter_map(of_container)).collect()
}

fn of_container(status: &Value) -> Option<String> {
    if let Some(reason) = text(&status["state"]["waiting"]["reason"]) {
        // Every pod is in this state for a moment.
        if ["ContainerCreating", "PodInitializing"].contains(&reason) {
            return None;
        }
        let message = text(&status["state"]["waiting"]["message"]).unwrap_or_default();
        return Some(format!("{reason}: {message}").trim_end_matches(": ").to_owned());
    }
    if let Some(code) = status["state"]["terminated"]["exitCode"].as_i64() {
        return Some(format!("the api-server ended with exit code {code}"));
    }
    let running = !status["state"]["running"].is_null();
    (running && status["ready"] == false).then(|| "the api-server runs and is not ready yet".to_owned())
}

fn hint_for(words: &str) -> Option<&'static str> {
    let hints = [
        (
            "persistentvolumeclaim",
            "choose a --storage-class that the cluster has, or --storage empty-dir for a trial",
        ),
        (
            "PersistentVolumeClaim",
            "choose a --storage-class that the cluster has, or --storage empty-dir for a trial",
        ),
        ("ErrImageNeverPull", "load the image into the node, or name another one with --image"),
        (
            "ImagePull",
            "name an image that the node can pull with --image, its login with --image-pull-secret, or load it into the node",
        ),
        ("InvalidImageName", "name the image with --image"),
        ("exceeded quota", "the quota of the namespace is too small"),
        ("secret", "a Secret is missing; deploy again to have it made"),
    ];
    hints.iter().find(|(part, _)| words.contains(part)).map(|(_, hint)| *hint)
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
