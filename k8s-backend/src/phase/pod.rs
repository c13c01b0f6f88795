//! What a pod shows about its Job.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Event, Pod, PodCondition},
};

use super::{
    cause::Cause,
    events, termination,
    waiting::{ImageProblem, Waiting},
};

/// Returns the newest pod of a Job: it shows the current state.
pub(super) fn current<'a>(job: &Job, pods: &'a [Pod]) -> Option<&'a Pod> {
    own(job, pods).max_by_key(|pod| created(pod))
}

/// Returns the newest pod of a Job that shows why it failed. The Job controller deletes the pods that still
/// run when another one has failed, so a deletion is not taken for the cause.
pub(super) fn failed<'a>(job: &Job, pods: &'a [Pod]) -> Option<&'a Pod> {
    let shows_cause = |pod: &&Pod| !matches!(cause(pod, true), None | Some(Cause::PodDeleted { .. }));
    own(job, pods).filter(shows_cause).max_by_key(|pod| created(pod))
}

fn own<'a>(job: &Job, pods: &'a [Pod]) -> impl Iterator<Item = &'a Pod> {
    let uid = job.metadata.uid.clone();
    pods.iter().filter(move |pod| {
        let mut owners = pod.metadata.owner_references.iter().flatten();
        uid.is_none() || owners.any(|owner| Some(&owner.uid) == uid.as_ref())
    })
}

fn created(pod: &Pod) -> Option<jiff::Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// Returns whether the main container runs, or has run.
pub(super) fn has_run(pod: &Pod) -> bool {
    main_status(pod).and_then(|status| status.state.as_ref()).is_some_and(|state| {
        let ended = state.terminated.as_ref().is_some_and(|ended| !never_ran(ended));
        state.running.is_some() || ended
    })
}

/// Returns what a pod waits for that has not run.
pub(super) fn waiting(pod: &Pod, events: &[Event]) -> Waiting {
    if pod.metadata.deletion_timestamp.is_some() {
        return Waiting::Terminating;
    }
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|condition| condition.status == "False") {
        let message = scheduled.message.clone().unwrap_or_default();
        return match scheduled.reason.as_deref() {
            Some("SchedulingGated") => Waiting::Gated { message },
            _ => Waiting::Unschedulable { message },
        };
    }
    let of_container = statuses(pod).find_map(|status| waiting_of(status.state.as_ref()?));
    let setup = || events::setup_problem(pod, events).filter(|_| !has_any_started(pod));
    of_container.or_else(setup).unwrap_or(Waiting::Starting)
}

fn waiting_of(state: &ContainerState) -> Option<Waiting> {
    let waiting = state.waiting.as_ref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    let image = |problem| Waiting::ImagePull { problem, message: message.to_owned() };
    Some(match waiting.reason.as_deref()? {
        "ContainerCreating" | "PodInitializing" => return None,
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => Waiting::for_image(message),
        "InvalidImageName" => image(ImageProblem::InvalidName),
        "ErrImageNeverPull" => image(ImageProblem::NeverPull),
        "CreateContainerConfigError" => Waiting::for_config(message),
        reason => Waiting::Other { reason: reason.to_owned(), message: message.to_owned() },
    })
}

/// Returns why a pod ended its Job; `None` if it does not show that. `ran`: its container was seen running
/// before.
pub(super) fn cause(pod: &Pod, ran: bool) -> Option<Cause> {
    disruption(pod).or_else(|| init_failure(pod)).or_else(|| main_failure(pod, ran))
}

/// Returns what ended the pod from outside.
fn disruption(pod: &Pod) -> Option<Cause> {
    let status = pod.status.as_ref()?;
    let message_of = |text: &Option<String>| text.as_deref().unwrap_or_default().trim_end().to_owned();
    match status.reason.as_deref() {
        Some("Evicted") => {
            let message = message_of(&status.message);
            return Some(Cause::Evicted { resource: evicted_for(&message), message });
        }
        Some("DeadlineExceeded") => return Some(Cause::DeadlineExceeded),
        _ => {}
    }
    let target = condition(pod, "DisruptionTarget").filter(|condition| condition.status == "True")?;
    let message = message_of(&target.message);
    Some(match target.reason.as_deref() {
        Some("PreemptionByScheduler") => Cause::Preempted { message },
        Some("DeletionByTaintManager" | "DeletionByPodGC") => Cause::NodeLost { message },
        Some("EvictionByEvictionAPI") => Cause::Evicted { resource: None, message },
        _ => Cause::Disrupted { message },
    })
}

/// Returns the resource that a message of the kubelet names.
fn evicted_for(message: &str) -> Option<String> {
    // `The node was low on resource: memory. …`
    let node = message
        .split_once("low on resource: ")
        .map(|(_, rest)| rest.split(['.', ',']).next().unwrap_or(rest));
    let own = || {
        // `Pod ephemeral local storage usage exceeds…`, `Usage of EmptyDir volume "workspace" exceeds…`,
        // `Container executor exceeded its local ephemeral storage limit…`
        let volume =
            message.strip_prefix("Usage of EmptyDir volume ").and_then(|rest| rest.split('"').nth(1));
        match volume {
            Some(volume) => Some(format!("volume {volume}")),
            None if message.contains("ephemeral") => Some("ephemeral-storage".to_owned()),
            None => None,
        }
    };
    node.map(str::to_owned).or_else(own)
}

fn init_failure(pod: &Pod) -> Option<Cause> {
    let statuses = pod.status.as_ref()?.init_container_statuses.iter().flatten();
    statuses.into_iter().find_map(|status| {
        let ended = status.state.as_ref()?.terminated.as_ref()?;
        match ended.reason.as_deref() {
            Some("StartError" | "ContainerCannotRun") => {
                Some(Cause::NotStarted { message: ended.message.clone().unwrap_or_default() })
            }
            _ if ended.exit_code == 0 || never_ran(ended) => None,
            _ => Some(Cause::InitContainer { container: status.name.clone(), exit_code: ended.exit_code }),
        }
    })
}

fn main_failure(pod: &Pod, ran: bool) -> Option<Cause> {
    let deleted = pod.metadata.deletion_timestamp.is_some();
    let Some((status, ended)) = failed_container(pod) else {
        return deleted.then_some(Cause::PodDeleted { ran: ran || has_any_started(pod) });
    };
    let message = ended.message.as_deref().unwrap_or_default().trim_end();
    Some(match ended.reason.as_deref() {
        Some("OOMKilled") => {
            Cause::OutOfMemory { limit: memory_limit(pod, &status.name), exit_code: ended.exit_code }
        }
        Some("StartError" | "ContainerCannotRun") => Cause::NotStarted { message: message.to_owned() },
        Some("ContainerStatusUnknown") if deleted => Cause::PodDeleted { ran },
        Some("ContainerStatusUnknown") => Cause::Lost { message: message.to_owned() },
        _ if deleted => Cause::PodDeleted { ran: true },
        // The message may be the end of the container's output, so only what the runtime itself prints there,
        // or a JSON object, is evaluated.
        _ if is_exec_failure(message) => Cause::NotStarted { message: message.to_owned() },
        _ => termination::cause(ended.exit_code, message),
    })
}

/// Returns whether the message of a terminated container is that of the system, not what the container
/// printed.
#[cfg(feature = "kube")]
pub(super) fn is_system_message(ended: &ContainerStateTerminated) -> bool {
    never_ran(ended) || ended.message.as_deref().is_some_and(|message| is_exec_failure(message.trim_end()))
}

/// Returns whether nothing of a pod can run any more.
#[cfg(feature = "kube")]
pub(super) fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The only line of a container whose arguments and environment exceed the limit of the system (fixture
/// `env-value-too-long`).
fn is_exec_failure(message: &str) -> bool {
    message.starts_with("exec /") && message.ends_with(": argument list too long") && !message.contains('\n')
}

/// A container that never ran has an exit code all the same.
fn never_ran(ended: &ContainerStateTerminated) -> bool {
    matches!(ended.reason.as_deref(), Some("StartError" | "ContainerCannotRun" | "ContainerStatusUnknown"))
}

fn failed_container(pod: &Pod) -> Option<(&ContainerStatus, &ContainerStateTerminated)> {
    let ended =
        main_statuses(pod).filter_map(|status| Some((status, status.state.as_ref()?.terminated.as_ref()?)));
    let mut failed = ended.filter(|(_, ended)| ended.exit_code != 0);
    failed.next()
}

fn memory_limit(pod: &Pod, container: &str) -> Option<String> {
    let containers = &pod.spec.as_ref()?.containers;
    let container = containers.iter().find(|it| it.name == container)?;
    container.resources.as_ref()?.limits.as_ref()?.get("memory").map(|quantity| quantity.0.clone())
}

/// The status of the main container, which is the first one of the pod, comes first.
fn main_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let first =
        pod.spec.as_ref().and_then(|spec| spec.containers.first()).map(|container| container.name.as_str());
    let all = || pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let is_main = move |status: &&ContainerStatus| Some(status.name.as_str()) == first;
    all().filter(is_main).chain(all().filter(move |status| !is_main(status)))
}

fn main_status(pod: &Pod) -> Option<&ContainerStatus> {
    main_statuses(pod).next()
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let init = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    init.chain(main_statuses(pod))
}

fn has_any_started(pod: &Pod) -> bool {
    statuses(pod).filter_map(|status| status.state.as_ref()).any(|state| {
        let ended = state.terminated.as_ref().is_some_and(|ended| !never_ran(ended));
        state.running.is_some() || ended
    })
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}
